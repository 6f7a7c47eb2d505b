/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order is that in which a reader would ask: the list, where things are, cyrus.header, the
 * index with its records and their messages, the cache, annotations, and what all of them have to
 * agree on.
 */
#include "verify/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "digest/digest.h"
#include "format/cyrus/annotation.h"
#include "format/cyrus/db.h"
#include "verify/list.h"
#include "verify/meta.h"
#include "verify/observe.h"
#include "verify/select.h"

#define CACHE_TEXT 60 /* bytes of a cache item that are shown */

struct explaining {
	const struct target *target;
	struct mailbox *mailbox;
	struct mailbox_index ix;
	struct mailbox_header header;
	bool knows_header;
	struct cache_file caches[2];
	struct observer observer;
	struct buf path; /* of the file that is explained */
	char part[64];
	explain_fn fn;
	void *ctx;
	struct explain_summary *summary;
};

static void explain(struct explaining *e, enum explain_result result, const char *name,
		    const char *fmt, ...) printf_like(4, 5);

static void explain(struct explaining *e, enum explain_result result, const char *name,
		    const char *fmt, ...)
{
	char value[1024];
	struct explain_line line = { result, buf_str(&e->path), e->part, name, value };
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, args);
	va_end(args);
	e->summary->passed += result == EXPLAIN_PASSED;
	e->summary->failed += result == EXPLAIN_FAILED;
	e->summary->unknown += result == EXPLAIN_UNKNOWN;
	e->fn(&line, e->ctx);
}

static void explain_span(struct explaining *e, const char *name, struct span value)
{
	struct buf text = BUF_NULL;

	text_add_printable(&text, value);
	explain(e, EXPLAIN_VALUE, name, "%s", buf_str(&text));
	buf_fini(&text);
}

/* Ids and rights, a tab behind each, as words. */
static void explain_acl(struct explaining *e, const struct buf *acl)
{
	struct span rest = buf_span(acl);
	struct buf text = BUF_NULL;

	while (rest.len) {
		uint64_t len = span_find(rest, '\t');
		if (text.len)
			buf_add_char(&text, ' ');
		text_add_printable(&text, span_of(rest.data, len));
		len = min_of(len + 1, rest.len);
		rest = span_of(rest.data + len, rest.len - len);
	}
	explain(e, EXPLAIN_VALUE, "acl", "%s", buf_str(&text));
	buf_fini(&text);
}

static void begin_file(struct explaining *e, enum mailbox_file kind)
{
	const char *leaf = layout_file_name(kind);

	buf_clear(&e->path);
	mailbox_add_path(&e->path, e->mailbox, kind, leaf ? leaf : "");
	e->part[0] = '\0';
}

/* ---- the list ---- */

struct finding_entry {
	const struct target *target;
	const char *name;
	struct mailbox *mailbox;
};

static int on_entry(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx)
{
	struct finding_entry *wanted = ctx;
	cleanup(buf_fini) struct buf internal = BUF_NULL;
	cleanup(buf_fini) struct buf name_key = BUF_NULL;

	(void)key;
	if (restart)
		mailbox_unref(take(wanted->mailbox));
	mailbox_name_add_internal(&internal, &wanted->target->imapd_conf, wanted->name);
	if (!entry || buf_error(&internal) ||
	    (!span_equals_str(buf_span(&entry->name), wanted->name) &&
	     !span_equals(buf_span(&entry->name), buf_span(&internal))))
		return 0;
	buf_addf(&name_key, "name:%s", buf_str(&entry->name));
	struct mailbox_row row = {
		.key = buf_span(entry->unique_id.len ? &entry->unique_id : &name_key),
		.name = buf_span(&entry->name),
		.partition = buf_span(&entry->partition),
		.acl = buf_span(&entry->acl),
		.uidvalidity = entry->uidvalidity,
		.legacy_dirs = entry->legacy_dirs,
		.has_unique_id = entry->unique_id.len > 0,
	};
	mailbox_unref(take(wanted->mailbox));
	return mailbox_new(&wanted->target->imapd_conf, wanted->target->image, &row,
			   &wanted->mailbox);
}

