/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pass: once through a mailbox. First the directory, then the index, so that a message delivered in
 * between has its record when the record is looked for. Each message file of the directory sets a
 * bit; each record of the index clears its bit and hands the message to the readers; the bits that
 * remain are files that no record knows.
 *
 * Memory does not grow with the mailbox: records come in runs, and the bits cover a window of 2^24
 * UIDs. A mailbox whose files reach beyond one window is listed again for each further one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "verify/scanning.h"

#define WINDOW_BITS 24
#define WINDOW_UIDS (1u << WINDOW_BITS)
#define RUN_RECORDS 1024
#define PASS_TRIES 8
#define SUSPICIONS_MAX 2048 /* before the scan stops to resolve them */

/* A message file as its directory shows it. */
struct seen_file {
	uint32_t uid;
	struct place place;
};

#define FILES_MAX (1u << 20) /* of a window that are remembered: others are read as files */

struct pass {
	struct scanning *s;
	struct mailbox *mailbox;
	struct mailbox_index ix;
	uint32_t window;     /* number of the window: UIDs [window << 24, (window + 1) << 24) */
	uint32_t max_in_window; /* highest bit set, relative */
	uint8_t has_files[256 / 8]; /* windows that hold a message file */
	struct seen_file *files;    /* of the window, ascending by UID once listed */
	size_t nr_files, files_cap;
	size_t next_file; /* records ascend as well */
	uint64_t expunged;
	uint64_t unproven; /* live, and no digest of them was ever recorded */
	struct meta meta;
};

static void bit_set(struct pass *p, uint32_t uid)
{
	uint32_t bit = uid & (WINDOW_UIDS - 1);

	p->s->uids[bit / 64] |= UINT64_C(1) << (bit % 64);
	p->max_in_window = max_of(p->max_in_window, bit);
}

static void pass_drop_bits(struct pass *p)
{
	memset(p->s->uids, 0, (p->max_in_window / 64 + 1) * sizeof(p->s->uids[0]));
	p->max_in_window = 0;
}

