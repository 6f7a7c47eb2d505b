// SPDX-License-Identifier: Apache-2.0
/*
 * Which checksum covers a byte, known from the good files alone and without the code under test:
 *
 *	message		the SHA-1 in its record, where it is live and the version is 10 or above
 *	cyrus.index	since version 12 the CRC of the header and one of each record
 *	cyrus.header	since version 12 the CRC of the whole file, in the header of cyrus.index
 *	cyrus.cache	the CRC of each record, in cyrus.index; its first word stands in both
 *	twoskip		the CRC of the header, and of head and tail of each record; filler is always the same
 *	counters	the CRC at its end
 *
 * No checksum knows its place: a whole record of index or twoskip that was written over another one
 * is told by structure only.
 *
 * All else nothing covers: skiplist, flat and text, what lies behind the end of what is in use, and
 * whether a file is there at all, but for messages and the files that each mailbox has.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "campaign/cyrus_parts.h"

#define FLAG_ARCHIVED 0x20000000u
#define FLAG_UNLINKED 0x40000000u
#define FLAG_EXPUNGED 0x80000000u
#define CACHE_ITEMS 10
#define GAP_ANYWAY "an index of version 6 to 8 is a gap anyway"
#define MISPLACED "another record in its place has a CRC that is right"
#define TWOSKIP_FIRST 64 /* bytes: the header before it */

static const char filler[] = "\x20\x42\x4c\x41\x4e\x4b\x07\xa0";

static uint32_t word_at(struct span bytes, uint64_t off)
{
	uint32_t word = 0;

	return span_be32(bytes, off, &word) ? 0 : word;
}

/* Is the CRC of `len` bytes at `off` the word at `crc_off`? False beyond the end. */
static bool crc_is_right(struct span bytes, uint64_t off, uint64_t len, uint64_t crc_off)
{
	struct span covered;
	uint32_t crc;

	return span_sub(bytes, off, len, &covered) == 0 && span_be32(bytes, crc_off, &crc) == 0 &&
	       crc == (len ? crc32(0, covered.data, (uInt)len) : 0);
}

static struct expected *expect(struct oracle *oracle, const char *path, const char *codes)
{
	static struct expected nowhere;

	if (oracle->nr == EXPECTED_MAX)
		return &nowhere; /* as many as a scan is asked for */
	struct expected *expected = &oracle->expected[oracle->nr++];
	*expected = (struct expected){ .path = path, .codes = codes };
	return expected;
}

static void expect_object(struct oracle *oracle, const char *path, const char *codes,
			  const char *object, uint32_t nr)
{
	struct expected *expected = expect(oracle, path, codes);

	(void)snprintf(expected->object, sizeof(expected->object), "%s%u", object, nr);
}

/* ---- cyrus.index ---- */

struct index {
	struct span bytes;
	uint32_t version, start, record_size, nr;
};

struct record {
	uint32_t uid, flags, cache_crc;
	uint64_t cache_off;
	bool has_guid;
};

static struct index index_of(struct span bytes)
{
	return (struct index){ bytes, word_at(bytes, 8), word_at(bytes, 12), word_at(bytes, 16),
			       word_at(bytes, 20) };
}

static struct record record_of(const struct index *index, uint32_t nr)
{
	uint64_t off = index->start + (uint64_t)nr * index->record_size;
	struct record record = {
		.uid = word_at(index->bytes, off),
		.flags = word_at(index->bytes, off + 32),
		.cache_off = word_at(index->bytes, off + 24) |
			     (uint64_t)(word_at(index->bytes, off + 56) >> 16) << 32,
		.cache_crc = index->version < 12
				     ? 0
				     : word_at(index->bytes, off + index->record_size - 8),
	};

	for (uint64_t i = 0; index->version >= 10 && i < 20; i += 4)
		record.has_guid |= word_at(index->bytes, off + 60 + i) != 0;
	return record;
}

