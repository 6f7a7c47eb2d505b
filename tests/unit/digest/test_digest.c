// SPDX-License-Identifier: Apache-2.0
/*
 * Digests: the published vectors, whatever the pieces the bytes arrive in.
 */
#include "suites.h"

#include <CUnit/CUnit.h>

#include "base/text.h"
#include "digest/digest.h"

/* The SHA-1 of `s`, fed in pieces of `step` bytes, as hex in the caller's 41 bytes. */
static void sha1_hex(struct sha1 *sha1, struct span s, size_t step, char *out)
{
	uint8_t digest[SHA1_LEN];

	CU_ASSERT_EQUAL(sha1_begin(sha1), 0);
	for (uint64_t off = 0; off < s.len; off += step)
		CU_ASSERT_EQUAL(sha1_update(sha1, s.data + off, min_of(step, s.len - off)), 0);
	CU_ASSERT_EQUAL(sha1_end(sha1, digest), 0);
	text_hex(digest, SHA1_LEN, out);
}

/* The vectors that come with FIPS 180. */
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
};

static void computes_sha1_of_the_published_messages(void)
{
	struct sha1 *sha1 = sha1_new();
	char hex[41];

	CU_ASSERT_PTR_NOT_NULL_FATAL(sha1);
	for (size_t i = 0; i < array_size(vectors); i++) {
		sha1_hex(sha1, span_of_str(vectors[i].message), 1000, hex);
		CU_ASSERT_STRING_EQUAL(hex, vectors[i].digest);
	}
	sha1_free(sha1);
}

static void computes_the_same_sha1_from_pieces_of_any_size(void)
{
	struct sha1 *sha1 = sha1_new();
	char hex[41];

	CU_ASSERT_PTR_NOT_NULL_FATAL(sha1);
	for (size_t step = 1; step <= 112; step++) {
		sha1_hex(sha1, span_of_str(vectors[3].message), step, hex);
		CU_ASSERT_STRING_EQUAL(hex, vectors[3].digest);
	}
	sha1_free(sha1);
}

