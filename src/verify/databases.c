/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Databases: what Cyrus keeps in its configdirectory: the list of mailboxes and annotations as
 * whole files, and for each user what was read, subscriptions, conversations, counters; quota
 * roots. Each is checked by what it holds of checksums, or by its structure.
 *
 * What a file should be is known by its name, what it is by its first bytes: a database whose first
 * bytes are damaged would pass for one without any.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "format/cyrus/counters.h"
#include "format/cyrus/db.h"
#include "format/cyrus/layout.h"
#include "format/cyrus/quota.h"
#include "verify/list.h"
#include "verify/scanning.h"

#define DEPTH_MAX 12 /* directories below the configdirectory */
#define SUSPECTS_MAX 4096
#define TEXT_MAX (64u << 10) /* bytes of a quota root */
#define CHECK_TRIES 5
#define LEFTOVER_NS (24 * 3600 * NS_PER_S)

enum content {
	CONTENT_NONE,	 /* nothing that is judged here */
	CONTENT_LIST,	 /* as CONTENT_TWOSKIP, in any order that a list may have */
	CONTENT_TWOSKIP, /* twoskip or skiplist, never empty */
	CONTENT_ANY_DB,	 /* flat too; in any order that a list may have */
	CONTENT_COUNTERS,
	CONTENT_QUOTA,
	CONTENT_LEFTOVER, /* NAME.NEW */
};

struct checked {
	enum finding_code code; /* FINDING_CODE_COUNT_: nothing is wrong */
	char detail[160];
	bool is_empty; /* counters without a byte */
	int error;     /* it could not be looked at, and is no fault of a disk */
};

struct suspect {
	char *path;
	enum content content;
	bool disposable;
	enum finding_code first; /* what the first look saw */
};

struct walk {
	struct scanning *s;
	struct suspect suspects[SUSPECTS_MAX];
	size_t nr;
	uint64_t left_out;
	struct buf path;
	struct buf list; /* the path of mailboxes.db */
};