static void explain_entry(struct explaining *e)
{
	const struct mailbox_entry *entry = &e->mailbox->entry;

	buf_clear(&e->path);
	layout_add_mailboxes_db(&e->path, e->mailbox->conf);
	(void)snprintf(e->part, sizeof(e->part), "entry");
	explain_span(e, "name", buf_span(&entry->name));
	explain_span(e, "unique_id", buf_span(&entry->unique_id));
	explain_span(e, "partition", buf_span(&entry->partition));
	explain_acl(e, &entry->acl);
	explain(e, EXPLAIN_VALUE, "uidvalidity", "%u", entry->uidvalidity);
	explain(e, EXPLAIN_VALUE, "directories", "%s",
		entry->legacy_dirs || entry->unique_id.len == 0 ? "by name" : "by unique id");
}

/* ---- cyrus.header ---- */

static void explain_header(struct explaining *e)
{
	uint32_t crc = 0;
	int r = meta_read_header(e->mailbox, &e->header, &crc);

	begin_file(e, MAILBOX_FILE_HEADER);
	e->knows_header = r == 0;
	if (r) {
		explain(e, r == -EBADMSG || r == -ENOENT ? EXPLAIN_FAILED : EXPLAIN_UNKNOWN,
			r == -ENOENT ? "header.missing" : "header.corrupt", "%s",
			r == -EBADMSG ? "outside the format" : strerror(-r));
		return;
	}
	explain(e, EXPLAIN_VALUE, "dialect", "%s", e->header.is_dlist ? "dlist" : "text");
	explain_span(e, "name", buf_span(&e->header.name));
	explain_span(e, "unique_id", buf_span(&e->header.unique_id));
	explain_span(e, "quota_root", buf_span(&e->header.quota_root));
	explain_acl(e, &e->header.acl);
	for (unsigned i = 0; i < e->header.nr_flags; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "flag %u", i);
		explain_span(e, name, span_of_str(mailbox_header_flag(&e->header, i)));
	}
	explain(e, EXPLAIN_VALUE, "crc", "%08x", crc);
}

/* ---- cyrus.index ---- */

static uint64_t number_at(struct span bytes, const struct index_field *field)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < field->len && i < 8 && field->off + i < bytes.len; i++)
		number = number << 8 | bytes.data[field->off + i];
	return number;
}

static void explain_field(struct explaining *e, struct span bytes, const struct index_field *field)
{
	uint64_t number = number_at(bytes, field);
	char text[128];
	struct span part;

	if (span_sub(bytes, field->off, field->len, &part))
		return;
	switch (field->kind) {
	case INDEX_FIELD_TIME:
	case INDEX_FIELD_TIME_NS:
		(void)text_time((int64_t)number * (field->kind == INDEX_FIELD_TIME ? NS_PER_S : 1),
				text, sizeof(text));
		explain(e, EXPLAIN_VALUE, field->name, "%" PRIu64 "%s%s%s", number,
			number ? " (" : "", number ? text : "", number ? ")" : "");
		break;
	case INDEX_FIELD_BITS:
	case INDEX_FIELD_GUID:
	case INDEX_FIELD_OPAQUE:
		text_hex(part.data, min_of(part.len, (uint64_t)32), text);
		explain(e, EXPLAIN_VALUE, field->name, "%s", text);
		break;
	case INDEX_FIELD_CRC:
		explain(e, EXPLAIN_VALUE, field->name, "%08" PRIx64, number);
		break;
	case INDEX_FIELD_SPARE:
		if (number)
			explain(e, EXPLAIN_VALUE, field->name, "%" PRIu64, number);
		break;
	case INDEX_FIELD_NUMBER:
		explain(e, EXPLAIN_VALUE, field->name, "%" PRIu64, number);
		break;
	}
}

static void explain_fields(struct explaining *e, struct span bytes,
			   const struct index_field *fields, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		explain_field(e, bytes, &fields[i]);
}