static void computes_sha1_of_a_million_letters(void)
{
	static uint8_t million[1000000];
	static const size_t steps[] = { 1000000, 4096, 4099, 63, 64, 65 };
	struct sha1 *sha1 = sha1_new();
	char hex[41];

	CU_ASSERT_PTR_NOT_NULL_FATAL(sha1);
	memset(million, 'a', sizeof(million));
	for (size_t i = 0; i < array_size(steps); i++) {
		sha1_hex(sha1, span_of(million, sizeof(million)), steps[i], hex);
		CU_ASSERT_STRING_EQUAL(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	}
	sha1_free(sha1);
}

static void begins_anew_after_a_digest_was_left_unfinished(void)
{
	struct sha1 *sha1 = sha1_new();
	char hex[41];

	CU_ASSERT_PTR_NOT_NULL_FATAL(sha1);
	CU_ASSERT_EQUAL(sha1_begin(sha1), 0);
	CU_ASSERT_EQUAL(sha1_update(sha1, "left over", 9), 0);
	sha1_hex(sha1, span_of_str("abc"), 3, hex);
	CU_ASSERT_STRING_EQUAL(hex, vectors[1].digest);
	sha1_free(sha1);
}

static void keeps_running_digests_apart(void)
{
	struct sha1 *one = sha1_new(), *two = sha1_new();
	uint8_t digest[SHA1_LEN];
	char hex[41];

	CU_ASSERT_PTR_NOT_NULL_FATAL(one);
	CU_ASSERT_PTR_NOT_NULL_FATAL(two);
	CU_ASSERT_EQUAL(sha1_begin(one), 0);
	CU_ASSERT_EQUAL(sha1_update(one, "ab", 2), 0);
	sha1_hex(two, SPAN_NULL, 1, hex);
	CU_ASSERT_STRING_EQUAL(hex, vectors[0].digest);
	CU_ASSERT_EQUAL(sha1_update(one, "c", 1), 0);
	CU_ASSERT_EQUAL(sha1_end(one, digest), 0);
	text_hex(digest, SHA1_LEN, hex);
	CU_ASSERT_STRING_EQUAL(hex, vectors[1].digest);
	sha1_free(one);
	sha1_free(two);
}

/* Those of RFC 1321, and a million letters. */
static void computes_md5_of_the_published_messages_in_pieces_of_any_size(void)
{
	static const struct {
		const char *message, *digest;
	} published[] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "a", "0cc175b9c0f1b6a831c399e269772661" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
		{ "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
		{ "1234567890123456789012345678901234567890123456789012345678901234567890123456789"
		  "0",
		  "57edf4a22be3c955ac49da2e2107b67a" },
	};
	struct md5 *md5 = md5_new();
	uint8_t digest[MD5_LEN];
	char hex[2 * MD5_LEN + 1];

	CU_ASSERT_PTR_NOT_NULL_FATAL(md5);
	for (size_t i = 0; i < array_size(published); i++) {
		struct span s = span_of_str(published[i].message);
		for (size_t step = 1; step <= 80; step++) {
			CU_ASSERT_EQUAL(md5_begin(md5), 0);
			for (uint64_t off = 0; off < s.len; off += step)
				CU_ASSERT_EQUAL(md5_update(md5, s.data + off,
							   min_of(step, s.len - off)),
						0);
			CU_ASSERT_EQUAL(md5_end(md5, digest), 0);
			text_hex(digest, MD5_LEN, hex);
			CU_ASSERT_STRING_EQUAL(hex, published[i].digest);
		}
	}
	CU_ASSERT_EQUAL(md5_begin(md5), 0);
	for (unsigned i = 0; i < 1000000; i += 10)
		CU_ASSERT_EQUAL_FATAL(md5_update(md5, "aaaaaaaaaa", 10), 0);
	CU_ASSERT_EQUAL(md5_end(md5, digest), 0);
	text_hex(digest, MD5_LEN, hex);
	CU_ASSERT_STRING_EQUAL(hex, "7707d6ae4e027c70eea2a935c2296f21");
	md5_free(md5);
}

static void releases_nothing_without_complaint(void)
{
	sha1_free(NULL);
	md5_free(NULL);
	CU_PASS("did not crash");
}

/* The values of xxhsum -H3, version 0.8.1; the lengths take different ways through it. */
static void computes_xxh3_as_its_authors_do(void)
{
	static uint8_t bytes[300];
	static const struct {
		uint64_t len, xxh3;
	} cases[] = {
		{ 0, 0x2d06800538d394c2 },   { 3, 0x5f4299fc161c9cbb },
		{ 8, 0x3a1c2d7c85af88f8 },   { 16, 0x8355e3a6f61770db },
		{ 100, 0x004e4f921a64bd1c }, { 200, 0xf42a8864feaf0703 },
		{ 300, 0xd44052f5a3485425 },
	};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_EQUAL(xxh3_of(span_of(bytes, cases[i].len)), cases[i].xxh3);
	CU_ASSERT_EQUAL(xxh3_of(SPAN_NULL), cases[0].xxh3);
}

static const struct test_case cases[] = {
	{ "computes_sha1_of_the_published_messages", computes_sha1_of_the_published_messages },
	{ "computes_the_same_sha1_from_pieces_of_any_size",
	  computes_the_same_sha1_from_pieces_of_any_size },
	{ "computes_sha1_of_a_million_letters", computes_sha1_of_a_million_letters },
	{ "begins_anew_after_a_digest_was_left_unfinished",
	  begins_anew_after_a_digest_was_left_unfinished },
	{ "keeps_running_digests_apart", keeps_running_digests_apart },
	CASE(computes_md5_of_the_published_messages_in_pieces_of_any_size),
	{ "releases_nothing_without_complaint", releases_nothing_without_complaint },
	CASE(computes_xxh3_as_its_authors_do),
};

const struct test_suite suite_digest_digest = { "digest/digest", cases, array_size(cases) };
