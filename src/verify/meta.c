/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of reading matters: index header, then the other files, then the records, then the
 * index header again. Cyrus renames cyrus.header before it writes the index header that has its
 * CRC, commits annotations before it, and appends to the cache before records point there: whatever
 * it does in between shows in the index header.
 */
#include "verify/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "digest/digest.h"

#define RUN_RECORDS 1024
#define CACHE_PROBLEMS_MAX 64		 /* by name */
#define FUTURE_NS (24 * 3600 * NS_PER_S) /* clocks of hosts and time zones differ by less */

static const char *name_of(enum mailbox_file kind)
{
	const char *name = layout_file_name(kind);

	return name ? name : "";
}

/* ---- files: owner, leftovers ---- */

static void look_at_owner(struct meta *meta, enum mailbox_file kind, const char *leaf,
			  const struct file_identity *identity)
{
	const struct meta_options *o = &meta->options;
	bool is_dir = S_ISDIR(identity->mode);
	unsigned wanted = is_dir ? S_IRWXU : S_IRUSR | S_IWUSR;

	if (!o->has_owner || meta->mailbox->image)
		return;
	if (identity->uid == o->owner && (identity->mode & wanted) == wanted)
		return;
	struct problem *problem = report_add(&meta->report, FINDING_MAILBOX_OWNER, kind, leaf,
					     "owner:%s", *leaf ? leaf : "directory");
	(void)snprintf(problem->recorded, sizeof(problem->recorded), "user %u", o->owner);
	(void)snprintf(problem->observed, sizeof(problem->observed), "user %u, mode %03o",
		       identity->uid, identity->mode & 0777);
	(void)snprintf(problem->detail, sizeof(problem->detail),
		       "Cyrus runs as user %u, which mailboxes.db belongs to, and cannot use this",
		       o->owner);
}

static void look_for_leftover(struct meta *meta, const struct dir *dir, enum mailbox_file kind)
{
	struct file_identity identity;
	char leaf[40];

	(void)snprintf(leaf, sizeof(leaf), "%s.NEW", name_of(kind));
	if (dir_identify(dir, leaf, &identity) ||
	    meta->options.now_ns - identity.ctime_ns < meta->options.leftover_ns)
		return;
	struct problem *problem = report_add(&meta->report, FINDING_MAILBOX_LEFTOVER, kind, leaf,
					     "leftover:%s", leaf);
	(void)snprintf(problem->detail, sizeof(problem->detail), "%" PRIu64 " bytes",
		       identity.size);
}

/* Looks at what stands beside the files: `kind` is where. */
static void look_around(struct meta *meta, enum mailbox_file kind)
{
	const struct dir *dir = NULL;
	struct file_identity identity;
	struct dir own;

	if (mailbox_dir_of(meta->mailbox, kind, &own, &dir) == 0) {
		if (kind != MAILBOX_FILE_MESSAGES)
			look_for_leftover(meta, dir, kind);
		if (dir_identify(dir, name_of(kind), &identity) == 0)
			look_at_owner(meta, kind, name_of(kind), &identity);
	}
	dir_close(&own);
}

static void look_for_expunge(struct meta *meta, const struct mailbox_index *ix)
{
	struct file_identity identity;

	/* Since version 12 expunged records stay in the index. */
	if (ix->header.version < 12 ||
	    dir_identify(&meta->mailbox->index_dir, "cyrus.expunge", &identity))
		return;
	struct problem *problem = report_add(&meta->report, FINDING_MAILBOX_EXPUNGE,
					     MAILBOX_FILE_INDEX, "cyrus.expunge", "expunge");
	(void)snprintf(problem->detail, sizeof(problem->detail),
		       "%" PRIu64 " bytes, beside an index of version %u", identity.size,
		       ix->header.version);
}