/* Clears the bits of [from, to], as far as they lie in the window. */
static void bits_clear(struct pass *p, uint64_t from, uint64_t to)
{
	uint64_t base = (uint64_t)p->window << WINDOW_BITS;

	from = max_of(from, base);
	to = min_of(to, base + p->max_in_window);
	for (uint64_t uid = from; uid <= to; uid++) {
		uint64_t bit = uid - base;
		p->s->uids[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
	}
}

/* Without the memory for it the message is read as a file. */
static void remember_file(struct pass *p, uint32_t uid, uint64_t ino, bool archive)
{
	if (p->nr_files == p->files_cap) {
		size_t cap = max_of(p->files_cap * 2, (size_t)256);
		struct seen_file *files =
			cap <= FILES_MAX ? reallocarray(p->files, cap, sizeof(*files)) : NULL;
		if (!files)
			return;
		p->files = files;
		p->files_cap = cap;
	}
	if (ino <= UINT32_MAX) /* ext4 has no other */
		p->files[p->nr_files++] =
			(struct seen_file){ uid, { (uint32_t)ino, archive } };
}

static int compare_files(const void *a, const void *b)
{
	const struct seen_file *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return (int)x->place.archive - (int)y->place.archive;
}

/*
 * Where the file of a message was seen: where its record says, if it was seen there. UIDs are asked
 * for in ascending order.
 */
static struct place place_of(struct pass *p, const struct witness *witness, bool *ret_is_twice)
{
	*ret_is_twice = false;
	while (p->next_file < p->nr_files && p->files[p->next_file].uid < witness->uid)
		p->next_file++;
	if (p->next_file == p->nr_files || p->files[p->next_file].uid != witness->uid)
		return (struct place){ 0, false };
	const struct seen_file *file = &p->files[p->next_file];
	*ret_is_twice = p->next_file + 1 < p->nr_files && file[1].uid == witness->uid;
	return *ret_is_twice && witness->archived ? file[1].place : file->place;
}

struct pass_listing {
	struct pass *p;
	bool archive;
};

static int on_file(const char *name, uint64_t ino, unsigned type, void *ctx)
{
	struct pass_listing *listing = ctx;
	struct pass *p = listing->p;
	uint32_t uid;

	if ((type != DT_REG && type != DT_UNKNOWN) || !layout_parse_message_name(name, &uid))
		return 0;
	uint32_t window = uid >> WINDOW_BITS;
	p->has_files[window / 8] |= (uint8_t)(1 << (window % 8));
	if (window == p->window) {
		bit_set(p, uid);
		remember_file(p, uid, ino, listing->archive);
	}
	return 0;
}

static int pass_list(struct pass *p)
{
	struct pass_listing messages = { p, false }, archive = { p, true };
	int r = 0;

	p->nr_files = p->next_file = 0;
	if (dir_is_open(&p->mailbox->message_dir))
		r = dir_list(&p->mailbox->message_dir, on_file, &messages);
	if (r == 0 && dir_is_open(&p->mailbox->archive_dir))
		r = dir_list(&p->mailbox->archive_dir, on_file, &archive);
	if (p->nr_files)
		qsort(p->files, p->nr_files, sizeof(p->files[0]), compare_files);
	return r;
}

static int pass_suspect_record(struct pass *p, uint32_t nr, enum finding_code code, uint32_t uid)
{
	struct suspicion what = {
		.kind = SUSPECT_RECORD,
		.record = nr + 1,
		.witness.uid = uid,
		.first = { finding_code_verdict(code), code },
	};

	return suspect(p->s, p->mailbox, &what);
}

/* Is the message there, and as large as its record says? Nothing of it is read. */
static int pass_look_for(struct pass *p, const struct witness *witness)
{
	struct suspicion what = { .kind = SUSPECT_MESSAGE, .witness = *witness };

	observe_presence(p->mailbox, witness, &what.seen);
	what.first = judge_message(witness, &what.seen);
	p->s->quick_messages++;
	/* Nothing but the digest is left to be known. */
	if (what.first.verdict == ASSAY_UNKNOWN && what.seen.error == 0)
		return 0;
	return suspect(p->s, p->mailbox, &what);
}

static int pass_submit(struct pass *p, const struct index_record *record)
{
	struct witness witness = witness_of_record(record);
	bool is_twice;
	struct place place = place_of(p, &witness, &is_twice);
	const struct scan_options *o = p->s->options;

	if (o->since_ns && max_of(record->internaldate_ns, record->last_updated_ns) < o->since_ns)
		return 0;
	if (is_twice && !(record->flags & INDEX_FLAG_NEEDS_CLEANUP)) {
		struct suspicion what = { .kind = SUSPECT_DUPLICATE, .witness = witness };
		int r = suspect(p->s, p->mailbox, &what);
		if (r)
			return r;
	}
	if (o->quick)
		return pass_look_for(p, &witness);
	p->unproven += !witness_is_proof(&witness);
	return roads_submit(p->s, p->mailbox, &witness, &place);
}

/* The CRC check must notice one flipped bit in a record that was just found good. */
static void pass_try_index_canary(struct pass *p, const uint8_t *bytes)
{
	struct index_record record;
	uint8_t copy[INDEX_RECORD_MAX];
	uint32_t size = p->ix.header.record_size;

	memcpy(copy, bytes, size);
	copy[size / 2] ^= 0x10;
	p->s->index_canary_planted = true;
	p->s->index_canary_found =
		index_parse_record(&p->ix.header, span_of(copy, size), &record) == -EBADMSG;
}

struct record_walk {
	uint32_t last_uid; /* of the last good record */
	bool after_bad;	   /* a damaged record stands between it and the next */
};

static int pass_record(struct pass *p, uint32_t nr, const uint8_t *bytes, struct record_walk *walk)
{
	struct index_record record;
	bool first_time = p->window == 0;
	int r = index_parse_record(&p->ix.header, span_of(bytes, p->ix.header.record_size), &record);

	if (r == -EBADMSG) {
		/* Its UID cannot be trusted: no file in the gap may be called extra for it. */
		walk->after_bad = true;
		if (first_time)
			meta_add_bad(&p->meta);
		return first_time ? pass_suspect_record(p, nr, FINDING_INDEX_RECORD_CRC, record.uid)
				  : 0;
	}
	if (r)
		return r;
	if (!p->s->index_canary_found && index_has_crcs(&p->ix.header))
		pass_try_index_canary(p, bytes);
	if (record.uid == 0) {
		if (first_time)
			meta_add(&p->meta, &record);
		return 0;
	}
	if (record.uid <= walk->last_uid) {
		/* Out of order, and yet a record: its file is not extra. */
		bits_clear(p, record.uid, record.uid);
		if (first_time)
			meta_add_bad(&p->meta);
		return first_time ? pass_suspect_record(p, nr, FINDING_INDEX_ORDER, record.uid) : 0;
	}
	bits_clear(p, walk->after_bad ? (uint64_t)walk->last_uid + 1 : record.uid, record.uid);
	walk->after_bad = false;
	walk->last_uid = record.uid;
	if (!first_time)
		return 0;
	meta_add(&p->meta, &record);
	if (!(record.flags & (INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED)))
		return pass_submit(p, &record);
	p->expunged++;
	return 0;
}

static int pass_make_room(struct pass *p)
{
	struct scanning *s = p->s;

	if (s->nr_suspicions + tally_count_suspicions(s->tally) > SUSPICIONS_MAX)
		return confirm(s, CONFIRM_ALL);
	return scanning_collect(s);
}

static int pass_index(struct pass *p)
{
	struct record_walk walk = { 0 };
	uint32_t nr = 0, size = p->ix.header.record_size;
	uint8_t *run = malloc((size_t)RUN_RECORDS * size);
	int r = run ? 0 : -ENOMEM;

	while (r == 0 && nr < p->ix.header.nr_records && !scanning_is_stopped(p->s)) {
		uint32_t count = min_of((uint32_t)RUN_RECORDS, p->ix.header.nr_records - nr);
		r = mailbox_index_read(&p->ix, p->mailbox, nr, count, run);
		for (uint32_t i = 0; r == 0 && i < count; i++)
			r = pass_record(p, nr + i, run + (size_t)i * size, &walk);
		nr += count;
		if (r == 0)
			r = pass_make_room(p);
	}
	if (walk.after_bad)
		bits_clear(p, (uint64_t)walk.last_uid + 1, UINT32_MAX);
	free(run);
	return r;
}

/*
 * Before version 12 expunged messages, whose files are still there, have their records in a file of
 * their own.
 */
static int pass_expunged(struct pass *p)
{
	struct mailbox_index ix = MAILBOX_INDEX_NULL;
	struct index_record record;
	int r = p->ix.header.version < 12 ? mailbox_expunge_open(&ix, p->mailbox) : -ENOENT;

	if (r == -ENOENT)
		return 0;
	if (r == 0 && ix.state != INDEX_GOOD)
		r = -EBADMSG;
	for (uint32_t nr = 0; r == 0 && nr < ix.header.nr_records; nr++) {
		r = mailbox_index_get(&ix, p->mailbox, nr, &record);
		if (r == 0)
			bits_clear(p, record.uid, record.uid);
		p->expunged += r == 0 && p->window == 0;
	}
	mailbox_index_close(&ix);
	if (r == 0 || r == -ESTALE)
		return r;
	pass_drop_bits(p);
	return scanning_gap(p->s, p->mailbox, "cyrus.expunge",
			    "cyrus.expunge cannot be read: files of expunged messages cannot be told "
			    "from extra ones");
}

/* What is left in the bitmap, file by file; the bitmap is empty afterwards. */
static int pass_suspect_extras(struct pass *p)
{
	uint32_t base = p->window << WINDOW_BITS;
	int r = 0;

	for (uint32_t word = 0; word <= p->max_in_window / 64; word++) {
		uint64_t bits = p->s->uids[word];
		p->s->uids[word] = 0;
		while (r == 0 && bits && !scanning_is_stopped(p->s)) {
			struct suspicion what = {
				.kind = SUSPECT_EXTRA,
				.witness.uid = base + word * 64 + (uint32_t)__builtin_ctzll(bits),
				.first = { ASSAY_EXTRA, FINDING_MESSAGE_EXTRA },
			};
			bits &= bits - 1;
			r = suspect(p->s, p->mailbox, &what);
			if (r == 0)
				r = pass_make_room(p);
		}
	}
	p->max_in_window = 0;
	return r;
}

static int pass_suspect_index(struct pass *p, enum finding_code code, int error)
{
	struct suspicion what = {
		.kind = SUSPECT_INDEX,
		.first = { finding_code_verdict(code), code },
		.error = error,
	};

	return suspect(p->s, p->mailbox, &what);
}

/* Says in the right way that the index cannot be used. 0 when that is done. */
static int pass_bad_index(struct pass *p, int error)
{
	char why[160];

	if (error == -ENOENT)
		return pass_suspect_index(p, FINDING_INDEX_MISSING, error);
	if (error && file_error_is_media(error))
		return pass_suspect_index(p, FINDING_INDEX_UNREADABLE, error);
	if (error == -ELOOP || error == -EINVAL) /* something else stands in its place */
		return pass_suspect_index(p, FINDING_INDEX_MISSING, error);
	if (error) {
		(void)snprintf(why, sizeof(why), "cyrus.index: %s", strerror(-error));
		return scanning_gap(p->s, p->mailbox, "cyrus.index", why);
	}
	if (p->ix.state == INDEX_BAD_HEADER)
		return pass_suspect_index(p, FINDING_INDEX_HEADER, 0);
	if (p->ix.state == INDEX_SHORT)
		return pass_suspect_index(p, FINDING_INDEX_TRUNCATED, 0);
	if (p->ix.state == INDEX_GONE)
		return 0; /* Cyrus is removing the mailbox: nothing in it is live */
	(void)snprintf(why, sizeof(why), "cyrus.index version %u is not known to this assay",
		       p->ix.header.version);
	return scanning_gap(p->s, p->mailbox, "cyrus.index", why);
}

static int pass_suspect_mailbox(struct pass *p, enum finding_code code, int error)
{
	struct suspicion what = {
		.kind = SUSPECT_MAILBOX,
		.first = { finding_code_verdict(code), code },
		.error = error,
	};

	return suspect(p->s, p->mailbox, &what);
}

static int pass_bad_dirs(struct pass *p, int error)
{
	char why[256];

	if (error == -ENOENT)
		return pass_suspect_mailbox(p, FINDING_MAILBOX_MISSING, error);
	if (file_error_is_media(error))
		return pass_suspect_mailbox(p, FINDING_MAILBOX_UNREADABLE, error);
	if (error == -ENODEV)
		(void)snprintf(why, sizeof(why),
			       "partition \"%.100s\" is not in imapd.conf, or its root is not there",
			       buf_str(&p->mailbox->entry.partition));
	else if (error == -EXDEV || error == -ELOOP)
		(void)snprintf(why, sizeof(why), "a symbolic link leads out of the partition");
	else
		(void)snprintf(why, sizeof(why), "directory: %s", strerror(-error));
	return scanning_gap(p->s, p->mailbox, "", why);
}

void pass_get_meta_options(const struct scanning *s, struct meta_options *ret_options)
{
	*ret_options = (struct meta_options){
		.with_cache = !s->options->quick,
		.now_ns = clock_wall_ns(),
		.leftover_ns = s->young_ns,
		.has_owner = s->has_owner,
		.owner = s->owner,
	};
}

static void pass_begin_meta(struct pass *p)
{
	struct meta_options options;

	pass_get_meta_options(p->s, &options);
	meta_fini(&p->meta);
	meta_begin(&p->meta, p->mailbox, &p->ix, &options);
	p->unproven = 0;
}

static int pass_end_meta(struct pass *p)
{
	struct suspicion what = { .kind = SUSPECT_META };
	char why[128];

	meta_end(&p->meta, &p->ix);
	/* It was good a moment ago: what it is now the next try finds out. */
	if (p->ix.state != INDEX_GOOD)
		return -ESTALE;
	what.report = p->meta.report;
	p->meta.report = REPORT_NULL;
	int r = what.report.has_failed ? -ENOMEM : 0;
	if (r || report_is_clean(&what.report))
		report_fini(&what.report);
	else
		r = suspect(p->s, p->mailbox, &what);
	if (r == 0 && p->meta.knows_header && p->meta.header.has_quota_root)
		r = quotas_add(p->s, buf_span(&p->meta.header.quota_root), &p->ix.header);
	if (r || p->unproven == 0)
		return r;
	(void)snprintf(why, sizeof(why),
		       "%" PRIu64 " messages have no SHA-1 in this index (version %u): only presence "
		       "and size were checked",
		       p->unproven, p->ix.header.version);
	return scanning_gap(p->s, p->mailbox, "cyrus.index", why);
}

/* One window: directory, index, leftovers. -ESTALE: Cyrus repacked, begin the window again. */
static int pass_window(struct pass *p)
{
	int r = pass_list(p);

	if (r) {
		pass_drop_bits(p);
		return pass_bad_dirs(p, r);
	}
	mailbox_index_close(&p->ix);
	r = mailbox_index_open(&p->ix, p->mailbox);
	if (r || p->ix.state != INDEX_GOOD) {
		pass_drop_bits(p);
		return pass_bad_index(p, r);
	}
	if (p->window == 0)
		pass_begin_meta(p);
	r = pass_index(p);
	if (r == 0 && p->window == 0 && !scanning_is_stopped(p->s))
		r = pass_end_meta(p);
	if (r == 0)
		r = pass_expunged(p);
	if (r == 0)
		r = pass_suspect_extras(p);
	else
		pass_drop_bits(p);
	return r;
}

static int pass_windows(struct pass *p)
{
	for (p->window = 0; p->window < 256; p->window++) {
		if (p->window && !(p->has_files[p->window / 8] & 1 << (p->window % 8)))
			continue;
		int r = -ESTALE;
		for (int tries = 0; r == -ESTALE && tries < PASS_TRIES; tries++) {
			p->expunged = p->window ? p->expunged : 0;
			r = pass_window(p);
		}
		if (r == -ESTALE || r == -ENODATA)
			r = scanning_gap(p->s, p->mailbox, "cyrus.index",
					 "cyrus.index was replaced under every attempt to read it");
		if (r)
			return r;
		if (p->ix.state != INDEX_GOOD)
			break;
	}
	return 0;
}

int pass_mailbox(struct scanning *s, struct mailbox *mailbox)
{
	struct pass p = {
		.s = s,
		.mailbox = mailbox,
		.ix = MAILBOX_INDEX_NULL,
		.meta = META_NULL,
	};

	atomic_store(&mailbox->pending, 1);
	mailbox->started_ns = clock_wall_ns();
	s->nr_open_mailboxes++;
	roads_begin_pass(s, mailbox);
	int r = mailbox_open_dirs(mailbox);
	if (r)
		r = pass_bad_dirs(&p, r);
	else
		r = pass_windows(&p);
	mailbox_index_close(&p.ix);
	meta_fini(&p.meta);
	free(p.files);
	s->run.expunged += p.expunged;
	roads_end_pass(s);
	/* From here on the mailbox belongs to the pool, which hands it back when all is done. */
	tally_count_down(s->tally, mailbox);
	return r;
}
