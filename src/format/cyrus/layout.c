// SPDX-License-Identifier: Apache-2.0
/*
 * Names from mailboxes.db become paths here and nowhere else, so this is where a hostile name is
 * stopped: what comes out is relative, has no empty, `.` or `..` part, and stays below its root.
 * Nothing is appended when a function fails.
 */
#include "format/cyrus/layout.h"

#include <errno.h>
#include <string.h>

#define PATH_LEN_MAX 4096 /* bytes below the root */

/* True when `part` may be one component of a path. */
static bool part_is_safe(struct span part)
{
	return part.len > 0 && !span_equals_str(part, ".") && !span_equals_str(part, "..") &&
	       span_find(part, '/') == part.len && span_find(part, '\0') == part.len;
}

/* The one-letter directory that stands before what is hashed. The full hash stops at a dot. */
static char dir_hash(struct span part, bool full)
{
	uint32_t n = 0;

	if (!full) {
		uint8_t c = part.len ? part.data[0] : 0;
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + ('a' - 'A'));
		return c >= 'a' && c <= 'z' ? (char)c : 'q';
	}
	for (uint64_t i = 0; i < part.len && part.data[i] != '.'; i++)
		n = (n << 3 ^ n >> 5) ^ part.data[i];
	return (char)('A' + n % 23);
}

/* Takes the next part off the front of a name, and the dot behind it. False at the end. */
static bool name_next_part(struct span *name, bool *more, struct span *ret_part)
{
	if (!*more)
		return false;
	uint64_t len = span_find(*name, '.');
	*ret_part = span_of(name->data, len);
	*more = len < name->len;
	*name = *more ? span_of(name->data + len + 1, name->len - len - 1) : SPAN_NULL;
	return true;
}

/*
 * The hash of a name is that of its second part, or the only one, as people write it: `^` is the
 * dot it stands for, and ends the full hash.
 */
static char name_hash(struct span name, bool full)
{
	struct span part = SPAN_NULL;
	bool more = true;

	(void)name_next_part(&name, &more, &part);
	(void)name_next_part(&name, &more, &part);
	return dir_hash(full ? span_of(part.data, span_find(part, '^')) : part, full);
}

/* Splits `domain!rest`. False when there is no domain. */
static bool name_split_domain(struct span *name, struct span *ret_domain)
{
	uint64_t len = span_find(*name, '!');

	if (len == name->len)
		return false;
	*ret_domain = span_of(name->data, len);
	*name = span_of(name->data + len + 1, name->len - len - 1);
	return true;
}

/*
 * [domain/H/DOMAIN/]H/part/part... where the H are only there in a hashed spool. Dots separate the
 * parts of a name, so no part can be `.` or `..`; a domain keeps its dots and could be.
 */
static int dir_add_by_name(struct buf *b, const struct imapd_conf *conf, struct span name)
{
	struct span domain, part;
	bool hashed, full, more = true;

	if (imapd_conf_get_switch(conf, "hashimapspool", false, NULL, &hashed) ||
	    imapd_conf_get_switch(conf, "fulldirhash", false, NULL, &full))
		return -EBADMSG;
	if (name_split_domain(&name, &domain)) {
		if (!part_is_safe(domain))
			return -EBADMSG;
		buf_add_str(b, "domain/");
		if (hashed)
			buf_addf(b, "%c/", dir_hash(domain, full));
		buf_add_span(b, domain);
		buf_add_char(b, '/');
	}
	if (hashed)
		buf_addf(b, "%c/", name_hash(name, full));
	for (bool first = true; name_next_part(&name, &more, &part); first = false) {
		if (!part_is_safe(part))
			return -EBADMSG;
		if (!first)
			buf_add_char(b, '/');
		buf_add_span(b, part);
	}
	return 0;
}

/* uuid/X/Y/XY... */
static int dir_add_by_id(struct buf *b, struct span id)
{
	/* The first two characters are directories of their own, so neither may be a dot. */
	if (!part_is_safe(id) || id.len < 2 || id.data[0] == '.' || id.data[1] == '.')
		return -EBADMSG;
	buf_addf(b, "uuid/%c/%c/", id.data[0], id.data[1]);
	buf_add_span(b, id);
	return 0;
}

/* Hands a path over when it was made without a failure and is not too long. */
static int path_add(struct buf *b, const struct buf *path)
{
	int r = buf_error(path);

	if (r)
		return r;
	if (path->len > PATH_LEN_MAX)
		return -EBADMSG;
	buf_add_span(b, buf_span(path));
	return buf_error(b);
}

int layout_add_mailbox_dir(struct buf *b, const struct imapd_conf *conf,
			   const struct mailbox_entry *entry)
{
	cleanup(buf_fini) struct buf dir = BUF_NULL;
	bool by_name = entry->legacy_dirs || entry->unique_id.len == 0;

	if (max_of(entry->name.len, entry->unique_id.len) > PATH_LEN_MAX)
		return -EBADMSG;
	int r = by_name ? dir_add_by_name(&dir, conf, buf_span(&entry->name))
			: dir_add_by_id(&dir, buf_span(&entry->unique_id));
	return r ? r : path_add(b, &dir);
}