/* The time in the name of a deleted mailbox, as eight hexadecimal digits at its end. */
static void look_at_name(struct meta *meta)
{
	const struct mailbox *mailbox = meta->mailbox;
	struct span name = buf_span(&mailbox->entry.name);
	const char *prefix = imapd_conf_get(mailbox->conf, "deletedprefix", "DELETED");
	uint64_t stamp = 0;

	if (name.len < 9 || name.data[name.len - 9] != '.' ||
	    !mailbox_name_is_deleted(name, prefix))
		return;
	for (uint64_t i = name.len - 8; i < name.len; i++) {
		uint8_t c = name.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')))
			return;
		stamp = stamp << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'A' + 10);
	}
	if ((int64_t)stamp * NS_PER_S <= meta->options.now_ns + FUTURE_NS)
		return;
	struct problem *problem = report_add(&meta->report, FINDING_MAILBOX_FUTURE,
					     MAILBOX_FILE_MESSAGES, "", "deleted_at");
	(void)snprintf(problem->detail, sizeof(problem->detail),
		       "its name says that it was deleted at %" PRIu64 ", which is yet to come",
		       stamp);
}

/* ---- cyrus.header ---- */

static int header_read(const struct mailbox *mailbox, struct buf *content)
{
	const struct dir *dir = NULL;
	struct source src = SOURCE_NULL;
	struct dir own;
	uint64_t size = 0, n = 0;
	int r = mailbox_dir_of(mailbox, MAILBOX_FILE_HEADER, &own, &dir);

	if (r == 0)
		r = dir_open_source(dir, name_of(MAILBOX_FILE_HEADER), &src);
	if (r == 0)
		r = source_size(&src, &size);
	if (r == 0 && size > MAILBOX_HEADER_LEN_MAX)
		r = -EBADMSG;
	if (r == 0)
		r = buf_reserve(content, size + 1);
	if (r == 0)
		r = source_read(&src, 0, content->data, size, &n);
	content->len = r ? 0 : n;
	source_close(&src);
	dir_close(&own);
	return r;
}

int meta_read_header(const struct mailbox *mailbox, struct mailbox_header *header,
		     uint32_t *ret_crc)
{
	cleanup(buf_fini) struct buf content = BUF_NULL;
	int r = header_read(mailbox, &content);

	if (r)
		return r;
	if (ret_crc)
		*ret_crc = crc32_of(buf_span(&content));
	return mailbox_header_parse(buf_span(&content), header);
}

static void header_problem(struct meta *meta, enum finding_code code, int error)
{
	struct problem *problem = report_add(&meta->report, code, MAILBOX_FILE_HEADER,
					     name_of(MAILBOX_FILE_HEADER), "header");

	if (code == FINDING_HEADER_CORRUPT)
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "its beginning or its content is not that of a cyrus.header");
	else
		(void)snprintf(problem->observed, sizeof(problem->observed), "%s",
			       error == -ENOENT	  ? "no file"
			       : error == -ELOOP  ? "a symbolic link"
			       : error == -EINVAL ? "not a regular file"
						  : strerror(-error));
}

static void look_at_header(struct meta *meta)
{
	int r = meta_read_header(meta->mailbox, &meta->header, &meta->header_crc);

	meta->knows_header = r == 0;
	if (r == -ENOENT || r == -ELOOP || r == -EINVAL)
		header_problem(meta, FINDING_HEADER_MISSING, r);
	else if (r == -EBADMSG)
		header_problem(meta, FINDING_HEADER_CORRUPT, r);
	else if (r && file_error_is_media(r))
		header_problem(meta, FINDING_HEADER_UNREADABLE, r);
	else if (r == -ENOMEM)
		meta->report.has_failed = true;
	else if (r)
		report_add_gap(&meta->report, MAILBOX_FILE_HEADER, name_of(MAILBOX_FILE_HEADER),
			       "%s", strerror(-r));
}

/* ---- cyrus.annotations ---- */

