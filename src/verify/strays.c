/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strays: what lies on the partitions and belongs to no mailbox: directories of mailboxes that are
 * not listed, and what deliveries and replication have left in their staging directories.
 *
 * A mailbox is made and removed while this looks. So a stray must be older than any such moment,
 * and still be there, and not be listed, when the whole list has been read once more.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "format/cyrus/layout.h"
#include "verify/list.h"
#include "verify/scanning.h"

#define DEPTH_MAX 64 /* directories below a root; names of mailboxes are shorter */
#define STRAYS_MAX 4096
#define LEFTOVER_NS (24 * 3600 * NS_PER_S)

struct stray {
	struct buf path;
	struct buf key; /* unique id, or name */
	bool by_name;
	bool is_listed; /* after all */
};

struct walk {
	struct scanning *s;
	const char *const *roots;
	size_t nr_roots;
	const char *root;
	struct buf rel; /* below the root */
	struct stray *strays;
	size_t nr, cap;
	uint64_t left_out;
	uint64_t nr_leftovers; /* in the staging directory that is walked */
	bool missed;	       /* something was not looked at */
	/* What to say of that, the first of it; no error where somebody else has said it. */
	struct buf missed_path;
	int missed_error;
};

/* What a directory holds of a mailbox. */
struct content {
	struct walk *walk;
	const struct dir *dir;
	bool is_mailbox;
	unsigned depth;
	bool is_staging;
};

static int walk_dir(struct walk *walk, unsigned depth, bool is_staging);

static int note_missed(struct walk *walk, const char *path, int error)
{
	walk->missed = true;
	if (walk->missed_error)
		return 0;
	walk->missed_error = error;
	buf_add_str(&walk->missed_path, path);
	return buf_error(&walk->missed_path);
}

static int note_missed_dir(struct walk *walk, int error)
{
	struct buf path = BUF_NULL;

	buf_addf(&path, "%s%s%s", walk->root, walk->rel.len ? "/" : "", buf_str(&walk->rel));
	int r = buf_error(&path);
	if (r == 0)
		r = note_missed(walk, buf_str(&path), error);
	buf_fini(&path);
	return r;
}

static int stray_add(struct walk *walk, struct span key, bool by_name)
{
	if (walk->nr == STRAYS_MAX) {
		walk->left_out++;
		return 0;
	}
	if (walk->nr == walk->cap) {
		size_t cap = max_of(walk->cap * 2, (size_t)16);
		struct stray *strays = reallocarray(walk->strays, cap, sizeof(*strays));
		if (!strays)
			return -ENOMEM;
		walk->strays = strays;
		walk->cap = cap;
	}
	struct stray *stray = &walk->strays[walk->nr++];
	*stray = (struct stray){ .by_name = by_name };
	buf_addf(&stray->path, "%s/%s", walk->root, buf_str(&walk->rel));
	buf_add_span(&stray->key, key);
	return buf_error(&stray->path) ? -ENOMEM : buf_error(&stray->key);
}

/* A directory with files of a mailbox in it: is that mailbox listed? */
static int on_mailbox_dir(struct walk *walk, const struct dir *dir)
{
	struct scanning *s = walk->s;
	const char *rel = buf_str(&walk->rel);
	cleanup(buf_fini) struct buf name = BUF_NULL;
	struct file_identity identity;
	struct mailbox_row row;
	bool by_id = strncmp(rel, "uuid/", 5) == 0 && strlen(rel) > 9;
	struct span key = by_id ? span_of_str(rel + 9) : SPAN_NULL; /* uuid/X/Y/ID */
	int r;

	if (by_id) {
		r = state_mailbox_find_key(s->state, s->target_id, s->run.id, key, &row);
	} else {
		if (layout_parse_mailbox_dir(&name, &s->target->imapd_conf, rel))
			key = buf_span(&name);
		if (buf_error(&name))
			return -ENOMEM;
		/* Where no mailbox can be, Cyrus finds none. */
		if (key.len == 0)
			return 0;
		r = state_mailbox_find_name(s->state, s->target_id, s->run.id, key, &row);
		if (r == 0 && row.has_unique_id && !row.legacy_dirs)
			r = -ENOENT; /* its files are elsewhere, by its unique id */
	}
	if (r != -ENOENT)
		return r;
	if (dir->image == NULL && dir_identify(dir, "", &identity) == 0 &&
	    clock_wall_ns() - identity.ctime_ns < s->young_ns)
		return 0;
	return stray_add(walk, key, !by_id);
}

static bool is_mailbox_file(const char *name)
{
	uint32_t uid;

	return strcmp(name, "cyrus.index") == 0 || strcmp(name, "cyrus.header") == 0 ||
	       layout_parse_message_name(name, &uid);
}

