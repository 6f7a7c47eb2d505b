// SPDX-License-Identifier: Apache-2.0
/*
 * SHA-1 by the instructions of the CPU: the published vectors and OpenSSL's digests in every lane,
 * beside messages of any other length, and not a byte read beyond them.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "digest/sha1_ni.h"
#include "skip.h"
#include "support/mkstore_parts.h"

enum { LONGEST = 1 << 20, SPARE = 4096, MANY = 1300 };

/* A message on its way, and how it came back. */
struct letter {
	const uint8_t *data;
	size_t len;
	uint8_t digest[SHA1_LEN];
	unsigned handed;
};

static struct {
	struct sha1_ni ni;
	struct sha1 *reference;
	struct letter letters[MANY];
	size_t added, handed;
} desk;

static uint8_t bytes[LONGEST + SPARE];

static void take_letter(void *item, const uint8_t *digest, void *ctx)
{
	struct letter *letter = item;

	CU_ASSERT_PTR_EQUAL_FATAL(ctx, &desk);
	letter->handed++;
	memcpy(letter->digest, digest, SHA1_LEN);
	desk.handed++;
}

/* Runs `test` on an empty desk, if this CPU can. */
static void with_desk(void (*test)(void))
{
	uint64_t random = 1;

	if (!sha1_ni_is_available()) {
		test_skip("this CPU has no SHA instructions");
		return;
	}
	memset(&desk, 0, sizeof(desk));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)mk_random(&random);
	sha1_ni_init(&desk.ni, take_letter, &desk);
	desk.reference = sha1_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(desk.reference);
	test();
	sha1_free(desk.reference);
}