static void look_at_annotations(struct meta *meta, const struct mailbox_index *ix)
{
	const char *leaf = name_of(MAILBOX_FILE_ANNOTATIONS);
	const struct mailbox *mailbox = meta->mailbox;
	const char *prefix = imapd_conf_get(mailbox->conf, "deletedprefix", "DELETED");
	cleanup(buf_fini) struct buf owner = BUF_NULL;
	const struct dir *dir = NULL;
	struct dir own;

	(void)mailbox_name_add_user(&owner, buf_span(&mailbox->entry.name), prefix);
	int r = mailbox_dir_of(mailbox, MAILBOX_FILE_ANNOTATIONS, &own, &dir);
	if (r == 0)
		r = annotations_load(&meta->annotations, dir, ix->header.version, buf_span(&owner));
	else if (r == -ENOENT)
		r = 0;
	dir_close(&own);
	meta->knows_annotations = r == 0;
	if (r == -EBADMSG) {
		struct problem *problem = report_add(&meta->report, FINDING_ANNOTATIONS_CORRUPT,
						     MAILBOX_FILE_ANNOTATIONS, leaf, "annotations");
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the record at byte %" PRIu64 " is damaged",
			       meta->annotations.bad_off);
	} else if (r && file_error_is_media(r)) {
		struct problem *problem = report_add(&meta->report, FINDING_ANNOTATIONS_UNREADABLE,
						     MAILBOX_FILE_ANNOTATIONS, leaf, "annotations");
		(void)snprintf(problem->observed, sizeof(problem->observed), "%s", strerror(-r));
	} else if (r) {
		report_add_gap(&meta->report, MAILBOX_FILE_ANNOTATIONS, leaf, "%s",
			       r == -E2BIG	       ? "more annotations than can be summed up"
			       : r == -EPROTONOSUPPORT ? "an engine that is not known here"
			       : r == -EAGAIN	       ? "it changed under every attempt to read it"
						       : strerror(-r));
	}
}

/* ---- cyrus.cache ---- */

static enum mailbox_file cache_kind(unsigned which)
{
	return which ? MAILBOX_FILE_ARCHIVE_CACHE : MAILBOX_FILE_CACHE;
}

static struct problem *cache_problem(struct meta *meta, unsigned which, enum finding_code code)
{
	return report_add(&meta->report, code, cache_kind(which), name_of(cache_kind(which)), "%s",
			  which ? "archive_cache" : "cache");
}

/* Says once what is wrong with the file as a whole; its records are passed over then. */
static void cache_is_unusable(struct meta *meta, unsigned which, int error)
{
	struct problem *problem;

	meta->cache_is_bad[which] = true;
	if (error == -ENOENT || error == -ELOOP || error == -EINVAL) {
		problem = cache_problem(meta, which, FINDING_CACHE_MISSING);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "records of the index point into it");
		problem->is_between = true;
	} else if (error == -EBADMSG) {
		problem = cache_problem(meta, which, FINDING_CACHE_GENERATION);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "it is shorter than its generation number");
		problem->is_between = true;
	} else if (file_error_is_media(error)) {
		problem = cache_problem(meta, which, FINDING_CACHE_UNREADABLE);
		(void)snprintf(problem->observed, sizeof(problem->observed), "%s",
			       strerror(-error));
	} else {
		report_add_gap(&meta->report, cache_kind(which), name_of(cache_kind(which)), "%s",
			       strerror(-error));
	}
}

static void cache_open(struct meta *meta, unsigned which)
{
	struct cache_file *file = &meta->caches[which];
	const struct dir *dir = NULL;
	struct dir own;
	int r = mailbox_dir_of(meta->mailbox, cache_kind(which), &own, &dir);

	if (r == 0)
		r = cache_file_open(file, dir);
	dir_close(&own);
	meta->cache_is_open[which] = true;
	if (r) {
		cache_is_unusable(meta, which, r);
	} else if (file->generation != meta->generation) {
		struct problem *problem = cache_problem(meta, which, FINDING_CACHE_GENERATION);
		meta->cache_is_bad[which] = true;
		problem->is_between = true;
		(void)snprintf(problem->recorded, sizeof(problem->recorded), "%u",
			       meta->generation);
		(void)snprintf(problem->observed, sizeof(problem->observed), "%u",
			       file->generation);
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "the index has generation %u, its cache %u", meta->generation,
			       file->generation);
	}
}

static void cache_record_is_bad(struct meta *meta, unsigned which,
				const struct index_record *record, int error, uint32_t crc)
{
	if (meta->nr_cache_bad++ >= CACHE_PROBLEMS_MAX)
		return;
	struct problem *problem = report_add(&meta->report, FINDING_CACHE_RECORD, cache_kind(which),
					     name_of(cache_kind(which)), "cache:%u", record->uid);
	problem->uid = record->uid;
	(void)snprintf(problem->recorded, sizeof(problem->recorded), "CRC %08x", record->cache_crc);
	if (error == 0)
		(void)snprintf(problem->observed, sizeof(problem->observed), "CRC %08x", crc);
	(void)snprintf(problem->detail, sizeof(problem->detail),
		       "the record at byte %" PRIu64 " %s", record->cache_offset,
		       error == -ERANGE ? "does not lie inside the file"
		       : error		? "is no cache record"
					: "is damaged");
}

