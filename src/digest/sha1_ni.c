/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FIPS 180-4, section 6.1, in the instructions that Intel made for it. One vector holds four words,
 * the first of them in its highest place: the variables a to d, or four words of the message
 * schedule. sha1rnds4 does four of the 80 rounds; it takes the fourth-last a for its e, which
 * sha1nexte rotates and adds to the words. sha1msg1 and sha1msg2 make four new words from sixteen.
 *
 * A block is a chain of 20 sha1rnds4. Each waits six cycles for the one before, and on Zen 4 the CPU
 * could begin another every second cycle. So the chains of up to four messages are interleaved, four
 * rounds of each in turn. With two of them all that matters stays in registers; with four, words of
 * the schedules are spilled, which no chain waits for.
 */
#include "digest/sha1_ni.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <string.h>

#define WITH_SHA_NI __attribute__((target("sha,sse4.1")))
#define INLINED static inline __attribute__((always_inline, target("sha,sse4.1")))

static const uint32_t initial[SHA1_LEN / 4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
						0xc3d2e1f0 };

/*
 * The statement for each lane, I. Here and below all is written out and inlined, for at -O1 compilers
 * unroll loops as they please, and where they do not, the words are looked up in memory.
 */
#define EACH_LANE(nr, statement)                                                                   \
	do {                                                                                       \
		{                                                                                  \
			enum { I = 0 };                                                            \
			statement;                                                                 \
		}                                                                                  \
		if ((nr) > 1) {                                                                    \
			enum { I = 1 };                                                            \
			statement;                                                                 \
		}                                                                                  \
		if ((nr) > 2) {                                                                    \
			enum { I = 2 };                                                            \
			statement;                                                                 \
		}                                                                                  \
		if ((nr) > 3) {                                                                    \
			enum { I = 3 };                                                            \
			statement;                                                                 \
		}                                                                                  \
	} while (0)

/* ---- Blocks ---- */

/* A lane while it runs. */
struct state {
	const uint8_t *at;
	__m128i abcd, e;
	__m128i last; /* abcd four rounds ago */
	__m128i w[4]; /* the last sixteen words of the schedule */
	__m128i old_abcd, old_e;
};

/* The instruction wants its function and constant as an immediate. */
INLINED __m128i rounds(__m128i abcd, __m128i e, unsigned kind)
{
	switch (kind) {
	case 0:
		return _mm_sha1rnds4_epu32(abcd, e, 0);
	case 1:
		return _mm_sha1rnds4_epu32(abcd, e, 1);
	case 2:
		return _mm_sha1rnds4_epu32(abcd, e, 2);
	default:
		return _mm_sha1rnds4_epu32(abcd, e, 3);
	}
}

INLINED __m128i words_read(const uint8_t *at)
{
	const __m128i reversed = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);

	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)at), reversed);
}

INLINED __m128i words_next(const __m128i *w, unsigned group)
{
	__m128i sum = _mm_sha1msg1_epu32(w[group % 4], w[(group + 1) % 4]);

	sum = _mm_xor_si128(sum, w[(group + 2) % 4]);
	return _mm_sha1msg2_epu32(sum, w[(group + 3) % 4]);
}

INLINED void state_run_group(struct state *s, unsigned group)
{
	__m128i words = group < 4 ? words_read(s->at + group * 16) : words_next(s->w, group);
	__m128i e = group ? _mm_sha1nexte_epu32(s->last, words) : _mm_add_epi32(s->e, words);

	s->w[group % 4] = words;
	s->last = s->abcd;
	s->abcd = rounds(s->abcd, e, group / 5);
}

INLINED void state_load(struct state *s, const struct sha1_ni_lane *lane)
{
	s->at = lane->at;
	s->abcd = _mm_set_epi32((int)lane->h[0], (int)lane->h[1], (int)lane->h[2], (int)lane->h[3]);
	s->e = _mm_set_epi32((int)lane->h[4], 0, 0, 0);
}