static int explain_index_header(struct explaining *e)
{
	uint8_t bytes[INDEX_HEADER_MAX];
	uint64_t n = 0;
	size_t nr = 0;

	begin_file(e, MAILBOX_FILE_INDEX);
	int r = mailbox_index_open(&e->ix, e->mailbox);
	if (r) {
		explain(e, r == -ENOENT ? EXPLAIN_FAILED : EXPLAIN_UNKNOWN,
			r == -ENOENT ? "index.missing" : "index.unreadable", "%s", strerror(-r));
		return r;
	}
	(void)snprintf(e->part, sizeof(e->part), "header");
	r = source_read(&e->ix.source, 0, bytes, sizeof(bytes), &n);
	if (r == 0) {
		const struct index_field *fields = index_header_fields(e->ix.header.version, &nr);
		explain_fields(e, span_of(bytes, n), fields, nr);
	}
	switch (e->ix.state) {
	case INDEX_GOOD:
		explain(e, index_has_crcs(&e->ix.header) ? EXPLAIN_PASSED : EXPLAIN_UNKNOWN,
			"index.header", "%s",
			index_has_crcs(&e->ix.header) ? "the CRC is right"
						      : "this version has no CRC");
		explain(e, EXPLAIN_PASSED, "index.truncated",
			"%u records of %u bytes fit into %" PRIu64 " bytes",
			e->ix.header.nr_records, e->ix.header.record_size, e->ix.identity.size);
		return 0;
	case INDEX_BAD_HEADER:
		explain(e, EXPLAIN_FAILED, "index.header", "its CRC or a size is wrong");
		break;
	case INDEX_SHORT:
		explain(e, EXPLAIN_FAILED, "index.truncated",
			"the file ends before its records do");
		break;
	case INDEX_FOREIGN:
		explain(e, EXPLAIN_UNKNOWN, "index.header", "version %u is not known",
			e->ix.header.version);
		break;
	case INDEX_GONE:
		explain(e, EXPLAIN_UNKNOWN, "index.header", "Cyrus is about to remove the mailbox");
		break;
	}
	return -EBADMSG;
}

/* The message of a live record, read from the disk. */
static void explain_message(struct explaining *e, const struct index_record *record)
{
	struct witness witness = witness_of_record(record);
	struct observation seen;
	char digest[2 * SHA1_LEN + 1] = "not read";

	observe_message(&e->observer, e->mailbox, &witness, &seen);
	struct judgement judgement = judge_message(&witness, &seen);
	if (seen.digested)
		text_hex(seen.digest, SHA1_LEN, digest);
	if (judgement.verdict == ASSAY_OK)
		explain(e, witness_is_proof(&witness) ? EXPLAIN_PASSED : EXPLAIN_UNKNOWN, "message",
			"%" PRIu64 " bytes, inode %" PRIu64 ", SHA-1 %s%s", seen.identity.size,
			seen.identity.ino, digest,
			witness_is_proof(&witness) ? "" : ", and none is recorded");
	else
		explain(e, judgement.verdict == ASSAY_UNKNOWN ? EXPLAIN_UNKNOWN : EXPLAIN_FAILED,
			judgement.verdict == ASSAY_UNKNOWN ? "message"
							   : finding_code_name(judgement.code),
			"%" PRIu64 " bytes, SHA-1 %s%s%s", seen.identity.size, digest,
			seen.error ? ": " : "", seen.error ? strerror(-seen.error) : "");
}