/* A root below another one is gone through for itself. */
static bool is_another_root(const struct walk *walk)
{
	size_t len = strlen(walk->root);

	for (size_t i = 0; i < walk->nr_roots; i++) {
		const char *other = walk->roots[i];
		if (strncmp(other, walk->root, len) == 0 && other[len] == '/' &&
		    strcmp(other + len + 1, buf_str(&walk->rel)) == 0)
			return true;
	}
	return false;
}

static int on_entry(const char *name, uint64_t ino, unsigned type, void *ctx)
{
	struct content *content = ctx;
	struct walk *walk = content->walk;
	struct file_identity identity;
	size_t len = walk->rel.len;
	int r = 0;

	(void)ino;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || scanning_is_stopped(walk->s))
		return 0;
	if (type == DT_UNKNOWN && dir_identify(content->dir, name, &identity) == 0)
		type = IFTODT(identity.mode);
	if (type != DT_DIR) {
		content->is_mailbox |= is_mailbox_file(name);
		if (content->is_staging && dir_identify(content->dir, name, &identity) == 0)
			walk->nr_leftovers += clock_wall_ns() - identity.ctime_ns > LEFTOVER_NS;
		return 0;
	}
	if (content->depth == 0 && strcmp(name, "lost+found") == 0)
		return 0;
	buf_addf(&walk->rel, "%s%s", len ? "/" : "", name);
	if (buf_error(&walk->rel))
		return -ENOMEM;
	if (is_another_root(walk)) {
		walk->rel.len = len;
		walk->rel.data[len] = '\0';
		return 0;
	}
	bool is_staging = content->is_staging ||
			  (content->depth == 0 &&
			   (strcmp(name, "stage.") == 0 || strcmp(name, "sync.") == 0));
	if (content->depth < DEPTH_MAX)
		r = walk_dir(walk, content->depth + 1, is_staging);
	walk->rel.len = len;
	walk->rel.data[len] = '\0';
	return r;
}

static int tell_stray(struct scanning *s, enum finding_code code, const char *path,
		      struct span mailbox, const char *detail)
{
	struct buf object = BUF_NULL;

	buf_addf(&object, OBJECT_STRAY "%s", path);
	int r = buf_error(&object);
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.mailbox = mailbox,
			.object = buf_str(&object),
			.path = span_of_str(path),
			.detail = detail,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&object);
	return r;
}

/* A day old is old enough for no second look: whoever made them is gone. */
static int tell_leftovers(struct walk *walk)
{
	struct buf path = BUF_NULL;
	char detail[96];

	buf_addf(&path, "%s/%s", walk->root, buf_str(&walk->rel));
	(void)snprintf(detail, sizeof(detail), "%" PRIu64 " files older than a day",
		       walk->nr_leftovers);
	int r = buf_error(&path);
	if (r == 0)
		r = tell_stray(walk->s, FINDING_SPOOL_LEFTOVER, buf_str(&path), SPAN_NULL, detail);
	buf_fini(&path);
	return r;
}

/* Mailboxes by unique id are listed or not; what is listed need not be looked into. */
static bool is_listed_by_id(struct walk *walk)
{
	const char *rel = buf_str(&walk->rel);
	struct scanning *s = walk->s;
	struct mailbox_row row;

	return strncmp(rel, "uuid/", 5) == 0 && strlen(rel) > 9 &&
	       state_mailbox_find_key(s->state, s->target_id, s->run.id, span_of_str(rel + 9),
				      &row) == 0;
}

static int walk_dir(struct walk *walk, unsigned depth, bool is_staging)
{
	struct scanning *s = walk->s;
	struct dir dir;
	struct content content = {
		.walk = walk, .dir = &dir, .depth = depth, .is_staging = is_staging
	};
	bool is_stage = is_staging && depth == 1;

	if (is_listed_by_id(walk))
		return 0;
	if (is_stage)
		walk->nr_leftovers = 0;
	int r = dir_open(&dir, s->target->image, walk->root, depth ? buf_str(&walk->rel) : ".");
	if (r == 0)
		r = dir_list(&dir, on_entry, &content);
	if (r == 0 && content.is_mailbox && !is_staging)
		r = on_mailbox_dir(walk, &dir);
	dir_close(&dir);
	if (r == 0 && is_stage && walk->nr_leftovers)
		r = tell_leftovers(walk);
	if (r == 0 || r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r == -ENOMEM)
		return r;
	/* Without the root nothing lies there; of mailboxes that should, their passes have said it. */
	if (r == -ENODEV && depth == 0) {
		walk->missed = true;
		return 0;
	}
	return note_missed_dir(walk, r);
}

/* ---- the second look ---- */