INLINED void state_store(const struct state *s, struct sha1_ni_lane *lane)
{
	lane->at = s->at;
	lane->h[0] = (uint32_t)_mm_extract_epi32(s->abcd, 3);
	lane->h[1] = (uint32_t)_mm_extract_epi32(s->abcd, 2);
	lane->h[2] = (uint32_t)_mm_extract_epi32(s->abcd, 1);
	lane->h[3] = (uint32_t)_mm_extract_epi32(s->abcd, 0);
	lane->h[4] = (uint32_t)_mm_extract_epi32(s->e, 3);
}

INLINED void state_begin_block(struct state *s)
{
	s->old_abcd = s->abcd;
	s->old_e = s->e;
}

INLINED void state_end_block(struct state *s)
{
	s->e = _mm_sha1nexte_epu32(s->last, s->old_e);
	s->abcd = _mm_add_epi32(s->abcd, s->old_abcd);
	s->at += SHA1_BLOCK_LEN;
}

/* The 20 rounds that have a function and a constant in common. */
INLINED void states_run_kind(struct state *s, unsigned nr, unsigned kind)
{
	EACH_LANE(nr, state_run_group(&s[I], 5 * kind));
	EACH_LANE(nr, state_run_group(&s[I], 5 * kind + 1));
	EACH_LANE(nr, state_run_group(&s[I], 5 * kind + 2));
	EACH_LANE(nr, state_run_group(&s[I], 5 * kind + 3));
	EACH_LANE(nr, state_run_group(&s[I], 5 * kind + 4));
}

/* `nr` is a constant wherever this is inlined. */
INLINED void blocks_run(struct sha1_ni_lane *const *lanes, unsigned nr, size_t nr_blocks)
{
	struct state s[SHA1_NI_LANES];

	EACH_LANE(nr, state_load(&s[I], lanes[I]));
	for (; nr_blocks > 0; nr_blocks--) {
		EACH_LANE(nr, state_begin_block(&s[I]));
		states_run_kind(s, nr, 0);
		states_run_kind(s, nr, 1);
		states_run_kind(s, nr, 2);
		states_run_kind(s, nr, 3);
		EACH_LANE(nr, state_end_block(&s[I]));
	}
	EACH_LANE(nr, state_store(&s[I], lanes[I]));
}

WITH_SHA_NI static void blocks_run_by_1(struct sha1_ni_lane *const *lanes, size_t nr_blocks)
{
	blocks_run(lanes, 1, nr_blocks);
}

WITH_SHA_NI static void blocks_run_by_2(struct sha1_ni_lane *const *lanes, size_t nr_blocks)
{
	blocks_run(lanes, 2, nr_blocks);
}

WITH_SHA_NI static void blocks_run_by_3(struct sha1_ni_lane *const *lanes, size_t nr_blocks)
{
	blocks_run(lanes, 3, nr_blocks);
}

WITH_SHA_NI static void blocks_run_by_4(struct sha1_ni_lane *const *lanes, size_t nr_blocks)
{
	blocks_run(lanes, 4, nr_blocks);
}

static void (*const blocks_run_by[])(struct sha1_ni_lane *const *lanes, size_t nr_blocks) = {
	NULL, blocks_run_by_1, blocks_run_by_2, blocks_run_by_3, blocks_run_by_4,
};

_Static_assert(array_size(blocks_run_by) == SHA1_NI_LANES + 1, "one for each number of lanes");

/* ---- Messages ---- */

static void put_be(uint8_t *to, uint64_t value, unsigned len)
{
	for (; len > 0; value >>= 8)
		to[--len] = (uint8_t)value;
}

/* When the whole blocks are done; nothing when the tail is as well. */
static void lane_go_on_to_tail(struct sha1_ni_lane *lane)
{
	lane->at = lane->tail;
	lane->nr_blocks = lane->nr_tail_blocks;
	lane->nr_tail_blocks = 0;
}

