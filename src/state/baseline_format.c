/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header, tables and records of a baseline. That the header ends in its own checksum, and says
 * where, is true of every version: a version that is not known is told from a damaged number.
 */
#include "state/baseline_format.h"

#include <errno.h>

#include "digest/digest.h"

static const size_t magic_len = sizeof(BASELINE_MAGIC) - 1;

/* ---- integers ---- */

void baseline_add_le32(struct buf *out, uint32_t v)
{
	v = htole32(v);
	buf_add(out, &v, sizeof(v));
}

void baseline_add_le64(struct buf *out, uint64_t v)
{
	v = htole64(v);
	buf_add(out, &v, sizeof(v));
}

void baseline_add_varint(struct buf *out, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	buf_add(out, bytes, n);
}

void baseline_add_signed(struct buf *out, uint64_t difference)
{
	uint64_t sign = difference >> 63 ? UINT64_MAX : 0;

	baseline_add_varint(out, (difference << 1) ^ sign);
}

struct span baseline_in_bytes(struct baseline_in *in, uint64_t len)
{
	struct span bytes = SPAN_NULL, left;

	if (span_sub(in->left, 0, len, &bytes) ||
	    span_sub(in->left, len, in->left.len - len, &left)) {
		in->bad = true;
		return SPAN_NULL;
	}
	in->left = left;
	return bytes;
}

uint32_t baseline_in_le32(struct baseline_in *in)
{
	struct span bytes = baseline_in_bytes(in, sizeof(uint32_t));

	return bytes.len ? baseline_le32(bytes.data) : 0;
}

uint64_t baseline_in_le64(struct baseline_in *in)
{
	struct span bytes = baseline_in_bytes(in, sizeof(uint64_t));

	return bytes.len ? baseline_le64(bytes.data) : 0;
}

uint64_t baseline_in_varint(struct baseline_in *in)
{
	uint64_t v = 0;
	unsigned shift = 0;

	for (uint64_t i = 0; i < in->left.len && shift < 64; i++, shift += 7) {
		uint8_t byte = in->left.data[i];
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			in->left = span_of(in->left.data + i + 1, in->left.len - i - 1);
			return v;
		}
	}
	in->bad = true;
	return 0;
}

uint64_t baseline_in_signed(struct baseline_in *in)
{
	uint64_t v = baseline_in_varint(in);

	return (v >> 1) ^ (v & 1 ? UINT64_MAX : 0);
}

/* ---- references and tables ---- */

void baseline_ref_format(const struct baseline_ref *ref, struct buf *out)
{
	baseline_add_le64(out, ref->off);
	baseline_add_le64(out, ref->first);
	baseline_add_le64(out, ref->last);
	baseline_add_le64(out, ref->xxh3);
	baseline_add_le32(out, ref->len);
	baseline_add_le32(out, ref->raw_len);
	baseline_add_le32(out, ref->nr);
}

static struct baseline_ref ref_parse(struct baseline_in *in)
{
	struct baseline_ref ref = { .off = baseline_in_le64(in) };

	ref.first = baseline_in_le64(in);
	ref.last = baseline_in_le64(in);
	ref.xxh3 = baseline_in_le64(in);
	ref.len = baseline_in_le32(in);
	ref.raw_len = baseline_in_le32(in);
	ref.nr = baseline_in_le32(in);
	return ref;
}

static bool ref_is_sane(const struct baseline_ref *ref, enum baseline_branch branch,
			const struct baseline_header *header)
{
	uint64_t keys = branch == BASELINE_OWNERS ? UINT64_C(1) << 32 : header->info.nr_blocks;

	return ref->off >= BASELINE_HEADER_LEN && ref->off <= header->size &&
	       ref->len <= header->size - ref->off && ref->len > 0 &&
	       ref->len <= BASELINE_CHUNK_MAX && ref->raw_len > 0 &&
	       ref->raw_len <= BASELINE_CHUNK_MAX && ref->nr > 0 && ref->first <= ref->last &&
	       ref->last < keys && (branch == BASELINE_OWNERS || ref->raw_len == ref->len);
}

int baseline_table_parse(struct span bytes, enum baseline_branch branch,
			 const struct baseline_ref *parent, uint64_t low,
			 const struct baseline_header *header, struct baseline_ref *refs)
{
	struct baseline_in in = { .left = bytes };

	if (parent->nr == 0 || parent->nr > BASELINE_FANOUT ||
	    bytes.len != (uint64_t)parent->nr * BASELINE_REF_LEN)
		return -EBADMSG;
	for (uint32_t i = 0; i < parent->nr; i++) {
		refs[i] = ref_parse(&in);
		if (!ref_is_sane(&refs[i], branch, header) || refs[i].off < low)
			return -EBADMSG;
		low = refs[i].off + refs[i].len;
		/* An inode may have so many extents that they fill chunks. */
		if (i && (refs[i].first < refs[i - 1].last ||
			  (refs[i].first == refs[i - 1].last && branch != BASELINE_OWNERS)))
			return -EBADMSG;
	}
	if (in.bad || low > parent->off || refs[0].first != parent->first ||
	    refs[parent->nr - 1].last != parent->last)
		return -EBADMSG;
	return 0;
}

/* ---- the header ---- */

