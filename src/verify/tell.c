/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tell: from a suspicion that was confirmed to a finding in words: what the witness says, what was
 * read, where. Detection (pass, pool) and conclusion (confirm) know nothing of this.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "verify/scanning.h"

#define IN_FLIGHT_MAX 65536 /* kept by name */
#define SECTORS_TOLD 8	    /* ranges in words; state and JSON have more */

void suspicion_object(const struct suspicion *what, char out[32])
{
	switch (what->kind) {
	case SUSPECT_MESSAGE:
	case SUSPECT_EXTRA:
		(void)snprintf(out, 32, "message:%" PRIu32, what->witness.uid);
		break;
	case SUSPECT_RECORD:
		(void)snprintf(out, 32, "record:%" PRIu32, what->record);
		break;
	case SUSPECT_INDEX:
		(void)snprintf(out, 32, "index");
		break;
	case SUSPECT_MAILBOX:
		(void)snprintf(out, 32, "mailbox");
		break;
	case SUSPECT_DUPLICATE:
		(void)snprintf(out, 32, "message:%" PRIu32, what->witness.uid);
		break;
	case SUSPECT_TIMES:
		(void)snprintf(out, 32, "times");
		break;
	case SUSPECT_META:
		(void)snprintf(out, 32, OBJECT_META);
		break;
	}
}

void suspicion_key(struct buf *b, struct span mailbox_key, const char *object)
{
	buf_add_span(b, mailbox_key);
	buf_add_char(b, '\0');
	buf_add_str(b, object);
}

int tell_problem_in_flight(struct scanning *s, const struct mailbox *mailbox, const char *object)
{
	struct buf key = BUF_NULL;

	s->run.in_flight++;
	if (s->in_flight.count >= IN_FLIGHT_MAX) {
		s->in_flight_overflow = true;
		return 0;
	}
	suspicion_key(&key, buf_span(&mailbox->key), object);
	int r = buf_error(&key);
	if (r == 0)
		r = map_put(&s->in_flight, buf_span(&key), 0);
	buf_fini(&key);
	return r < 0 ? r : 0;
}

/* Counted, and remembered so that this run closes no finding about it. */
int tell_in_flight(struct scanning *s, const struct suspicion *what)
{
	char object[32];

	suspicion_object(what, object);
	return tell_problem_in_flight(s, what->mailbox, object);
}

struct words {
	struct buf path;
	char recorded[64];
	char observed[96];
	char detail[1024];
	struct buf sectors; /* as state keeps them */
};

static void words_of_message(struct words *w, const struct suspicion *what, enum finding_code code)
{
	const struct observation *seen = &what->seen;
	char name[16];

	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", what->witness.uid);
	bool archived = what->witness.archived != seen->misplaced;
	mailbox_add_path(&w->path, what->mailbox,
			 archived ? MAILBOX_FILE_ARCHIVED : MAILBOX_FILE_MESSAGES, name);
	if (code == FINDING_MESSAGE_EXTRA)
		return;
	text_hex(what->witness.guid, SHA1_LEN, w->recorded);
	if (seen->digested)
		text_hex(seen->digest, SHA1_LEN, w->observed);
	else if (seen->is_symlink)
		(void)snprintf(w->observed, sizeof(w->observed), "a symbolic link");
	else
		(void)snprintf(w->observed, sizeof(w->observed), "%s",
			       seen->error == -ENOENT	? "no file"
			       : seen->error == -EINVAL ? "not a regular file"
			       : seen->error		? strerror(-seen->error)
							: "not read");
	int len = 0;
	if (code == FINDING_MESSAGE_SIZE || code == FINDING_MESSAGE_EMPTY)
		len = snprintf(w->detail, sizeof(w->detail), "%" PRIu64 " bytes recorded; ",
			       what->witness.size);
	if (seen->identity.ino && len >= 0)
		(void)snprintf(w->detail + len, sizeof(w->detail) - (size_t)len,
			       "inode %" PRIu64 ", link count %" PRIu32 ", %" PRIu64 " bytes, read %s",
			       seen->identity.ino, seen->identity.nlink, seen->identity.size,
			       seen->direct ? "from the disk" : "through the page cache");
}

static int tell(struct scanning *s, const struct suspicion *what, enum finding_code code,
	       struct words *w)
{
	char object[32];
	int r = buf_error(&w->path);

	suspicion_object(what, object);
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.mailbox_key = buf_span(&what->mailbox->key),
			.mailbox = buf_span(&what->mailbox->entry.name),
			.object = object,
			.uid = what->witness.uid,
			.record = what->record,
			.path = buf_span(&w->path),
			.recorded = *w->recorded ? w->recorded : NULL,
			.observed = *w->observed ? w->observed : NULL,
			.detail = *w->detail ? w->detail : NULL,
			.sectors = w->sectors.len ? buf_str(&w->sectors) : NULL,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&w->path);
	buf_fini(&w->sectors);
	return r;
}

/* Which sectors cannot be read, behind what is said of the file. */
static void words_of_sectors(struct words *w, const struct sectors *sectors)
{
	struct buf text = BUF_NULL;
	size_t len = strlen(w->detail);

	sectors_add_text(&text, sectors, SECTORS_TOLD);
	(void)snprintf(w->detail + len, sizeof(w->detail) - len, "%s%s", len ? "; unreadable: " : "",
		       buf_str(&text));
	buf_fini(&text);
	sectors_add_record(&w->sectors, sectors);
}

int tell_message(struct scanning *s, const struct suspicion *what, enum finding_code code,
		 const struct sectors *sectors)
{
	struct words w = { .path = BUF_NULL };

	words_of_message(&w, what, code);
	if (sectors)
		words_of_sectors(&w, sectors);
	return tell(s, what, code, &w);
}