static void ask_index(struct oracle *oracle, const struct damage *damage)
{
	struct index index = index_of(buf_span(&damage->before));
	uint64_t end = index.start + (uint64_t)index.nr * index.record_size;
	const char *path = damage->file->path;

	if (damage->type == DAMAGE_REMOVED) {
		expect_object(oracle, path, "index.missing", "index", 0);
		oracle->expected[0].object[5] = '\0';
		return;
	}
	if (index.version < 12) {
		oracle->why = index.version < 9 ? GAP_ANYWAY
						: "an index of version 9 or 10 has no CRC";
		return;
	}
	if (damage_hits(damage, 0, index.start)) {
		(void)expect(oracle, path, "index.header index.truncated");
		return;
	}
	if (damage->after.len < end) {
		(void)expect(oracle, path, "index.truncated");
		return;
	}
	oracle->why = "behind the last record";
	for (uint32_t nr = 0; nr < index.nr; nr++) {
		uint64_t off = index.start + (uint64_t)nr * index.record_size;
		uint32_t len = index.record_size - 4;
		if (!damage_hits(damage, off, index.record_size))
			continue;
		if (crc_is_right(buf_span(&damage->after), off, len, off + len)) {
			oracle->is_misplaced = true;
			oracle->why = MISPLACED;
		} else {
			expect_object(oracle, path, "index.record_crc", "record:", nr + 1);
		}
	}
}

/* ---- what cyrus.index has witnesses of ---- */

/* The index of the mailbox of a file, whose content is then in `content`. */
static int read_index(const struct stores *stores, const struct store_file *file,
		      struct buf *content, struct index *ret_index)
{
	const struct store_file *index = stores_find(stores, file, FILE_INDEX_HEADER);
	FILE *stream = index ? fopen(index->path, "rb") : NULL;
	uint8_t bytes[4096];
	size_t n;

	*ret_index = (struct index){ .bytes = SPAN_NULL };
	buf_clear(content);
	if (!stream)
		return -ENOENT;
	while ((n = fread(bytes, 1, sizeof(bytes), stream)) > 0)
		buf_add(content, bytes, n);
	(void)fclose(stream);
	*ret_index = index_of(buf_span(content));
	return buf_error(content);
}

static void ask_one_message(struct oracle *oracle, const struct index *index,
			    const struct store_file *file, const struct damage *damage)
{
	struct record record = { 0 };

	for (uint32_t nr = 0; nr < index->nr && record.uid != file->uid; nr++)
		record = record_of(index, nr);
	if (record.uid != file->uid)
		oracle->why = "the message has no record in the index";
	else if (index->version < 9)
		oracle->why = GAP_ANYWAY;
	else if (record.flags & (FLAG_EXPUNGED | FLAG_UNLINKED))
		oracle->why = "the message is expunged";
	else if (damage->type == DAMAGE_REMOVED)
		expect_object(oracle, file->path, "message.missing", "message:", record.uid);
	else if (!record.has_guid)
		oracle->why = "an index of version 9 has no SHA-1";
	else
		expect_object(oracle, file->path,
			      damage->after.len == 0			? "message.empty"
			      : damage->after.len != damage->before.len ? "message.size"
									: "message.digest",
			      "message:", record.uid);
}

static bool is_same_inode(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A file has a name for each mailbox that it was delivered or copied to. */
static int ask_message(struct oracle *oracle, const struct stores *stores,
		       const struct damage *damage)
{
	struct buf content cleanup(buf_fini) = BUF_NULL;
	struct index index;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < stores->nr_files; i++) {
		const struct store_file *file = &stores->files[i];
		if (file->kind > FILE_ARCHIVED_MESSAGE ||
		    (file != damage->file && (damage->type == DAMAGE_REMOVED ||
					      !is_same_inode(file->path, damage->file->path))))
			continue;
		r = read_index(stores, file, &content, &index);
		if (r == 0)
			ask_one_message(oracle, &index, file, damage);
	}
	return r;
}