bool baseline_info_is_sane(const struct baseline_info *info)
{
	return info->block_size >= 512 && info->block_size <= 65536 &&
	       (info->block_size & (info->block_size - 1)) == 0 && info->nr_blocks > 0 &&
	       info->nr_blocks <= BASELINE_BLOCKS_MAX;
}

void baseline_header_format(const struct baseline_header *header, uint8_t out[BASELINE_HEADER_LEN])
{
	const struct baseline_info *info = &header->info;
	struct buf bytes = BUF_NULL;

	buf_add(&bytes, BASELINE_MAGIC, magic_len);
	baseline_add_le32(&bytes, BASELINE_VERSION);
	baseline_add_le32(&bytes, BASELINE_HEADER_LEN);
	buf_add(&bytes, info->uuid, sizeof(info->uuid));
	baseline_add_le32(&bytes, info->block_size);
	baseline_add_le32(&bytes, 0);
	baseline_add_le64(&bytes, info->nr_blocks);
	baseline_add_le64(&bytes, (uint64_t)info->started_ns);
	baseline_add_le64(&bytes, (uint64_t)info->ended_ns);
	baseline_add_le64(&bytes, info->nr_sums);
	baseline_add_le64(&bytes, info->nr_owners);
	baseline_add_le64(&bytes, info->number);
	baseline_add_le64(&bytes, info->nr_contested);
	baseline_add_le64(&bytes, header->size);
	for (size_t i = 0; i < BASELINE_BRANCHES_; i++)
		baseline_ref_format(&header->roots[i], &bytes);
	baseline_add_le64(&bytes, xxh3_of(buf_span(&bytes)));
	/* Without memory there is no header, and that is what such a file shows. */
	memset(out, 0, BASELINE_HEADER_LEN);
	if (buf_error(&bytes) == 0)
		memcpy(out, bytes.data, min_of(bytes.len, (size_t)BASELINE_HEADER_LEN));
	buf_fini(&bytes);
}

/* Of every version: what the file is, how long its header is, and that it is whole. */
static int header_check(struct span bytes, struct baseline_in *ret_in)
{
	struct baseline_in in = { .left = bytes };
	struct span magic = baseline_in_bytes(&in, magic_len), summed, sum;
	uint32_t version = baseline_in_le32(&in), len = baseline_in_le32(&in);

	if (in.bad || !span_equals_str(magic, BASELINE_MAGIC) || len < BASELINE_HEADER_LEN ||
	    len > BASELINE_HEADER_MAX || span_sub(bytes, 0, len - 8, &summed) ||
	    span_sub(bytes, len - 8, 8, &sum) || baseline_le64(sum.data) != xxh3_of(summed))
		return -EBADMSG;
	if (version > BASELINE_VERSION)
		return -EPROTONOSUPPORT;
	if (version != BASELINE_VERSION || len != BASELINE_HEADER_LEN)
		return -EBADMSG;
	*ret_in = in;
	return 0;
}

static bool root_is_sane(const struct baseline_ref *ref, enum baseline_branch branch,
			 const struct baseline_header *header)
{
	static const struct baseline_ref none;
	const uint64_t counts[BASELINE_BRANCHES_] = {
		[BASELINE_SUMS] = header->info.nr_sums,
		[BASELINE_OWNERS] = header->info.nr_owners,
		/* Sums that were replaced need not be contested. */
		[BASELINE_PATCHES] = ref->nr,
	};

	if (counts[branch] == 0)
		return memcmp(ref, &none, offsetof(struct baseline_ref, nr)) == 0 && ref->nr == 0;
	return ref_is_sane(ref, branch, header);
}

int baseline_header_parse(struct span bytes, struct baseline_header *ret_header)
{
	struct baseline_in in;
	int r = header_check(bytes, &in);

	if (r)
		return r;
	struct baseline_header h = { .size = 0 };
	struct span uuid = baseline_in_bytes(&in, BASELINE_UUID_LEN);
	if (uuid.len)
		memcpy(h.info.uuid, uuid.data, sizeof(h.info.uuid));
	h.info.block_size = baseline_in_le32(&in);
	if (baseline_in_le32(&in))
		return -EBADMSG;
	h.info.nr_blocks = baseline_in_le64(&in);
	h.info.started_ns = (int64_t)baseline_in_le64(&in);
	h.info.ended_ns = (int64_t)baseline_in_le64(&in);
	h.info.nr_sums = baseline_in_le64(&in);
	h.info.nr_owners = baseline_in_le64(&in);
	h.info.number = baseline_in_le64(&in);
	h.info.nr_contested = baseline_in_le64(&in);
	h.size = baseline_in_le64(&in);
	for (size_t i = 0; i < BASELINE_BRANCHES_; i++)
		h.roots[i] = ref_parse(&in);
	if (in.bad || !baseline_info_is_sane(&h.info) || h.info.nr_sums > h.info.nr_blocks ||
	    h.info.nr_contested > BASELINE_REPLACED_MAX || h.info.number == 0 ||
	    h.info.number > INT64_MAX || (h.info.nr_contested && !h.roots[BASELINE_PATCHES].nr))
		return -EBADMSG;
	for (unsigned i = 0; i < BASELINE_BRANCHES_; i++)
		if (!root_is_sane(&h.roots[i], (enum baseline_branch)i, &h))
			return -EBADMSG;
	*ret_header = h;
	return 0;
}