/* A good cache record knows how long the header of its message is, and so does the index. */
static void look_at_header_size(struct meta *meta, const struct index_record *record,
				const struct cache_record *cache)
{
	uint32_t size;

	if (cache_parse_header_size(cache, &size) || size == record->header_size ||
	    meta->nr_header_sizes_bad++ >= CACHE_PROBLEMS_MAX)
		return;
	struct problem *problem =
		report_add(&meta->report, FINDING_INDEX_HEADER_SIZE, MAILBOX_FILE_INDEX,
			   name_of(MAILBOX_FILE_INDEX), "header_size:%u", record->uid);
	problem->uid = record->uid;
	(void)snprintf(problem->recorded, sizeof(problem->recorded), "%u", record->header_size);
	(void)snprintf(problem->observed, sizeof(problem->observed), "%u", size);
	(void)snprintf(problem->detail, sizeof(problem->detail),
		       "the record says that the header has %u bytes, the cache says %u",
		       record->header_size, size);
}

static void look_at_cache(struct meta *meta, const struct index_record *record)
{
	struct cache_record cache;
	uint32_t crc = 0;

	/* 0: none was written, or none was digested. */
	if (!meta->options.with_cache || !record->cache_offset || !record->cache_crc)
		return;
	unsigned which = record->flags & INDEX_FLAG_ARCHIVED &&
			 dir_is_open(&meta->mailbox->archive_dir);
	if (!meta->cache_is_open[which])
		cache_open(meta, which);
	if (meta->cache_is_bad[which])
		return;
	int r = cache_file_read(&meta->caches[which], record->cache_offset, &cache, &crc);
	if (r == 0 && crc == record->cache_crc) {
		look_at_header_size(meta, record, &cache);
		return;
	}
	if (r && r != -ERANGE && r != -EBADMSG)
		cache_is_unusable(meta, which, r);
	else
		cache_record_is_bad(meta, which, record, r, crc);
}

static void say_more_bad_cache(struct meta *meta)
{
	if (meta->nr_cache_bad <= CACHE_PROBLEMS_MAX)
		return;
	struct problem *problem = report_add(&meta->report, FINDING_CACHE_RECORD,
					     MAILBOX_FILE_CACHE, name_of(MAILBOX_FILE_CACHE),
					     "cache:more");
	(void)snprintf(problem->detail, sizeof(problem->detail), "%u records more are damaged",
		       meta->nr_cache_bad - CACHE_PROBLEMS_MAX);
}

/* ---- the look ---- */

void meta_begin(struct meta *meta, const struct mailbox *mailbox, const struct mailbox_index *ix,
		const struct meta_options *options)
{
	struct file_identity identity;

	*meta = (struct meta){
		.options = *options,
		.mailbox = mailbox,
		.report = REPORT_NULL,
		.header = MAILBOX_HEADER_NULL,
		.annotations = ANNOTATIONS_NULL,
		.caches = { CACHE_FILE_NULL, CACHE_FILE_NULL },
		.generation = ix->header.generation,
		.index_crc = ix->header_crc,
	};
	look_at_name(meta);
	look_at_header(meta);
	look_at_annotations(meta, ix);
	look_around(meta, MAILBOX_FILE_INDEX);
	look_around(meta, MAILBOX_FILE_HEADER);
	look_around(meta, MAILBOX_FILE_CACHE);
	look_around(meta, MAILBOX_FILE_ANNOTATIONS);
	look_for_expunge(meta, ix);
	if (dir_is_open(&mailbox->index_dir) && !mailbox->image &&
	    dir_identify(&mailbox->index_dir, "", &identity) == 0)
		look_at_owner(meta, MAILBOX_FILE_INDEX, "", &identity);
	index_sums_init(&meta->sums, ix->header.version, meta->knows_header ? &meta->header : NULL);
}

static void count(uint32_t *nr, uint32_t *first, uint32_t uid)
{
	if ((*nr)++ == 0)
		*first = uid;
}

static bool has_guid(const struct index_record *record)
{
	for (size_t i = 0; i < sizeof(record->guid); i++)
		if (record->guid[i])
			return true;
	return false;
}