static void ask_header(struct oracle *oracle, const struct index *index,
		       const struct damage *damage)
{
	if (index->version < 9)
		oracle->why = GAP_ANYWAY;
	else if (damage->type == DAMAGE_REMOVED)
		(void)expect(oracle, damage->file->path, "header.missing");
	else if (index->version < 12 || word_at(index->bytes, 96) == 0)
		oracle->why = "an index of version 9 or 10 has no CRC of it";
	else
		(void)expect(oracle, damage->file->path, "header.crc header.corrupt");
}

/* The length of a record, with the lengths and the padding of its items. */
static uint64_t cache_record_len(struct span bytes, uint64_t off)
{
	uint64_t at = off;

	for (unsigned i = 0; i < CACHE_ITEMS; i++)
		at += 4 + ((uint64_t)word_at(bytes, at) + 3) / 4 * 4;
	return at - off;
}

static void ask_cache(struct oracle *oracle, const struct index *index, const struct damage *damage,
		      bool has_archive)
{
	const char *path = damage->file->path;
	bool is_archive = damage->file->kind == FILE_ARCHIVE_CACHE, is_used = false;

	oracle->why = index->version < 9    ? GAP_ANYWAY
		      : index->version < 12 ? "an index of version 9 or 10 has no CRC of it"
					    : "no record of the index points there";
	for (uint32_t nr = 0; nr < index->nr; nr++) {
		struct record record = record_of(index, nr);
		bool is_here = (has_archive && record.flags & FLAG_ARCHIVED) == is_archive;
		if (!is_here || !record.cache_off || !record.cache_crc)
			continue;
		is_used = true;
		if (damage_hits(damage, record.cache_off,
				cache_record_len(buf_span(&damage->before), record.cache_off)))
			expect_object(oracle, path, "cache.record", "cache:", record.uid);
	}
	/* Of a file that is not the index's own no record is believed. */
	if (is_used && (damage->type == DAMAGE_REMOVED || damage_hits(damage, 0, 4))) {
		oracle->nr = 0;
		(void)expect(oracle, path,
			     damage->type == DAMAGE_REMOVED ? "cache.missing" : "cache.generation");
	}
}

/* ---- databases ---- */

static const char *corrupt_codes(enum file_kind kind)
{
	return kind == FILE_ANNOTATIONS ? "annotations.corrupt"
	       : kind == FILE_LIST	? "mailboxes_db.corrupt database.corrupt"
					: "database.corrupt";
}

/*
 * The length of what begins at `off`: filler, or a record with its tail, whose CRCs are right. 0:
 * neither.
 */
static uint64_t twoskip_len(struct span bytes, uint64_t off)
{
	struct span head;
	uint64_t key_len, value_len, head_len, tail_len;

	if (span_sub(bytes, off, 8, &head))
		return 0;
	if (memcmp(head.data, filler, 8) == 0)
		return 8;
	if (!memchr("=+-$", head.data[0], 4))
		return 0;
	key_len = word_at(bytes, off) & 0xffff;
	value_len = word_at(bytes, off + 4);
	if (key_len == 0xffff || value_len == 0xffffffff)
		return 0; /* none is as long */
	head_len = 8 + 8 * ((uint64_t)head.data[1] + 1) + 8;
	tail_len = (key_len + value_len + 7) / 8 * 8;
	if (!crc_is_right(bytes, off, head_len - 8, off + head_len - 8) ||
	    !crc_is_right(bytes, off + head_len, tail_len, off + head_len - 4))
		return 0;
	return head_len + tail_len;
}

/* Where the first record is damaged; `end` when none is. */
static uint64_t twoskip_bad_off(struct span bytes, uint64_t end)
{
	uint64_t off = TWOSKIP_FIRST, len;

	while (off < end && (len = twoskip_len(bytes, off)) > 0)
		off += len;
	return min_of(off, end);
}