/* Behind the last whole block stand what is left of the message, a bit, zeros, and its length. */
static void lane_begin(struct sha1_ni_lane *lane, const uint8_t *data, size_t len)
{
	size_t rest = len % SHA1_BLOCK_LEN;

	memcpy(lane->h, initial, sizeof(initial));
	memset(lane->tail, 0, sizeof(lane->tail));
	if (rest > 0)
		memcpy(lane->tail, data + (len - rest), rest);
	lane->tail[rest] = 0x80;
	lane->nr_tail_blocks = rest + 1 + sizeof(uint64_t) > SHA1_BLOCK_LEN ? 2 : 1;
	put_be(lane->tail + lane->nr_tail_blocks * SHA1_BLOCK_LEN - sizeof(uint64_t),
	       (uint64_t)len * 8, sizeof(uint64_t));
	lane->at = data;
	lane->nr_blocks = len / SHA1_BLOCK_LEN;
	lane->passed = 0;
	if (lane->nr_blocks == 0)
		lane_go_on_to_tail(lane);
}

static void lane_hand_out(const struct sha1_ni *ni, const struct sha1_ni_lane *lane)
{
	uint8_t digest[SHA1_LEN];

	for (unsigned i = 0; i < array_size(lane->h); i++)
		put_be(digest + 4 * i, lane->h[i], 4);
	ni->fn(lane->item, digest, ni->ctx);
}

/* The lanes that are not free, and how many. */
static unsigned lanes_in_use(struct sha1_ni *ni, struct sha1_ni_lane **ret_lanes)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < SHA1_NI_LANES; i++)
		if (ni->lanes[i].nr_blocks > 0)
			ret_lanes[nr++] = &ni->lanes[i];
	return nr;
}

/* Runs what is pending until there are no more than `nr_max`. */
static void lanes_run(struct sha1_ni *ni, unsigned nr_max)
{
	struct sha1_ni_lane *lanes[SHA1_NI_LANES];
	unsigned nr;

	while ((nr = lanes_in_use(ni, lanes)) > nr_max) {
		size_t nr_blocks = lanes[0]->nr_blocks;
		for (unsigned i = 1; i < nr; i++)
			nr_blocks = min_of(nr_blocks, lanes[i]->nr_blocks);
		blocks_run_by[nr](lanes, nr_blocks);
		for (unsigned i = 0; i < nr; i++) {
			lanes[i]->nr_blocks -= nr_blocks;
			if (lanes[i]->nr_blocks == 0)
				lane_go_on_to_tail(lanes[i]);
			if (lanes[i]->nr_blocks == 0)
				lane_hand_out(ni, lanes[i]);
		}
	}
}

void sha1_ni_init(struct sha1_ni *ni, sha1_ni_fn fn, void *ctx)
{
	*ni = (struct sha1_ni){ .fn = fn, .ctx = ctx };
}

void sha1_ni_add(struct sha1_ni *ni, const void *data, size_t len, void *item)
{
	struct sha1_ni_lane *lane = ni->lanes;

	while (lane->nr_blocks > 0) /* one is always free */
		lane++;
	lane_begin(lane, data, len);
	lane->item = item;
	lanes_run(ni, SHA1_NI_PENDING_MAX);
}

void sha1_ni_pass(struct sha1_ni *ni)
{
	bool late = false;

	for (unsigned i = 0; i < SHA1_NI_LANES; i++)
		late |= ni->lanes[i].nr_blocks > 0 && ++ni->lanes[i].passed == SHA1_NI_PASS_MAX;
	if (late)
		sha1_ni_flush(ni);
}

void sha1_ni_flush(struct sha1_ni *ni)
{
	lanes_run(ni, 0);
}

/* ---- Availability ---- */

static atomic_bool pretend_missing;

void sha1_ni_pretend_missing(bool missing)
{
	atomic_store(&pretend_missing, missing);
}

bool sha1_ni_is_available(void)
{
	unsigned eax, ebx, ecx, edx;

	return !atomic_load(&pretend_missing) && __builtin_cpu_supports("ssse3") &&
	       __builtin_cpu_supports("sse4.1") &&
	       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_SHA);
}