/* The cache record of a message, item by item. */
static void explain_cache(struct explaining *e, const struct index_record *record)
{
	unsigned which = record->flags & INDEX_FLAG_ARCHIVED &&
			 dir_is_open(&e->mailbox->archive_dir);
	struct cache_record cache;
	uint32_t crc = 0;

	if (!record->cache_offset)
		return;
	int r = e->caches[which].error;
	if (r == 0)
		r = cache_file_read(&e->caches[which], record->cache_offset, &cache, &crc);
	if (r) {
		explain(e, EXPLAIN_FAILED, "cache.record", "at byte %" PRIu64 ": %s",
			record->cache_offset,
			r == -ERANGE	? "not inside the file"
			: r == -EBADMSG ? "no cache record"
					: strerror(-r));
		return;
	}
	for (unsigned i = 0; i < CACHE_ITEMS; i++) {
		char name[40];
		(void)snprintf(name, sizeof(name), "cache %s", cache_item_name(i));
		struct span item = cache.items[i];
		bool cut = item.len > CACHE_TEXT;
		item.len = min_of(item.len, (uint64_t)CACHE_TEXT);
		struct buf text = BUF_NULL;
		text_add_printable(&text, item);
		explain(e, EXPLAIN_VALUE, name, "%s%s", buf_str(&text), cut ? "..." : "");
		buf_fini(&text);
	}
	explain(e,
		!record->cache_crc	   ? EXPLAIN_UNKNOWN
		: crc == record->cache_crc ? EXPLAIN_PASSED
					   : EXPLAIN_FAILED,
		"cache.record", "CRC %08x of %" PRIu64 " bytes at %" PRIu64, crc, cache.len,
		record->cache_offset);
}

/* System flags by name, user flags by theirs. */
static void explain_flags(struct explaining *e, const struct index_record *record)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ INDEX_FLAG_ANSWERED, "\\Answered" },
		{ INDEX_FLAG_FLAGGED, "\\Flagged" },
		{ INDEX_FLAG_DELETED, "\\Deleted" },
		{ INDEX_FLAG_DRAFT, "\\Draft" },
		{ INDEX_FLAG_SEEN, "\\Seen" },
		{ INDEX_FLAG_SNOOZED, "[snoozed]" },
		{ INDEX_FLAG_SPLIT, "[split]" },
		{ INDEX_FLAG_NEEDS_CLEANUP, "[needs cleanup]" },
		{ INDEX_FLAG_ARCHIVED, "[archived]" },
		{ INDEX_FLAG_UNLINKED, "[unlinked]" },
		{ INDEX_FLAG_EXPUNGED, "[expunged]" },
	};
	struct buf text = BUF_NULL;

	for (size_t i = 0; i < array_size(names); i++)
		if (record->flags & names[i].bit)
			buf_addf(&text, "%s%s", text.len ? " " : "", names[i].name);
	for (unsigned i = 0; i < INDEX_USER_FLAGS; i++)
		if (record->user_flags[i / 32] >> (i % 32) & 1) {
			const char *name = mailbox_header_flag(&e->header, i);
			buf_addf(&text, "%s", text.len ? " " : "");
			if (*name)
				text_add_printable(&text, span_of_str(name));
			else
				buf_addf(&text, "[user flag %u without a name]", i);
		}
	explain(e, EXPLAIN_VALUE, "flags are", "%s", text.len ? buf_str(&text) : "none");
	buf_fini(&text);
}

static int explain_record(struct explaining *e, uint32_t nr)
{
	uint8_t bytes[INDEX_RECORD_MAX];
	struct index_record record;
	struct span span = span_of(bytes, e->ix.header.record_size);
	uint32_t byte, bit;
	size_t nr_fields = 0;
	int r = mailbox_index_read(&e->ix, e->mailbox, nr, 1, bytes);

	if (r)
		return r;
	(void)snprintf(e->part, sizeof(e->part), "record %u", nr + 1);
	r = index_parse_record(&e->ix.header, span, &record);
	const struct index_field *fields = index_record_fields(e->ix.header.version, &nr_fields);
	explain_fields(e, span, fields, nr_fields);
	if (r) {
		if (index_find_flipped_bit(&e->ix.header, span, &byte, &bit))
			explain(e, EXPLAIN_FAILED, "index.record_crc",
				"one bit is flipped: bit %u of byte %u (%s)", bit, byte,
				index_field_name(&e->ix.header, byte));
		else
			explain(e, EXPLAIN_FAILED, "index.record_crc",
				"more than one bit is wrong");
		return 0;
	}
	if (index_has_crcs(&e->ix.header))
		explain(e, EXPLAIN_PASSED, "index.record_crc", "the CRC is right");
	if (record.uid == 0)
		return 0;
	explain_flags(e, &record);
	if (!(record.flags & INDEX_FLAG_UNLINKED))
		explain_message(e, &record);
	explain_cache(e, &record);
	return 0;
}