static int ask_twoskip(struct oracle *oracle, const struct damage *damage)
{
	struct span bytes = buf_span(&damage->before);
	const char *path = damage->file->path, *codes = corrupt_codes(damage->file->kind);
	uint64_t end = (uint64_t)word_at(bytes, 48) << 32 | word_at(bytes, 52);
	uint64_t off = TWOSKIP_FIRST, next = off;

	if (twoskip_bad_off(bytes, end) != end) {
		fprintf(stderr, "campaign-cyrus: %s: no record at byte %llu\n", path,
			(unsigned long long)twoskip_bad_off(bytes, end));
		return -EBADMSG;
	}
	if (damage->type == DAMAGE_REMOVED) {
		oracle->why = "it may be that there is none";
		return 0;
	}
	if (damage_hits(damage, 0, TWOSKIP_FIRST)) {
		(void)expect(oracle, path, codes);
		return 0;
	}
	oracle->why = "behind the end that its header knows";
	if (damage->first >= end)
		return 0;
	while (next <= damage->first) {
		off = next;
		next += twoskip_len(bytes, off);
	}
	uint64_t bad_off = twoskip_bad_off(buf_span(&damage->after), end);
	oracle->is_misplaced = bad_off != off;
	oracle->why = MISPLACED;
	if (bad_off == end)
		return 0;
	/* One is enough: the first that is damaged ends the check. */
	struct expected *expected = expect(oracle, path, codes);
	expected->names_byte = true;
	expected->from = off;
	expected->to = max_of(bad_off, damage->first);
	return 0;
}

static int ask_database(struct oracle *oracle, const struct damage *damage)
{
	const char *path = damage->file->path;

	switch (damage->file->engine) {
	case ENGINE_TWOSKIP:
		return ask_twoskip(oracle, damage);
	case ENGINE_SKIPLIST:
		oracle->why = "skiplist has no checksum";
		return 0;
	case ENGINE_FLAT:
		oracle->why = "flat has no checksum";
		return 0;
	default:
		break;
	}
	if (damage->file->kind == FILE_COUNTERS && damage->type != DAMAGE_REMOVED)
		(void)expect(oracle, path, "database.corrupt");
	else
		oracle->why = damage->type == DAMAGE_REMOVED ? "it may be that there is none"
							     : "text without a checksum";
	return 0;
}

int oracle_ask(struct oracle *oracle, const struct stores *stores, const struct damage *damage)
{
	const struct store_file *file = damage->file;
	struct buf content cleanup(buf_fini) = BUF_NULL;
	struct index index;
	int r = 0;

	oracle->nr = 0;
	oracle->why = NULL;
	oracle->is_misplaced = false;
	switch (file->kind) {
	case FILE_MESSAGE:
	case FILE_ARCHIVED_MESSAGE:
		return ask_message(oracle, stores, damage);
	case FILE_INDEX_HEADER:
	case FILE_INDEX_RECORDS:
		ask_index(oracle, damage);
		return 0;
	case FILE_HEADER:
		r = read_index(stores, file, &content, &index);
		ask_header(oracle, &index, damage);
		return r;
	case FILE_CACHE:
	case FILE_ARCHIVE_CACHE:
		r = read_index(stores, file, &content, &index);
		ask_cache(oracle, &index, damage,
			  file->kind == FILE_ARCHIVE_CACHE ||
				  stores_find(stores, file, FILE_ARCHIVE_CACHE) ||
				  stores_find(stores, file, FILE_ARCHIVED_MESSAGE));
		return r;
	case FILE_ANNOTATIONS:
		r = read_index(stores, file, &content, &index);
		if (index.version < 9)
			oracle->why = GAP_ANYWAY;
		return r || oracle->why ? r : ask_database(oracle, damage);
	default:
		return ask_database(oracle, damage);
	}
}

/* ---- what else may follow ---- */

enum reach { IN_FILE, IN_MAILBOX, ANYWHERE };
enum when { ALWAYS, UNCOVERED };