/* A finding because of which messages could not be checked: a gap as well. */
static int tell_blocking(struct scanning *s, const struct suspicion *what, enum finding_code code,
			struct words *w, const char *gap)
{
	int r = scanning_gap(s, what->mailbox, buf_str(&w->path), gap);

	if (r) {
		buf_fini(&w->path);
		return r;
	}
	return tell(s, what, code, w);
}

int tell_gap(struct scanning *s, const struct suspicion *what, const char *why)
{
	struct words w = { .path = BUF_NULL };
	int r;

	if (what->kind == SUSPECT_MESSAGE || what->kind == SUSPECT_EXTRA ||
	    what->kind == SUSPECT_DUPLICATE || what->kind == SUSPECT_TIMES)
		words_of_message(&w, what, FINDING_MESSAGE_EXTRA);
	else
		mailbox_add_path(&w.path, what->mailbox, MAILBOX_FILE_INDEX, "cyrus.index");
	r = scanning_gap(s, what->mailbox, buf_str(&w.path), why);
	buf_fini(&w.path);
	return r;
}

int tell_times(struct scanning *s, const struct suspicion *what, const struct index_record *record)
{
	uint64_t nr = atomic_load(&what->mailbox->odd_times);
	struct words w = { .path = BUF_NULL };
	char name[16];

	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", what->witness.uid);
	mailbox_add_path(&w.path, what->mailbox,
			 what->witness.archived ? MAILBOX_FILE_ARCHIVED : MAILBOX_FILE_MESSAGES,
			 name);
	text_time(record->internaldate_ns, w.recorded, sizeof(w.recorded));
	text_time(what->seen.identity.mtime_ns, w.observed, sizeof(w.observed));
	(void)snprintf(w.detail, sizeof(w.detail),
		       "files of %" PRIu64 " good messages or more have another time than their record "
		       "says; this is one",
		       max_of(nr, UINT64_C(1)));
	return tell(s, what, FINDING_MESSAGE_TIMES, &w);
}

int tell_problem(struct scanning *s, struct mailbox *mailbox, const struct problem *problem)
{
	struct buf path = BUF_NULL;

	mailbox_add_path(&path, mailbox, problem->file, problem->leaf);
	int r = buf_error(&path);
	if (r == 0 && problem->code == FINDING_CODE_COUNT_) {
		r = scanning_gap(s, mailbox, buf_str(&path), problem->detail);
	} else if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(problem->code),
			.severity = finding_code_severity(problem->code),
			.code = finding_code_name(problem->code),
			.mailbox_key = buf_span(&mailbox->key),
			.mailbox = buf_span(&mailbox->entry.name),
			.object = problem->object,
			.uid = problem->uid,
			.record = problem->record,
			.path = buf_span(&path),
			.recorded = *problem->recorded ? problem->recorded : NULL,
			.observed = *problem->observed ? problem->observed : NULL,
			.detail = *problem->detail ? problem->detail : NULL,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&path);
	return r;
}

int tell_record(struct scanning *s, const struct suspicion *what,
		      const struct mailbox_index *ix, const uint8_t *bytes)
{
	struct words w = { .path = BUF_NULL };
	struct span record = span_of(bytes, ix->header.record_size);
	uint32_t stored = 0, byte, bit;

	mailbox_add_path(&w.path, what->mailbox, MAILBOX_FILE_INDEX, "cyrus.index");
	if (what->first.code == FINDING_INDEX_ORDER) {
		(void)snprintf(w.detail, sizeof(w.detail), "record %u of %u has a UID out of order",
			       what->record, ix->header.nr_records);
	} else if (span_be32(record, record.len - 4, &stored) == 0) {
		(void)snprintf(w.recorded, sizeof(w.recorded), "CRC %08x", stored);
		(void)snprintf(w.observed, sizeof(w.observed), "CRC %08x",
			       crc32_of(span_of(bytes, record.len - 4)));
		if (index_find_flipped_bit(&ix->header, record, &byte, &bit))
			(void)snprintf(w.detail, sizeof(w.detail),
				       "record %u of %u: one bit is flipped: bit %u of byte %u (%s)",
				       what->record, ix->header.nr_records, bit, byte,
				       index_field_name(&ix->header, byte));
		else
			(void)snprintf(w.detail, sizeof(w.detail),
				       "record %u of %u: more than one bit is wrong", what->record,
				       ix->header.nr_records);
	}
	return tell_blocking(s, what, what->first.code, &w,
			    "the message of a damaged index record cannot be verified");
}

int tell_index(struct scanning *s, const struct suspicion *what, const struct mailbox_index *ix,
		     enum finding_code code)
{
	struct words w = { .path = BUF_NULL };

	mailbox_add_path(&w.path, what->mailbox,
			 what->kind == SUSPECT_INDEX ? MAILBOX_FILE_INDEX : MAILBOX_FILE_MESSAGES,
			 what->kind == SUSPECT_INDEX ? "cyrus.index" : "");
	if (code == FINDING_INDEX_TRUNCATED)
		(void)snprintf(w.detail, sizeof(w.detail),
			       "the header announces %u records of %u bytes, the file has %" PRIu64
			       " bytes",
			       ix->header.nr_records, ix->header.record_size,
			       ix->identity.size);
	else if (code == FINDING_INDEX_HEADER)
		(void)snprintf(w.detail, sizeof(w.detail), "the header's CRC or sizes are wrong");
	else if (what->error)
		(void)snprintf(w.observed, sizeof(w.observed), "%s", strerror(-what->error));
	return tell_blocking(s, what, code, &w,
			    "the messages of this mailbox cannot be verified");
}