static void explain_records(struct explaining *e)
{
	int r = 0;

	for (uint32_t nr = 0; r == 0 && nr < e->ix.header.nr_records; nr++)
		r = explain_record(e, nr);
	if (r)
		explain(e, EXPLAIN_UNKNOWN, "index", "%s",
			r == -ESTALE ? "Cyrus has replaced it meanwhile: try again" : strerror(-r));
}

/* ---- cyrus.annotations ---- */

static void explain_annotations(struct explaining *e)
{
	const struct dir *dir = NULL;
	struct source src = SOURCE_NULL;
	struct annotation annotation;
	struct db db = DB_NULL;
	struct span key, value;
	struct dir own;
	int r = mailbox_dir_of(e->mailbox, MAILBOX_FILE_ANNOTATIONS, &own, &dir);

	begin_file(e, MAILBOX_FILE_ANNOTATIONS);
	if (r == 0)
		r = dir_open_source(dir, layout_file_name(MAILBOX_FILE_ANNOTATIONS), &src);
	if (r == 0)
		r = db_begin(&db, &src);
	while (r == 0) {
		r = db_next(&db, &key, &value);
		if (r == 0)
			r = annotation_parse(key, value, &annotation);
		if (r)
			break;
		cleanup(buf_fini) struct buf entry = BUF_NULL;
		(void)snprintf(e->part, sizeof(e->part), "message %u", annotation.uid);
		text_add_printable(&entry, annotation.entry);
		if (annotation.userid.len)
			buf_addf(&entry, " (%.*s)", (int)min_of(annotation.userid.len, 255u),
				 (const char *)annotation.userid.data);
		if (annotation.deleted)
			explain(e, EXPLAIN_VALUE, buf_str(&entry), "removed");
		else
			explain_span(e, buf_str(&entry), annotation.value);
	}
	db_fini(&db);
	source_close(&src);
	dir_close(&own);
	if (r && r != DB_END && r != -ENOENT)
		explain(e, r == -EBADMSG ? EXPLAIN_FAILED : EXPLAIN_UNKNOWN, "annotations.corrupt",
			"%s", r == -EBADMSG ? "damaged" : strerror(-r));
}

/* ---- what they have to agree on ---- */

static bool code_is_in(const struct report *report, enum finding_code code)
{
	for (size_t i = 0; i < report->nr; i++)
		if (report->problems[i].code == code)
			return true;
	return false;
}