/* ---- which file is what ---- */

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* Nothing is lost with these. */
static bool is_disposable(const char *name)
{
	static const char *const names[] = { "deliver.db", "statuscache.db", "tls_sessions.db",
					     "ptscache.db" };

	for (size_t i = 0; i < array_size(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* By the name in a directory of users, or in the configdirectory itself. */
static enum content content_of(const char *name, bool in_quota)
{
	if (ends_in(name, ".NEW"))
		return CONTENT_LEFTOVER;
	if (in_quota)
		return CONTENT_QUOTA;
	if (ends_in(name, "counters") || strcmp(name, "counters.db") == 0)
		return CONTENT_COUNTERS;
	if (strcmp(name, "mailboxes.db") == 0)
		return CONTENT_LIST;
	if (strcmp(name, "seen.db") == 0 || ends_in(name, ".seen") ||
	    strcmp(name, "conversations.db") == 0 || ends_in(name, ".conversations") ||
	    strcmp(name, "annotations.db") == 0 || is_disposable(name))
		return CONTENT_TWOSKIP;
	if (strcmp(name, "sub.db") == 0 || ends_in(name, ".sub") ||
	    strcmp(name, "quotas.db") == 0 || strcmp(name, "user_deny.db") == 0)
		return CONTENT_ANY_DB;
	return CONTENT_NONE;
}

/* ---- one file ---- */

static void say(struct checked *checked, enum finding_code code, const char *detail)
{
	checked->code = code;
	(void)snprintf(checked->detail, sizeof(checked->detail), "%s", detail);
}

static void check_text(struct source *src, enum content content, struct checked *checked)
{
	uint8_t bytes[TEXT_MAX];
	struct counters counters;
	struct quota quota;
	uint64_t n = 0;
	int r = source_read(src, 0, bytes, sizeof(bytes), &n);

	if (r) {
		checked->error = r;
	} else if (content == CONTENT_QUOTA) {
		if (n == sizeof(bytes) || quota_parse(span_of(bytes, n), &quota))
			say(checked, FINDING_QUOTA_CORRUPT,
			    "the content is not that of a quota root");
	} else {
		r = n > COUNTERS_LEN_MAX ? -EBADMSG : counters_parse(span_of(bytes, n), &counters);
		if (r == -EBADMSG)
			say(checked, FINDING_DATABASE_CORRUPT, "its length or its CRC is wrong");
		checked->is_empty = n == 0;
	}
}

/* A transaction that was cut short: the header says so, and nobody holds the lock of a writer. */
static void check_dirty(struct source *src, bool is_host, struct checked *checked)
{
	uint8_t bytes[TWOSKIP_HEADER_LEN];
	struct twoskip_header header;
	uint64_t n = 0;

	if (source_read(src, 0, bytes, sizeof(bytes), &n) ||
	    twoskip_parse_header(span_of(bytes, n), &header) || !header.dirty)
		return;
	if (is_host && file_lock_shared(src->fd, 0))
		return;
	int r = source_read(src, 0, bytes, sizeof(bytes), &n);
	if (is_host)
		file_unlock(src->fd);
	if (r == 0 && twoskip_parse_header(span_of(bytes, n), &header) == 0 && header.dirty)
		say(checked, FINDING_DATABASE_DIRTY,
		    "its header says that a transaction is under way, and there is none");
}

static int check_in_order(const struct imapd_conf *conf, struct source *src, enum content content,
			  uint64_t *ret_off)
{
	return content == CONTENT_LIST || content == CONTENT_ANY_DB
		       ? list_check(conf, src, ret_off)
		       : db_check(src, DB_ORDER_BYTES, ret_off);
}

static void check_db(const struct imapd_conf *conf, struct source *src, enum content content,
		     bool is_host, struct checked *checked)
{
	uint8_t head[20];
	uint64_t n = 0, off = 0;
	int r = source_read(src, 0, head, sizeof(head), &n);
	enum db_engine engine = db_engine_of(span_of(head, r ? 0 : n));

	if (r == 0 && n == 0 && (content == CONTENT_TWOSKIP || content == CONTENT_LIST)) {
		say(checked, FINDING_DATABASE_CORRUPT, "it is empty");
		return;
	}
	if (r == 0 && engine == DB_FLAT && content == CONTENT_NONE)
		return;
	for (int tries = 0; r == 0 && tries < CHECK_TRIES; tries++) {
		r = check_in_order(conf, src, content, &off);
		if (r == -EAGAIN && tries < CHECK_TRIES - 1) {
			clock_sleep_ns(10 * NS_PER_MS);
			r = 0;
			continue;
		}
		break;
	}
	if (r == -EBADMSG) {
		checked->code = FINDING_DATABASE_CORRUPT;
		(void)snprintf(checked->detail, sizeof(checked->detail),
			       "%s: damaged at byte %" PRIu64, db_engine_name(engine), off);
	} else if (r == -EPROTONOSUPPORT) {
		/* Engines that are known and not read are no damage. */
		if (engine == DB_UNKNOWN && content != CONTENT_NONE)
			say(checked, FINDING_DATABASE_CORRUPT,
			    "its first bytes are those of no engine");
	} else if (r) {
		checked->error = r;
	} else if (engine == DB_TWOSKIP) {
		check_dirty(src, is_host, checked);
	}
}

static void check_file(const struct target *target, const char *path, enum content content,
		       struct checked *checked)
{
	struct image *image = target->image;
	struct source src = SOURCE_NULL;

	*checked = (struct checked){ .code = FINDING_CODE_COUNT_ };
	int r = image_open_source(image, path, &src);
	bool was_cached = r == 0 && src.fd >= 0 && !image_inside(image, path) &&
			  file_is_cached(src.fd);
	if (r)
		checked->error = r;
	else if (content == CONTENT_QUOTA || content == CONTENT_COUNTERS)
		check_text(&src, content, checked);
	else if (content == CONTENT_LEFTOVER)
		say(checked, FINDING_DATABASE_LEFTOVER, "older than a day");
	else
		check_db(&target->imapd_conf, &src, content, !image_inside(image, path), checked);
	if (r == 0 && !image_inside(image, path) && !was_cached)
		file_forget(src.fd);
	source_close(&src);
	if (checked->error && file_error_is_media(checked->error)) {
		say(checked, FINDING_DATABASE_UNREADABLE, strerror(-checked->error));
		checked->error = 0;
	}
}

/* ---- counters of nobody ---- */

/*
 * Cyrus makes the file when it opens it, to read too. So cyr_expire, when it goes through the
 * mailboxes of a user who was deleted, leaves an empty one behind, for good. Of a user who is there
 * it is damage: his modseqs began anew.
 */
struct owner {
	struct span id;	 /* of the INBOX: the directory of the file */
	struct buf name; /* of the INBOX, where files of users go by name */
	const char *deleted_prefix;
	bool is_listed;
};

static int is_owner(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx)
{
	struct owner *owner = ctx;

	(void)key;
	(void)restart; /* listed at some moment will do */
	if (!entry || mailbox_name_is_deleted(buf_span(&entry->name), owner->deleted_prefix))
		return 0;
	owner->is_listed |=
		(owner->id.len && span_equals(buf_span(&entry->unique_id), owner->id)) ||
		span_equals(buf_span(&entry->name), buf_span(&owner->name));
	return 0;
}

/* user/uuid/X/Y/ID/counters.db, user/X/NAME.counters, domain/X/DOMAIN/user/X/NAME.counters */
static int find_owner(struct owner *owner, const char *path)
{
	const char *leaf = strrchr(path, '/') + 1, *domain = strstr(path, "/domain/"), *end;

	*owner = (struct owner){ .name = BUF_NULL };
	if (strcmp(leaf, "counters.db") == 0) {
		const char *id = leaf - 1;
		while (id > path && id[-1] != '/')
			id--;
		owner->id = span_of(id, (size_t)(leaf - 1 - id));
		return 0;
	}
	if (domain && domain[8] && domain[9] == '/' && (end = strchr(domain + 10, '/')))
		buf_addf(&owner->name, "%.*s!", (int)(end - domain - 10), domain + 10);
	buf_addf(&owner->name, "user.%.*s", (int)(strlen(leaf) - strlen(".counters")), leaf);
	return buf_error(&owner->name);
}

/* 1: nobody's. What cannot be told is somebody's. */
static int is_nobodys(struct scanning *s, const char *path)
{
	struct owner owner;
	int r = find_owner(&owner, path);

	owner.deleted_prefix = imapd_conf_get(&s->target->imapd_conf, "deletedprefix", "DELETED");
	if (r == 0)
		r = list_walk(&s->target->imapd_conf, s->target->image, is_owner, &owner);
	buf_fini(&owner.name);
	return r == -ENOMEM ? r : r == 0 && !owner.is_listed;
}

/* ---- all files ---- */

static enum finding_code disposable_code(const struct suspect *suspect, enum finding_code code)
{
	return suspect->disposable && code == FINDING_DATABASE_CORRUPT ? FINDING_DATABASE_DISPOSABLE
								       : code;
}

/* Is it missed when it is not looked at? */
static bool is_wanted(enum content content, bool disposable)
{
	return content != CONTENT_NONE && content != CONTENT_LEFTOVER && !disposable;
}

/* What stands where a file should, and is none. */
static int on_no_file(struct walk *walk, const char *path, bool is_link)
{
	struct scanning *s = walk->s;

	s->databases_missed = true;
	/* Of the list the survey has said so. */
	if (!s->survey_whole && strcmp(path, buf_str(&walk->list)) == 0)
		return 0;
	return scanning_gap(s, NULL, path,
			    is_link ? "a symbolic link, which is not followed"
				    : "neither a file nor a directory");
}

static int on_file_content(struct walk *walk, const char *path, enum content content,
			   bool disposable)
{
	struct scanning *s = walk->s;
	struct checked checked;

	if (s->list_is_damaged && strcmp(path, buf_str(&walk->list)) == 0) {
		s->databases_missed = true; /* it has been said, and stays open */
		return 0;
	}
	check_file(s->target, path, content, &checked);
	if (checked.error == 0 && checked.code == FINDING_CODE_COUNT_)
		return 0;
	if (checked.error == -ENOENT)
		return 0; /* gone */
	if (checked.error == -ELOOP || checked.error == -EINVAL)
		return is_wanted(content, disposable)
			       ? on_no_file(walk, path, checked.error == -ELOOP)
			       : 0;
	if (walk->nr == SUSPECTS_MAX) {
		walk->left_out++;
		return 0;
	}
	struct suspect *suspect = &walk->suspects[walk->nr];
	*suspect = (struct suspect){ strdup(path), content, disposable, checked.code };
	if (!suspect->path)
		return -ENOMEM;
	walk->nr++;
	return 0;
}

struct level {
	struct walk *walk;
	const struct dir *dir;
	unsigned depth;
	bool in_quota, in_users;
};

static int walk_dir(struct walk *walk, const char *rel, unsigned depth, bool in_quota,
		    bool in_users);

static bool is_young(const struct level *level, const char *name)
{
	struct file_identity identity;

	return dir_identify(level->dir, name, &identity) ||
	       clock_wall_ns() - identity.ctime_ns < LEFTOVER_NS;
}

/* At the top only what holds users and quota roots is gone into. */
static bool is_wanted_dir(const struct level *level, const char *name)
{
	return level->depth > 0 || strcmp(name, "user") == 0 || strcmp(name, "quota") == 0 ||
	       strcmp(name, "domain") == 0;
}

/* The list and annotations are looked at where imapd.conf says that they are. */
static bool is_elsewhere(const struct level *level, const char *name)
{
	const struct imapd_conf *conf = &level->walk->s->target->imapd_conf;

	return level->depth == 0 && ((strcmp(name, "mailboxes.db") == 0 &&
				      imapd_conf_get(conf, "mboxlist_db_path", NULL)) ||
				     (strcmp(name, "annotations.db") == 0 &&
				      imapd_conf_get(conf, "annotation_db_path", NULL)));
}

/* Of a link that leads out it is not known; names of users and hashes have no dot, files have. */
static bool is_directory(const struct level *level, const char *name, const char *rel)
{
	struct scanning *s = level->walk->s;
	struct dir dir;
	int r = dir_open(&dir, s->target->image, s->conf_dir, rel);

	dir_close(&dir);
	return r == 0 || (r == -EXDEV && !(level->in_users && strchr(name, '.')));
}

/* Neither directory nor file, or a link that leads to one of them. */
static int on_other(const struct level *level, const char *name, const char *rel, unsigned type)
{
	enum content content = content_of(name, level->in_quota);
	bool is_link = type == DT_LNK;
	bool wanted = is_wanted(content, is_disposable(name)) && !is_elsewhere(level, name);

	/* Of directories, at the top, only some are gone into, and links to these are followed. */
	if (content == CONTENT_NONE && is_link && level->depth > 0)
		wanted = is_directory(level, name, rel);
	return wanted ? on_no_file(level->walk, buf_str(&level->walk->path), is_link) : 0;
}

static int on_entry(const char *name, uint64_t ino, unsigned type, void *ctx)
{
	struct level *level = ctx;
	struct walk *walk = level->walk;
	struct file_identity identity;
	size_t len = walk->path.len;
	int r = 0;

	(void)ino;
	if (name[0] == '.' || scanning_is_stopped(walk->s))
		return 0;
	if (type == DT_UNKNOWN && dir_identify(level->dir, name, &identity) == 0)
		type = IFTODT(identity.mode);
	buf_addf(&walk->path, "/%s", name);
	if (buf_error(&walk->path))
		return -ENOMEM;
	const char *rel = buf_str(&walk->path) + strlen(walk->s->conf_dir) + 1;
	/* A link that leads out of the configdirectory is a gap. */
	if (type == DT_DIR || (type == DT_LNK && level->depth == 0 && is_wanted_dir(level, name))) {
		bool in_domain = strncmp(rel, "domain/", 7) == 0;
		if (is_wanted_dir(level, name) && level->depth < DEPTH_MAX)
			r = walk_dir(walk, rel, level->depth + 1,
				     level->in_quota || (strcmp(name, "quota") == 0 &&
							 (level->depth == 0 || in_domain)),
				     level->in_users || (strcmp(name, "user") == 0 &&
							 (level->depth == 0 || in_domain)));
	} else if (type == DT_REG) {
		enum content content = content_of(name, level->in_quota);
		bool is_about_mail = level->in_quota || level->in_users || content != CONTENT_NONE;
		if (is_about_mail && !(content == CONTENT_LEFTOVER && is_young(level, name)))
			r = on_file_content(walk, buf_str(&walk->path), content,
					    is_disposable(name));
	} else {
		r = on_other(level, name, rel, type);
	}
	walk->path.len = len;
	if (walk->path.data)
		walk->path.data[len] = '\0';
	return r;
}

static int walk_dir(struct walk *walk, const char *rel, unsigned depth, bool in_quota,
		    bool in_users)
{
	struct scanning *s = walk->s;
	struct dir dir;
	struct level level = { walk, &dir, depth, in_quota, in_users };
	int r = dir_open(&dir, s->target->image, s->conf_dir, rel);

	if (r == 0)
		r = dir_list(&dir, on_entry, &level);
	dir_close(&dir);
	if (r == 0 || r == -ENOMEM || r == -ENOENT)
		return r == -ENOENT && depth ? 0 : r;
	s->databases_missed = true;
	return scanning_gap(s, NULL, buf_str(&walk->path), strerror(-r));
}

/* ---- what is said ---- */

static int tell_database(struct scanning *s, const struct suspect *suspect,
			 const struct checked *checked)
{
	enum finding_code code = disposable_code(suspect, checked->code);
	struct buf object = BUF_NULL;

	buf_addf(&object, OBJECT_DATABASE "%s", suspect->path);
	int r = buf_error(&object);
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.object = buf_str(&object),
			.path = span_of_str(suspect->path),
			.detail = *checked->detail ? checked->detail : NULL,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&object);
	return r;
}

/* The second look at a file, and more where the two do not agree. */
static int confirm_database(struct walk *walk, struct suspect *suspect)
{
	struct scanning *s = walk->s;
	struct checked checked = { .code = FINDING_CODE_COUNT_ };

	for (int looks = 1; looks < LOOKS_MAX && !scanning_is_stopped(s); looks++) {
		if (looks > 1)
			clock_sleep_ns(s->options->settle_ns);
		check_file(s->target, suspect->path, suspect->content, &checked);
		if (checked.error == 0 && checked.code == FINDING_CODE_COUNT_) {
			/*
			 * Good now. Where it was not before, whatever is open about it stays open.
			 */
			s->databases_missed |= suspect->first != FINDING_CODE_COUNT_;
			s->run.in_flight += suspect->first != FINDING_CODE_COUNT_;
			return 0;
		}
		if (checked.error == 0 && checked.code == suspect->first) {
			int r = checked.is_empty ? is_nobodys(s, suspect->path) : 0;
			return r < 0 ? r : r ? 0 : tell_database(s, suspect, &checked);
		}
		if (checked.error && checked.error != -EAGAIN)
			break;
		suspect->first = checked.code;
	}
	s->databases_missed = true;
	if (checked.error == -ENOENT || checked.error == 0 || checked.error == -EAGAIN) {
		s->run.in_flight++;
		return 0;
	}
	return scanning_gap(s, NULL, suspect->path, strerror(-checked.error));
}

static int walk_all(struct walk *walk)
{
	struct scanning *s = walk->s;
	const struct imapd_conf *conf = &s->target->imapd_conf;
	struct buf annotations = BUF_NULL;

	layout_add_mailboxes_db(&walk->list, conf);
	layout_add_annotations_db(&annotations, conf);
	buf_add_str(&walk->path, s->conf_dir);
	int r = buf_error(&walk->list) || buf_error(&annotations) || buf_error(&walk->path)
			? -ENOMEM
			: 0;
	/* Those in the configdirectory are come by anyway. */
	if (r == 0 && imapd_conf_get(conf, "mboxlist_db_path", NULL))
		r = on_file_content(walk, buf_str(&walk->list), CONTENT_LIST, false);
	if (r == 0 && imapd_conf_get(conf, "annotation_db_path", NULL))
		r = on_file_content(walk, buf_str(&annotations), CONTENT_TWOSKIP, false);
	if (r == 0)
		r = walk_dir(walk, ".", 0, false, false);
	buf_fini(&annotations);
	return r;
}

int databases_check(struct scanning *s)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	int r = walk ? 0 : -ENOMEM;

	if (r == 0) {
		walk->s = s;
		r = walk_all(walk);
	}
	if (r == 0 && walk->nr && !scanning_is_stopped(s))
		clock_sleep_ns(s->options->settle_ns);
	for (size_t i = 0; r == 0 && i < walk->nr && !scanning_is_stopped(s); i++)
		r = confirm_database(walk, &walk->suspects[i]);
	if (r == 0 && walk->left_out)
		r = scanning_gap(s, NULL, s->conf_dir,
				 "more databases are damaged than can be told");
	s->databases_whole = r == 0 && !s->databases_missed && !walk->left_out &&
			     !scanning_is_stopped(s);
	for (size_t i = 0; walk && i < walk->nr; i++)
		free(walk->suspects[i].path);
	if (walk) {
		buf_fini(&walk->path);
		buf_fini(&walk->list);
	}
	free(walk);
	return r;
}