void meta_add(struct meta *meta, const struct index_record *record)
{
	struct record_counts *counts = &meta->counts;
	bool is_expunged = record->flags & INDEX_FLAG_EXPUNGED;

	index_sums_add(&meta->sums, record);
	if (record->uid == 0) {
		counts->wiped++;
		return;
	}
	uint32_t crc = annotations_take(&meta->annotations, record->uid);
	if (!is_expunged)
		index_sums_add_annotation(&meta->sums, crc);
	if (!is_expunged && meta->sums.version >= 10 && !has_guid(record))
		count(&counts->no_guid, &counts->first_no_guid, record->uid);
	if (record->createdmodseq && record->modseq && record->createdmodseq > record->modseq)
		count(&counts->created_late, &counts->first_created_late, record->uid);
	if (record->last_updated_ns > meta->options.now_ns + FUTURE_NS)
		count(&counts->future, &counts->first_future, record->uid);
	look_at_cache(meta, record);
}

void meta_add_bad(struct meta *meta)
{
	meta->counts.bad++;
}

void meta_end(struct meta *meta, struct mailbox_index *ix)
{
	const struct mailbox_entry *entry = &meta->mailbox->entry;
	int r = mailbox_index_look(ix);

	say_more_bad_cache(meta);
	if (r || ix->state != INDEX_GOOD || ix->header_crc != meta->index_crc) {
		meta->report.is_unsettled = true;
		if (meta->knows_header)
			agree_header(&meta->report, &meta->header, meta->header_crc, NULL, entry);
		return;
	}
	agree_index(&meta->report, &ix->header, ix->identity.size, &meta->sums, &meta->counts,
		    meta->knows_header, meta->knows_annotations);
	agree_entry(&meta->report, entry, &ix->header);
	/* Cyrus has written cyrus.header since 3.6, and so has it the list. */
	if (meta->knows_header && meta->header.is_dlist &&
	    span_starts_with(buf_span(&meta->mailbox->key), "name:")) {
		struct problem *problem = report_add(&meta->report, FINDING_LIST_NO_ID,
						     MAILBOX_FILE_HEADER,
						     name_of(MAILBOX_FILE_HEADER), "no_id");
		(void)snprintf(problem->detail, sizeof(problem->detail),
			       "mailboxes.db has no unique id for this mailbox");
	}
	if (meta->knows_header) {
		agree_header(&meta->report, &meta->header, meta->header_crc, &ix->header, entry);
		agree_flags(&meta->report, &meta->sums);
	}
}

void meta_fini(struct meta *meta)
{
	report_fini(&meta->report);
	mailbox_header_fini(&meta->header);
	annotations_fini(&meta->annotations);
	for (unsigned i = 0; i < array_size(meta->caches); i++)
		cache_file_close(&meta->caches[i]);
	*meta = META_NULL;
}

static int look_at_records(struct meta *meta, const struct mailbox *mailbox,
			   struct mailbox_index *ix)
{
	uint32_t size = ix->header.record_size, last_uid = 0;
	uint8_t *run = malloc((size_t)RUN_RECORDS * size);
	int r = run ? 0 : -ENOMEM;

	for (uint32_t nr = 0; r == 0 && nr < ix->header.nr_records; nr += RUN_RECORDS) {
		uint32_t count = min_of((uint32_t)RUN_RECORDS, ix->header.nr_records - nr);
		r = mailbox_index_read(ix, mailbox, nr, count, run);
		for (uint32_t i = 0; r == 0 && i < count; i++) {
			struct index_record record;
			int parsed = index_parse_record(
				&ix->header, span_of(run + (size_t)i * size, size), &record);
			if (parsed || (record.uid && record.uid <= last_uid)) {
				meta_add_bad(meta);
				continue;
			}
			last_uid = max_of(last_uid, record.uid);
			meta_add(meta, &record);
		}
	}
	free(run);
	return r;
}

int meta_look(const struct mailbox *mailbox, struct mailbox_index *ix,
	      const struct meta_options *options, struct report *ret_report)
{
	struct meta meta;

	*ret_report = REPORT_NULL;
	meta_begin(&meta, mailbox, ix, options);
	int r = look_at_records(&meta, mailbox, ix);
	if (r == 0) {
		meta_end(&meta, ix);
		*ret_report = meta.report;
		meta.report = REPORT_NULL;
	}
	meta_fini(&meta);
	return r;
}
