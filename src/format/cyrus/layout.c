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

/*
 * The value of "WHAT-PARTITION" where it is an absolute path, else NULL. *ret_given says whether
 * there is one at all: a value that is of no use still hides those of lower rank, because to fall
 * back would be to look where the files are not, and to report them all missing.
 */
static const char *root_find(const struct imapd_conf *conf, const char *what, const char *partition,
			     bool *ret_given)
{
	cleanup(buf_fini) struct buf name = BUF_NULL;
	const char *value = NULL;

	buf_addf(&name, "%s-%s", what, partition);
	if (buf_error(&name) == 0)
		value = imapd_conf_get(conf, buf_str(&name), NULL);
	*ret_given = value != NULL;
	return value && value[0] == '/' ? value : NULL;
}

/*
 * Where metadata of one kind is put: by an option of its own, or on the meta partition when that
 * is said to hold the kind, or with the messages.
 */
static const char *root_find_meta(const struct imapd_conf *conf, const char *partition,
				  const char *kind)
{
	cleanup(buf_fini) struct buf option = BUF_NULL;
	bool given;

	buf_addf(&option, "metadir-%s", kind);
	if (buf_error(&option))
		return NULL;
	const char *root = root_find(conf, buf_str(&option), partition, &given);
	if (given)
		return root;
	if (imapd_conf_has_word(conf, "metapartition_files", kind)) {
		root = root_find(conf, "metapartition", partition, &given);
		if (given)
			return root;
	}
	return root_find(conf, "partition", partition, &given);
}

/* Unlike metadata, archived messages have no option of their own below the partition. */
static const char *root_find_archive(const struct imapd_conf *conf, const char *partition)
{
	bool enabled, given;

	if (imapd_conf_get_switch(conf, "archive_enabled", false, NULL, &enabled))
		return NULL;
	if (enabled) {
		const char *root = root_find(conf, "archivepartition", partition, &given);
		if (given)
			return root;
	}
	return root_find(conf, "partition", partition, &given);
}

const char *layout_root(const struct imapd_conf *conf, const char *partition,
			enum mailbox_file kind)
{
	bool given;

	if (partition[0] == '\0')
		return NULL;
	switch (kind) {
	case MAILBOX_FILE_MESSAGES:
		return root_find(conf, "partition", partition, &given);
	case MAILBOX_FILE_ARCHIVED:
		return root_find_archive(conf, partition);
	case MAILBOX_FILE_INDEX:
		return root_find_meta(conf, partition, "index");
	case MAILBOX_FILE_HEADER:
		return root_find_meta(conf, partition, "header");
	case MAILBOX_FILE_CACHE:
		return root_find_meta(conf, partition, "cache");
	case MAILBOX_FILE_COUNT_:
		break;
	}
	return NULL;
}

/* True when `part` may be one component of a path. */
static bool part_is_safe(struct span part)
{
	return part.len > 0 && !span_equals_str(part, ".") && !span_equals_str(part, "..") &&
	       span_find(part, '/') == part.len && span_find(part, '\0') == part.len;
}

/*
 * The one-letter directory that a hashed spool puts in front. The input is the name as people
 * write it: `^` counts as the dot it stands for, and the full hash stops at a dot.
 */
static char part_hash(struct span part, bool full)
{
	uint32_t n = 0;

	if (!full) {
		uint8_t c = part.len ? part.data[0] : 0;
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + ('a' - 'A'));
		return c >= 'a' && c <= 'z' ? (char)c : 'q';
	}
	for (uint64_t i = 0; i < part.len && part.data[i] != '.' && part.data[i] != '^'; i++)
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

/* The part of a name whose hash stands before it: the second, or the only one. */
static struct span name_hashed_part(struct span name)
{
	struct span part = SPAN_NULL;
	bool more = true;

	(void)name_next_part(&name, &more, &part);
	(void)name_next_part(&name, &more, &part);
	return part;
}

/*
 * [domain/H/DOMAIN/]H/part/part... where the H are only there in a hashed spool. Dots separate the
 * parts of a name, so no part can be `.` or `..`; a domain keeps its dots and could be.
 */
static int dir_add_by_name(struct buf *b, const struct imapd_conf *conf, struct span name)
{
	struct span part;
	bool hashed, full, more = true;

	if (imapd_conf_get_switch(conf, "hashimapspool", false, NULL, &hashed) ||
	    imapd_conf_get_switch(conf, "fulldirhash", false, NULL, &full))
		return -EBADMSG;
	uint64_t len = span_find(name, '!');
	if (len < name.len) {
		struct span domain = span_of(name.data, len);
		if (!part_is_safe(domain))
			return -EBADMSG;
		buf_add_str(b, "domain/");
		if (hashed)
			buf_addf(b, "%c/", part_hash(domain, full));
		buf_add_span(b, domain);
		buf_add_char(b, '/');
		name = span_of(name.data + len + 1, name.len - len - 1);
	}
	if (hashed)
		buf_addf(b, "%c/", part_hash(name_hashed_part(name), full));
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

int layout_add_mailbox_dir(struct buf *b, const struct imapd_conf *conf,
			   const struct mailbox_entry *entry)
{
	cleanup(buf_fini) struct buf dir = BUF_NULL;
	bool by_name = entry->legacy_dirs || entry->unique_id.len == 0;

	if (max_of(entry->name.len, entry->unique_id.len) > PATH_LEN_MAX)
		return -EBADMSG;
	int r = by_name ? dir_add_by_name(&dir, conf, buf_span(&entry->name))
			: dir_add_by_id(&dir, buf_span(&entry->unique_id));
	if (r)
		return r;
	r = buf_error(&dir);
	if (r)
		return r;
	if (dir.len > PATH_LEN_MAX)
		return -EBADMSG;
	buf_add_span(b, buf_span(&dir));
	return buf_error(b);
}

void layout_add_mailboxes_db(struct buf *b, const struct imapd_conf *conf)
{
	const char *path = imapd_conf_get(conf, "mboxlist_db_path", NULL);

	if (path)
		buf_add_str(b, path);
	else
		buf_addf(b, "%s/mailboxes.db", imapd_conf_get(conf, "configdirectory", ""));
}

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