static int on_listed(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx)
{
	struct walk *walk = ctx;

	(void)key;
	for (size_t i = 0; i < walk->nr; i++) {
		struct stray *stray = &walk->strays[i];
		if (restart)
			stray->is_listed = false;
		if (entry &&
		    span_equals(buf_span(&stray->key),
				buf_span(stray->by_name ? &entry->name : &entry->unique_id)) &&
		    (!stray->by_name || entry->legacy_dirs || entry->unique_id.len == 0))
			stray->is_listed = true;
	}
	return 0;
}

static bool is_still_there(struct scanning *s, const struct stray *stray)
{
	struct dir dir;
	int r = dir_open(&dir, s->target->image, buf_str(&stray->path), ".");

	dir_close(&dir);
	return r == 0;
}

static int strays_confirm(struct walk *walk)
{
	struct scanning *s = walk->s;

	clock_sleep_ns(s->options->settle_ns);
	int r = list_walk(&s->target->imapd_conf, s->target->image, on_listed, walk);
	if (r == -ENOMEM)
		return r;
	if (r)
		return note_missed(walk, "mailboxes.db", r);
	for (size_t i = 0; r == 0 && i < walk->nr; i++) {
		const struct stray *stray = &walk->strays[i];
		if (stray->is_listed || !is_still_there(s, stray))
			s->run.in_flight++;
		else
			r = tell_stray(s, FINDING_MAILBOX_UNLISTED, buf_str(&stray->path),
				       stray->by_name ? buf_span(&stray->key) : SPAN_NULL,
				       stray->by_name
					       ? "the directory of a mailbox that is not listed"
					       : "the directory of a unique id that is not listed");
	}
	return r;
}

/* ---- all roots ---- */

static bool is_root(const struct imapd_option *option)
{
	static const char *const kinds[] = { "partition-", "metapartition-", "archivepartition-",
					     "metadir-" };

	for (size_t k = 0; k < array_size(kinds); k++)
		if (strncmp(option->name, kinds[k], strlen(kinds[k])) == 0)
			return option->value[0] == '/';
	return false;
}

/*
 * The directories that imapd.conf names for partitions of any kind, each once, into `roots`, which
 * has room for each option.
 */
static size_t find_roots(const struct imapd_conf *conf, const char **roots)
{
	size_t nr = 0;

	for (size_t i = 0; i < conf->nr_options; i++) {
		const char *value = conf->options[i].value;
		bool wanted = is_root(&conf->options[i]);
		for (size_t k = 0; wanted && k < nr; k++)
			wanted = strcmp(roots[k], value) != 0;
		if (wanted)
			roots[nr++] = value;
	}
	return nr;
}

/* What was not looked at, or not kept: once, whatever there is of it. */
static int tell_missed(struct walk *walk)
{
	struct buf why = BUF_NULL;
	int r = 0;

	if (walk->missed_error) {
		buf_addf(&why, "%s: directories that belong to no mailbox may have been left out",
			 walk->missed_error == -EBADMSG ? "damaged"
							: strerror(-walk->missed_error));
		r = buf_error(&why);
		if (r == 0)
			r = scanning_gap(walk->s, NULL, buf_str(&walk->missed_path), buf_str(&why));
	}
	if (r == 0 && walk->left_out)
		r = scanning_gap(walk->s, NULL, walk->roots[0],
				 "more directories belong to no mailbox than can be told");
	buf_fini(&why);
	return r;
}

static int walk_all(struct walk *walk)
{
	struct scanning *s = walk->s;
	int r = 0;

	for (size_t i = 0; r == 0 && i < walk->nr_roots && !scanning_is_stopped(s); i++) {
		walk->root = walk->roots[i];
		buf_clear(&walk->rel);
		r = walk_dir(walk, 0, false);
	}
	if (r == 0 && walk->nr && !scanning_is_stopped(s))
		r = strays_confirm(walk);
	return r ? r : tell_missed(walk);
}

int strays_check(struct scanning *s)
{
	const struct imapd_conf *conf = &s->target->imapd_conf;
	const char **roots = calloc(max_of(conf->nr_options, (size_t)1), sizeof(*roots));
	struct walk walk = { .s = s, .roots = roots };

	if (!roots)
		return -ENOMEM;
	walk.nr_roots = find_roots(conf, roots);
	int r = walk_all(&walk);
	s->strays_whole = r == 0 && !walk.missed && !walk.left_out && !scanning_is_stopped(s);
	for (size_t i = 0; i < walk.nr; i++) {
		buf_fini(&walk.strays[i].path);
		buf_fini(&walk.strays[i].key);
	}
	free(walk.strays);
	free(roots);
	buf_fini(&walk.rel);
	buf_fini(&walk.missed_path);
	return r;
}