#define KIND(kind) (1u << (kind))
#define INDEX (KIND(FILE_INDEX_HEADER) | KIND(FILE_INDEX_RECORDS))
#define MESSAGES (KIND(FILE_MESSAGE) | KIND(FILE_ARCHIVED_MESSAGE))
#define DATABASES                                                                                  \
	(KIND(FILE_LIST) | KIND(FILE_STORE_ANNOTATIONS) | KIND(FILE_SEEN) |                        \
	 KIND(FILE_SUBSCRIPTIONS) | KIND(FILE_CONVERSATIONS) | KIND(FILE_COUNTERS) |               \
	 KIND(FILE_QUOTAS_DB))

/* What a fault may lead to beside, or instead of, what its checksum says; nothing else. */
static const struct consequence {
	uint32_t kinds;
	enum when when;
	enum reach reach;
	const char *code; /* with a star: all that begin so */
} consequences[] = {
	/* Without its SHA-1 a message has its size and its presence. */
	{ MESSAGES, UNCOVERED, IN_FILE, "message.*" },
	/* An index without CRCs is believed, so all that it is a witness of looks wrong. */
	{ INDEX, UNCOVERED, IN_FILE, "index.*" },
	{ INDEX, UNCOVERED, IN_MAILBOX, "message.*" },
	{ INDEX, UNCOVERED, IN_MAILBOX, "cache.*" },
	{ INDEX, UNCOVERED, IN_MAILBOX, "header.*" },
	{ INDEX, UNCOVERED, ANYWHERE, "quota.usage" },
	/* cyrus.header says what the list says too, and which flags have names and which root counts. */
	{ KIND(FILE_HEADER), ALWAYS, IN_FILE, "header.*" },
	{ KIND(FILE_HEADER), ALWAYS, IN_FILE, "mailboxes_db.no_id" },
	{ KIND(FILE_HEADER), ALWAYS, IN_MAILBOX, "index.sync_crc" },
	{ KIND(FILE_HEADER), ALWAYS, ANYWHERE, "quota.*" },
	/* Annotations are part of a sync CRC, which is all that tells that they have gone. */
	{ KIND(FILE_ANNOTATIONS), UNCOVERED, IN_FILE, "annotations.corrupt" },
	{ KIND(FILE_ANNOTATIONS), UNCOVERED, IN_MAILBOX, "index.sync_crc" },
	/* The list leads to all mailboxes. */
	{ KIND(FILE_LIST), ALWAYS, IN_FILE, "mailboxes_db.*" },
	{ KIND(FILE_LIST), UNCOVERED, ANYWHERE, "header.*" },
	{ KIND(FILE_LIST), UNCOVERED, ANYWHERE, "index.*" },
	{ KIND(FILE_LIST), UNCOVERED, ANYWHERE, "mailbox.*" },
	{ KIND(FILE_LIST), UNCOVERED, ANYWHERE, "mailboxes_db.no_id" },
	{ KIND(FILE_LIST), UNCOVERED, ANYWHERE, "quota.*" },
	{ DATABASES, UNCOVERED, IN_FILE, "database.*" },
	{ KIND(FILE_QUOTA), UNCOVERED, IN_FILE, "quota.*" },
};

bool oracle_explains(const struct damage *damage, bool is_covered, const char *code,
		     struct span path)
{
	const struct store_file *file = damage->file;

	for (size_t i = 0; i < array_size(consequences); i++) {
		const struct consequence *c = &consequences[i];
		size_t len = strcspn(c->code, "*");
		if (!(c->kinds & KIND(file->kind)) || (c->when == UNCOVERED && is_covered) ||
		    strncmp(code, c->code, len) != 0 || (c->code[len] == '\0' && code[len] != '\0'))
			continue;
		if (c->reach == ANYWHERE ||
		    (c->reach == IN_MAILBOX && file_shares_mailbox(file, path)) ||
		    (c->reach == IN_FILE && span_equals_str(path, file->path)))
			return true;
	}
	return false;
}