static void explain_agreement(struct explaining *e)
{
	static const enum finding_code checks[] = {
		FINDING_INDEX_COUNTERS,	  FINDING_INDEX_SYNC_CRC,    FINDING_INDEX_MODSEQ,
		FINDING_INDEX_LAST_UID,	  FINDING_INDEX_UIDVALIDITY, FINDING_INDEX_NO_GUID,
		FINDING_INDEX_HEADER_SIZE, FINDING_INDEX_TAIL,	  FINDING_INDEX_WIPED,	     FINDING_INDEX_FUTURE,
		FINDING_HEADER_CRC,	  FINDING_HEADER_UNIQUE_ID,  FINDING_HEADER_NAME,
		FINDING_HEADER_ACL,	  FINDING_HEADER_FLAGS,	     FINDING_CACHE_GENERATION,
		FINDING_CACHE_RECORD,	  FINDING_CACHE_MISSING,     FINDING_ANNOTATIONS_CORRUPT,
		FINDING_MAILBOX_LEFTOVER,
	};
	struct meta_options options = { .with_cache = true, .now_ns = clock_wall_ns() };
	struct report report = REPORT_NULL;
	int r = meta_look(e->mailbox, &e->ix, &options, &report);

	buf_clear(&e->path);
	(void)snprintf(e->part, sizeof(e->part), "agreement");
	if (r || report.is_unsettled)
		explain(e, EXPLAIN_UNKNOWN, "index", "%s",
			r && r != -ESTALE ? strerror(-r) : "it changed meanwhile: try again");
	for (size_t i = 0; i < report.nr; i++) {
		const struct problem *problem = &report.problems[i];
		const char *name = finding_code_name(problem->code);
		explain(e, name ? EXPLAIN_FAILED : EXPLAIN_UNKNOWN, name ? name : problem->leaf,
			"%s%s%s%s%s%s", problem->detail, *problem->recorded ? "; recorded " : "",
			problem->recorded, *problem->observed ? "; observed " : "",
			problem->observed, "");
	}
	for (size_t i = 0; r == 0 && !report.is_unsettled && i < array_size(checks); i++)
		if (!code_is_in(&report, checks[i]))
			explain(e, EXPLAIN_PASSED, finding_code_name(checks[i]), "nothing found");
	report_fini(&report);
}

/* ---- all of it ---- */

static void open_caches(struct explaining *e)
{
	static const enum mailbox_file kinds[] = { MAILBOX_FILE_CACHE, MAILBOX_FILE_ARCHIVE_CACHE };

	for (unsigned i = 0; i < array_size(kinds); i++) {
		const struct dir *dir = NULL;
		struct dir own;
		int r = mailbox_dir_of(e->mailbox, kinds[i], &own, &dir);
		if (r == 0)
			r = cache_file_open(&e->caches[i], dir);
		e->caches[i].error = r;
		dir_close(&own);
		if (r)
			continue;
		begin_file(e, kinds[i]);
		explain(e, EXPLAIN_VALUE, "generation", "%u", e->caches[i].generation);
		explain(e, EXPLAIN_VALUE, "size", "%" PRIu64, e->caches[i].size);
	}
}

static void explain_all(struct explaining *e)
{
	explain_entry(e);
	explain_header(e);
	open_caches(e);
	if (explain_index_header(e) == 0) {
		explain_records(e);
		explain_annotations(e);
		explain_agreement(e);
	} else {
		explain_annotations(e);
	}
}

int explain_mailbox(const struct target *target, const char *name, const struct log *log,
		    explain_fn fn, void *ctx, struct explain_summary *ret_summary)
{
	struct finding_entry wanted = { target, name, NULL };
	struct explaining e = {
		.target = target,
		.ix = MAILBOX_INDEX_NULL,
		.header = MAILBOX_HEADER_NULL,
		.caches = { CACHE_FILE_NULL, CACHE_FILE_NULL },
		.observer = OBSERVER_NULL,
		.fn = fn,
		.ctx = ctx,
		.summary = ret_summary,
	};

	*ret_summary = (struct explain_summary){ 0 };
	int r = list_walk(&target->imapd_conf, target->image, on_entry, &wanted);
	if (r == 0 && !wanted.mailbox)
		r = log_error(log, -ENOENT, "%s: no mailbox of this name is listed", name);
	else if (r)
		r = log_error(log, r, "mailboxes.db: %s", r == -EBADMSG ? "damaged" : strerror(-r));
	if (r == 0) {
		e.mailbox = wanted.mailbox;
		r = mailbox_open_dirs(e.mailbox);
		if (r)
			r = log_error(log, r, "%s: its directory: %s", name, strerror(-r));
	}
	if (r == 0)
		r = observer_init(&e.observer);
	if (r == 0)
		explain_all(&e);
	mailbox_index_close(&e.ix);
	cache_file_close(&e.caches[0]);
	cache_file_close(&e.caches[1]);
	mailbox_header_fini(&e.header);
	observer_fini(&e.observer);
	mailbox_unref(wanted.mailbox);
	buf_fini(&e.path);
	return r;
}