/* The words that Cyrus takes for "not at all"; any but those is some kind of "yes", or an error. */
static int conf_has_domains(const struct imapd_conf *conf, bool *ret)
{
	static const char *const words[] = { "off", "0",   "no", "f",	 "false", "on",
					     "1",   "yes", "t",	 "true", "userid" };
	const char *value = imapd_conf_get(conf, "virtdomains", "off");

	for (size_t i = 0; i < array_size(words); i++) {
		if (strcmp(value, words[i]) == 0) {
			*ret = i >= 5;
			return 0;
		}
	}
	return -EBADMSG;
}

/* quota_db_path is a path whose last part is replaced. Known is only what is in configdirectory. */
static bool quota_is_found(const struct imapd_conf *conf)
{
	const char *dir = imapd_conf_get(conf, "configdirectory", "");
	const char *path = imapd_conf_get(conf, "quota_db_path", NULL);

	if (strcmp(imapd_conf_get(conf, "quota_db", "quotalegacy"), "quotalegacy") != 0)
		return false;
	if (!path)
		return true;
	const char *slash = strrchr(path, '/');
	return slash && span_equals_str(span_of(path, (uint64_t)(slash - path)), dir);
}

/*
 * [domain/H/DOMAIN/]quota/H/ROOT, or `root` in place of the last two for that of a whole domain. It
 * is hashed in every spool, by what follows the first dot, and `^` is a byte like any other: the
 * letter need not be that of the mailbox.
 */
int layout_add_quota_file(struct buf *b, const struct imapd_conf *conf, struct span quota_root)
{
	cleanup(buf_fini) struct buf path = BUF_NULL;
	struct span domain, hashed;
	bool full, domains;

	if (!quota_is_found(conf))
		return -ENOTSUP;
	if (imapd_conf_get_switch(conf, "fulldirhash", false, NULL, &full) ||
	    conf_has_domains(conf, &domains) || quota_root.len > PATH_LEN_MAX)
		return -EBADMSG;
	if (domains && name_split_domain(&quota_root, &domain)) {
		if (!part_is_safe(domain))
			return -EBADMSG;
		buf_addf(&path, "domain/%c/", dir_hash(domain, full));
		buf_add_span(&path, domain);
		buf_add_char(&path, '/');
		if (quota_root.len == 0) {
			buf_add_str(&path, "quota/root");
			return path_add(b, &path);
		}
	}
	if (!part_is_safe(quota_root))
		return -EBADMSG;
	uint64_t dot = span_find(quota_root, '.');
	hashed = quota_root;
	if (dot < quota_root.len)
		hashed = span_of(quota_root.data + dot + 1, quota_root.len - dot - 1);
	buf_addf(&path, "quota/%c/", dir_hash(hashed, full));
	buf_add_span(&path, quota_root);
	return path_add(b, &path);
}

/* ---- The way back ---- */

/* Takes the next directory off the front of a path. False when nothing is left behind it. */
static bool path_strip_part(struct span *path, struct span *ret_part)
{
	uint64_t len = span_find(*path, '/');

	if (len == path->len)
		return false;
	*ret_part = span_of(path->data, len);
	*path = span_of(path->data + len + 1, path->len - len - 1);
	return true;
}

/*
 * The name that a directory has when `domain/...` leads it, or when not. Nothing is checked but the
 * number of parts: a name is right if its directory comes out as the one that was given.
 */
static bool name_guess(struct buf *name, struct span path, bool hashed, bool in_domain)
{
	struct span part, domain;

	if (in_domain) {
		if (!path_strip_part(&path, &part) || (hashed && !path_strip_part(&path, &part)) ||
		    !path_strip_part(&path, &domain))
			return false;
		buf_add_span(name, domain);
		buf_add_char(name, '!');
	}
	if (hashed && !path_strip_part(&path, &part))
		return false;
	while (path_strip_part(&path, &part)) {
		buf_add_span(name, part);
		buf_add_char(name, '.');
	}
	buf_add_span(name, path);
	return true;
}

/*
 * Without hashes `domain/x/y` is the directory of x!y and of domain.x.y alike. Which of them there
 * can be follows from the configuration.
 */
bool layout_parse_mailbox_dir(struct buf *b, const struct imapd_conf *conf, const char *rel)
{
	struct span path = span_of_str(rel);
	bool hashed, domains;

	if (path.len > PATH_LEN_MAX || conf_has_domains(conf, &domains) ||
	    imapd_conf_get_switch(conf, "hashimapspool", false, NULL, &hashed))
		return false;
	for (int guess = 0; guess < 2; guess++) {
		cleanup(buf_fini) struct buf name = BUF_NULL, dir = BUF_NULL;
		if (name_guess(&name, path, hashed, domains == (guess == 0)) &&
		    buf_error(&name) == 0 && dir_add_by_name(&dir, conf, buf_span(&name)) == 0 &&
		    buf_error(&dir) == 0 && span_equals(buf_span(&dir), path)) {
			buf_add_span(b, buf_span(&name));
			return buf_error(b) == 0;
		}
	}
	return false;
}

/* ---- Messages ---- */

/* A leading zero is refused, so that no two names in a directory are the same message. */
bool layout_parse_message_name(const char *name, uint32_t *ret_uid)
{
	struct span digits = span_of_str(name);
	uint64_t uid;

	if (digits.len < 2 || digits.data[digits.len - 1] != '.' || digits.data[0] == '0')
		return false;
	digits.len--;
	if (span_parse_u64(digits, UINT32_MAX, &uid))
		return false;
	*ret_uid = (uint32_t)uid;
	return true;
}