#define ON_A_DESK(test)                                                                            \
	static void test(void)                                                                     \
	{                                                                                          \
		with_desk(check_##test);                                                           \
	}

static void add(const void *data, size_t len)
{
	struct letter *letter = &desk.letters[desk.added++];

	letter->data = data;
	letter->len = len;
	sha1_ni_add(&desk.ni, data, len, letter);
	CU_ASSERT_TRUE(desk.added - desk.handed <= SHA1_NI_PENDING_MAX);
}

static bool is_right(const struct letter *letter)
{
	uint8_t expected[SHA1_LEN];

	CU_ASSERT_EQUAL(sha1_begin(desk.reference), 0);
	CU_ASSERT_EQUAL(sha1_update(desk.reference, letter->len ? letter->data : (void *)"",
				    letter->len),
			0);
	CU_ASSERT_EQUAL(sha1_end(desk.reference, expected), 0);
	return memcmp(letter->digest, expected, SHA1_LEN) == 0;
}

/* Flushes; then every letter has come back once and is right. The desk is empty again. */
static void flush(void)
{
	size_t wrong = 0;

	sha1_ni_flush(&desk.ni);
	CU_ASSERT_EQUAL(desk.handed, desk.added);
	for (size_t i = 0; i < desk.added; i++)
		wrong += desk.letters[i].handed != 1 || !is_right(&desk.letters[i]);
	CU_ASSERT_EQUAL(wrong, 0);
	memset(desk.letters, 0, sizeof(desk.letters));
	desk.added = desk.handed = 0;
}

/* Those of FIPS 180; the last stands for a million letters a. */
static const struct {
	const char *message, *digest;
} vectors[] = {
	{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
	{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
	  "lmnopqrsmnopqrstnopqrstu",
	  "a49b2446a02c645bf419f995b67091253a04a259" },
	{ NULL, "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
};

static void add_vector(size_t i)
{
	static uint8_t million[1000000];
	struct span s = span_of_str(vectors[i].message);

	memset(million, 'a', sizeof(million));
	add(s.data ? s.data : million, s.data ? s.len : sizeof(million));
}

static void check_vector(const struct letter *letter, size_t i)
{
	char hex[41];

	text_hex(letter->digest, SHA1_LEN, hex);
	CU_ASSERT_STRING_EQUAL(hex, vectors[i].digest);
}

/* From one message alone to as many as there are lanes, each vector in each of them. */
static void check_digests_the_published_messages(void)
{
	for (size_t nr = 1; nr <= SHA1_NI_LANES; nr++) {
		for (size_t first = 0; first < array_size(vectors); first++) {
			for (size_t i = 0; i < nr; i++)
				add_vector((first + i) % array_size(vectors));
			sha1_ni_flush(&desk.ni);
			for (size_t i = 0; i < nr; i++)
				check_vector(&desk.letters[i], (first + i) % array_size(vectors));
			flush();
		}
	}
}
ON_A_DESK(digests_the_published_messages)

static void check_takes_no_bytes_at_no_address(void)
{
	for (size_t nr = 1; nr <= SHA1_NI_LANES; nr++) {
		for (size_t i = 0; i < nr; i++)
			add(NULL, 0);
		flush();
	}
}
ON_A_DESK(takes_no_bytes_at_no_address)

/* Beside messages of other lengths, in either order of them; each begins at another byte. */
static void check_digests_every_length_in_every_lane(void)
{
	for (size_t len = 0; len <= 300; len++) {
		for (size_t lane = 0; lane < SHA1_NI_LANES; lane++) {
			for (size_t i = 0; i < SHA1_NI_LANES; i++)
				add(bytes + len + i, i == lane ? len : 100 * i + 7 * lane);
			flush();
		}
	}
}
ON_A_DESK(digests_every_length_in_every_lane)

static void check_digests_every_length_beside_every_rest_of_a_block(void)
{
	for (size_t len = 0; len < 2 * SHA1_BLOCK_LEN; len++) {
		for (size_t other = 0; other < 2 * SHA1_BLOCK_LEN; other++) {
			add(bytes, len);
			add(bytes + 1, other);
			flush();
		}
	}
}
ON_A_DESK(digests_every_length_beside_every_rest_of_a_block)

static void check_digests_from_every_address(void)
{
	for (size_t at = 0; at < 2 * SHA1_BLOCK_LEN; at++) {
		for (size_t i = 0; i < SHA1_NI_LANES; i++)
			add(bytes + at + i * 3, 500 + at);
		flush();
	}
}
ON_A_DESK(digests_from_every_address)

/* Whoever ends makes room; the others go on with another beside them. */
static void check_digests_messages_of_any_length(void)
{
	uint64_t random = 42;

	for (size_t i = 0; i < 120; i++) {
		add(bytes + mk_random(&random) % SPARE,
		    mk_random(&random) % (LONGEST >> mk_random(&random) % 16));
		if (mk_random(&random) % 16 == 0)
			flush();
	}
	flush();
}
ON_A_DESK(digests_messages_of_any_length)

static void check_digests_equal_and_very_unequal_lengths(void)
{
	static const size_t lens[] = { 0, 1, 64, 128, 65536, LONGEST - 1, LONGEST };

	for (size_t a = 0; a < array_size(lens); a++) {
		for (size_t b = 0; b < array_size(lens); b++) {
			add(bytes, lens[a]);
			add(bytes + 1, lens[b]);
			flush();
		}
	}
}
ON_A_DESK(digests_equal_and_very_unequal_lengths)

static void check_digests_the_same_bytes_in_several_lanes(void)
{
	for (size_t i = 0; i < 2 * SHA1_NI_LANES + 1; i++)
		add(bytes, 10000);
	flush();
}
ON_A_DESK(digests_the_same_bytes_in_several_lanes)

/* A page of bytes between two that may not be touched. */
static void check_reads_nothing_but_the_message(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *first = map + page, *end = map + 2 * page;

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(map, MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(mprotect(first, page, PROT_READ | PROT_WRITE), 0);
	memcpy(first, bytes, page);
	for (size_t len = 0; len <= 300; len++) {
		add(end - len, len);
		add(first, len);
		add(end - page, page);
		add(end - 1, 1);
		add(end, 0);
		flush();
		add(end - len, len);
		flush();
	}
	CU_ASSERT_EQUAL(munmap(map, 3 * page), 0);
}
ON_A_DESK(reads_nothing_but_the_message)

/* The length in bits, that ends the last block, has more than 32 of its own. */
static void check_digests_more_than_half_a_gibibyte(void)
{
	size_t len = ((size_t)1 << 29) + 1;
	void *zeros =
		mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CU_ASSERT_PTR_NOT_EQUAL_FATAL(zeros, MAP_FAILED);
	add(zeros, len);
	flush();
	CU_ASSERT_EQUAL(munmap(zeros, len), 0);
}
ON_A_DESK(digests_more_than_half_a_gibibyte)

static void check_hands_out_the_shortest_when_the_lanes_are_full(void)
{
	add(bytes, 4000);
	add(bytes, 3000);
	add(bytes, 5000);
	CU_ASSERT_EQUAL(desk.handed, 0);
	add(bytes, 6000);
	CU_ASSERT_EQUAL(desk.handed, 1);
	CU_ASSERT_EQUAL(desk.letters[1].handed, 1);
	add(bytes, 100);
	CU_ASSERT_EQUAL(desk.handed, 2);
	CU_ASSERT_EQUAL(desk.letters[4].handed, 1);
	flush();
}
ON_A_DESK(hands_out_the_shortest_when_the_lanes_are_full)

static void check_keeps_nothing_waiting_for_ever(void)
{
	for (size_t nr = 1; nr < SHA1_NI_LANES; nr++) {
		for (size_t i = 0; i < nr; i++)
			add(bytes, 1000);
		for (size_t i = 1; i < SHA1_NI_PASS_MAX; i++)
			sha1_ni_pass(&desk.ni);
		CU_ASSERT_EQUAL(desk.handed, 0);
		sha1_ni_pass(&desk.ni);
		CU_ASSERT_EQUAL(desk.handed, nr);
		flush();
	}
}
ON_A_DESK(keeps_nothing_waiting_for_ever)

/* The one before it had waited long; the one in its lane has not. */
static void check_begins_to_wait_anew_in_each_lane(void)
{
	add(bytes, 1000);
	for (size_t i = 1; i < SHA1_NI_PASS_MAX; i++)
		sha1_ni_pass(&desk.ni);
	flush();
	add(bytes, 1000);
	sha1_ni_pass(&desk.ni);
	CU_ASSERT_EQUAL(desk.handed, 0);
	flush();
}
ON_A_DESK(begins_to_wait_anew_in_each_lane)

static void is_missing_where_a_test_says_so(void)
{
	bool available = sha1_ni_is_available();

	sha1_ni_pretend_missing(true);
	CU_ASSERT_FALSE(sha1_ni_is_available());
	sha1_ni_pretend_missing(false);
	CU_ASSERT_EQUAL(sha1_ni_is_available(), available);
}

static const struct test_case cases[] = {
	CASE(digests_the_published_messages),
	CASE(takes_no_bytes_at_no_address),
	CASE(digests_every_length_in_every_lane),
	CASE(digests_every_length_beside_every_rest_of_a_block),
	CASE(digests_from_every_address),
	CASE(digests_messages_of_any_length),
	CASE(digests_equal_and_very_unequal_lengths),
	CASE(digests_the_same_bytes_in_several_lanes),
	CASE(reads_nothing_but_the_message),
	CASE(digests_more_than_half_a_gibibyte),
	CASE(hands_out_the_shortest_when_the_lanes_are_full),
	CASE(keeps_nothing_waiting_for_ever),
	CASE(begins_to_wait_anew_in_each_lane),
	CASE(is_missing_where_a_test_says_so),
};

const struct test_suite suite_digest_sha1_ni = { "digest/sha1_ni", cases, array_size(cases) };
