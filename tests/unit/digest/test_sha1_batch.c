// SPDX-License-Identifier: Apache-2.0
/*
 * Batches of SHA-1: the published vectors and OpenSSL's digests from either engine, with the SHA
 * instructions and without, and every item handed out once, whatever is in flight beside it.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/text.h"
#include "digest/sha1_batch.h"
#include "digest/sha1_ni.h"
#include "skip.h"
#include "support/mkstore_parts.h"

enum { LONGEST = 300 * 1024, MANY = 1001 };

/* A message on its way through the batch, and how it came back. */
struct letter {
	uint8_t digest[SHA1_LEN];
	unsigned handed, refused;
};

static struct {
	enum sha1_engine engine;
	struct sha1_batch *batch;
	struct sha1 *reference;
	struct letter letters[MANY];
	size_t added, handed;
} desk;

static uint8_t bytes[LONGEST + MANY];

static void take_letter(void *item, const uint8_t *digest, void *ctx)
{
	struct letter *letter = item;

	CU_ASSERT_PTR_EQUAL_FATAL(ctx, &desk);
	letter->handed++;
	letter->refused += !digest;
	if (digest)
		memcpy(letter->digest, digest, SHA1_LEN);
	desk.handed++;
}

/* What IPsec-MB needs at least. On a CPU that has it a refusal is no reason to skip. */
static bool cpu_is_able(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") &&
	       __builtin_cpu_supports("pclmul");
}

/* Runs `test` on an empty desk with a batch of that engine. */
static void with_engine(enum sha1_engine engine, void (*test)(void))
{
	uint64_t random = 1;

	memset(&desk, 0, sizeof(desk));
	desk.engine = engine;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)mk_random(&random);
	int r = sha1_batch_new(engine, take_letter, &desk, &desk.batch);
	if (r == -ENOTSUP && engine == SHA1_ENGINE_IPSEC_MB && !cpu_is_able()) {
		test_skip("this CPU has not what IPsec-MB needs");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	desk.reference = sha1_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(desk.reference);
	test();
	sha1_free(desk.reference);
	sha1_batch_free(desk.batch);
}

/* The same on a CPU that has no SHA instructions. */
static void with_lanes_alone(void (*test)(void))
{
	sha1_ni_pretend_missing(true);
	with_engine(SHA1_ENGINE_IPSEC_MB, test);
	sha1_ni_pretend_missing(false);
}

static void with_sha_ni(void (*test)(void))
{
	if (!sha1_ni_is_available())
		test_skip("this CPU has no SHA instructions");
	else
		with_engine(SHA1_ENGINE_IPSEC_MB, test);
}

#define BY_EACH_ENGINE(test)                                                                       \
	static void test##_by_openssl(void)                                                        \
	{                                                                                          \
		with_engine(SHA1_ENGINE_OPENSSL, test);                                            \
	}                                                                                          \
	static void test##_by_ipsec_mb(void)                                                       \
	{                                                                                          \
		with_lanes_alone(test);                                                            \
	}                                                                                          \
	static void test##_by_ipsec_mb_and_sha_ni(void)                                            \
	{                                                                                          \
		with_sha_ni(test);                                                                 \
	}

#define CASES(test)                                                                                \
	CASE(test##_by_openssl), CASE(test##_by_ipsec_mb), CASE(test##_by_ipsec_mb_and_sha_ni)

/* Adds one message; nothing is lost on the way. */
static void add(const void *data, size_t len)
{
	sha1_batch_add(desk.batch, data, len, &desk.letters[desk.added++]);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch) + desk.handed, desk.added);
	CU_ASSERT_TRUE(sha1_batch_pending(desk.batch) <= SHA1_BATCH_PENDING_MAX);
}

/* Flushes, and every letter has then come back once, and no other. */
static void flush(void)
{
	size_t wrong = 0;

	sha1_batch_flush(desk.batch);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 0);
	CU_ASSERT_EQUAL(desk.handed, desk.added);
	for (size_t i = 0; i < MANY; i++)
		wrong += desk.letters[i].handed != (i < desk.added) || desk.letters[i].refused;
	CU_ASSERT_EQUAL(wrong, 0);
}

/* True when letter i has the SHA-1 that OpenSSL computes of these bytes. */
static bool is_right(size_t i, const void *data, size_t len)
{
	uint8_t expected[SHA1_LEN];

	CU_ASSERT_EQUAL(sha1_begin(desk.reference), 0);
	CU_ASSERT_EQUAL(sha1_update(desk.reference, data, len), 0);
	CU_ASSERT_EQUAL(sha1_end(desk.reference, expected), 0);
	return memcmp(desk.letters[i].digest, expected, SHA1_LEN) == 0;
}

static void digests_the_published_messages(void)
{
	/* Those of FIPS 180; the last stands for a million letters a. */
	static const struct {
		const char *message, *digest;
	} vectors[] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnop"
		  "qklmnopqrlmnopqrsmnopqrstnopqrstu",
		  "a49b2446a02c645bf419f995b67091253a04a259" },
		{ NULL, "34aa973cd4c4daa4f61eeb2bdbad27316534016f" },
	};
	static uint8_t million[1000000];
	char hex[41];

	memset(million, 'a', sizeof(million));
	for (size_t i = 0; i < array_size(vectors); i++) {
		struct span s = span_of_str(vectors[i].message);
		add(s.data ? s.data : million, s.data ? s.len : sizeof(million));
	}
	flush();
	for (size_t i = 0; i < array_size(vectors); i++) {
		text_hex(desk.letters[i].digest, SHA1_LEN, hex);
		CU_ASSERT_STRING_EQUAL(hex, vectors[i].digest);
	}
}
BY_EACH_ENGINE(digests_the_published_messages)

static void takes_no_bytes_at_no_address(void)
{
	add(NULL, 0);
	flush();
	CU_ASSERT_TRUE(is_right(0, "", 0));
}
BY_EACH_ENGINE(takes_no_bytes_at_no_address)

/* Each begins at another byte, so no two are alike. */
static void digests_every_length_to_a_thousand(void)
{
	size_t wrong = 0;

	for (size_t len = 0; len < MANY; len++)
		add(bytes + len, len);
	flush();
	for (size_t len = 0; len < MANY; len++)
		wrong += !is_right(len, bytes + len, len);
	CU_ASSERT_EQUAL(wrong, 0);
}
BY_EACH_ENGINE(digests_every_length_to_a_thousand)

/* Short, middling and long ones in one batch, flushed now and then. */
static void digests_messages_of_any_length(void)
{
	static size_t lens[400];
	uint64_t random = 42;
	size_t wrong = 0;

	for (size_t i = 0; i < array_size(lens); i++) {
		lens[i] = mk_random(&random) % (LONGEST >> mk_random(&random) % 9);
		add(bytes + i, lens[i]);
		if (mk_random(&random) % 64 == 0)
			flush();
	}
	flush();
	for (size_t i = 0; i < array_size(lens); i++)
		wrong += !is_right(i, bytes + i, lens[i]);
	CU_ASSERT_EQUAL(wrong, 0);
}
BY_EACH_ENGINE(digests_messages_of_any_length)

/* A lane counts bytes in 16 bits: one too many would wrap. */
static void digests_messages_about_as_long_as_a_lane_takes(void)
{
	enum { COPIES = 20 };
	size_t i = 0, wrong = 0;

	for (size_t len = SHA1_BATCH_LEN_MAX - 2; len <= SHA1_BATCH_LEN_MAX + 4; len++)
		for (size_t copy = 0; copy < COPIES; copy++)
			add(bytes + copy, len);
	flush();
	for (size_t len = SHA1_BATCH_LEN_MAX - 2; len <= SHA1_BATCH_LEN_MAX + 4; len++)
		for (size_t copy = 0; copy < COPIES; copy++)
			wrong += !is_right(i++, bytes + copy, len);
	CU_ASSERT_EQUAL(wrong, 0);
}
BY_EACH_ENGINE(digests_messages_about_as_long_as_a_lane_takes)

/* The long one occupies its lane until the queue behind it is full; then all go out together. */
static void hands_out_short_messages_behind_a_long_one(void)
{
	size_t wrong = 0;

	for (size_t i = 0; i < MANY; i++) {
		add(bytes + i, i % 400 ? 10 : SHA1_BATCH_LEN_MAX);
		if (i % 400 == 399)
			CU_ASSERT_TRUE(sha1_batch_pending(desk.batch) < SHA1_BATCH_PENDING_MAX / 2);
	}
	flush();
	for (size_t i = 0; i < MANY; i++)
		wrong += !is_right(i, bytes + i, i % 400 ? 10 : SHA1_BATCH_LEN_MAX);
	CU_ASSERT_EQUAL(wrong, 0);
}
BY_EACH_ENGINE(hands_out_short_messages_behind_a_long_one)

static void flushes_any_number_of_messages(void)
{
	size_t wrong = 0, i = 0;

	flush();
	for (size_t count = 1; count <= 40; count++) {
		for (size_t n = 0; n < count; n++, i++)
			add(bytes + i, 100 + i % 700);
		flush();
	}
	flush();
	for (i = 0; i < desk.added; i++)
		wrong += !is_right(i, bytes + i, 100 + i % 700);
	CU_ASSERT_EQUAL(wrong, 0);
}
BY_EACH_ENGINE(flushes_any_number_of_messages)

/* Until it is handed out a message is pending; by then its bytes may change. */
static void wipe_and_take(void *item, const uint8_t *digest, void *ctx)
{
	size_t i = (size_t)((struct letter *)item - desk.letters);

	take_letter(item, digest, ctx);
	memset(bytes + i * 200, 0, 200);
}

static void borrows_bytes_no_longer_than_it_says(void)
{
	struct sha1_batch *wiping = NULL;
	static uint8_t before[300 * 200];
	size_t wrong = 0;

	int r = sha1_batch_new(desk.engine, wipe_and_take, &desk, &wiping);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	memcpy(before, bytes, sizeof(before));
	for (size_t i = 0; i < 300; i++)
		sha1_batch_add(wiping, bytes + i * 200, 200, &desk.letters[i]);
	sha1_batch_flush(wiping);
	sha1_batch_free(wiping);
	for (size_t i = 0; i < 300; i++)
		wrong += desk.letters[i].handed != 1 || !is_right(i, before + i * 200, 200);
	CU_ASSERT_EQUAL(wrong, 0);
}
BY_EACH_ENGINE(borrows_bytes_no_longer_than_it_says)

static void drops_what_is_pending_when_it_is_freed(void)
{
	for (int i = 0; i < 5; i++)
		add(bytes, 3000);
	add(bytes, LONGEST);
	size_t handed = desk.handed;
	sha1_batch_free(take(desk.batch));
	CU_ASSERT_EQUAL(desk.handed, handed);
	sha1_batch_free(NULL);
}
BY_EACH_ENGINE(drops_what_is_pending_when_it_is_freed)

static void check_immediate(void)
{
	CU_ASSERT_STRING_EQUAL(sha1_batch_name(desk.batch), "OpenSSL");
	for (size_t i = 0; i < 20; i++) {
		add(bytes, 1000);
		CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 0);
		CU_ASSERT_EQUAL(desk.letters[i].handed, 1);
	}
}

static void hands_out_each_message_at_once_without_ipsec_mb(void)
{
	with_engine(SHA1_ENGINE_OPENSSL, check_immediate);
}

/* Fewer messages than any engine has lanes stay pending; one too long for a lane does not. */
static void check_lanes(void)
{
	CU_ASSERT_PTR_EQUAL(strstr(sha1_batch_name(desk.batch), "IPsec-MB "),
			    sha1_batch_name(desk.batch));
	add(bytes, SHA1_BATCH_LEN_MAX);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 1);
	add(bytes, SHA1_BATCH_LEN_MAX + 1);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 1);
	CU_ASSERT_EQUAL(desk.letters[1].handed, 1);
	flush();
	CU_ASSERT_TRUE(is_right(0, bytes, SHA1_BATCH_LEN_MAX));
	CU_ASSERT_TRUE(is_right(1, bytes, SHA1_BATCH_LEN_MAX + 1));
}

static void keeps_messages_pending_until_the_lanes_of_ipsec_mb_are_full(void)
{
	with_lanes_alone(check_lanes);
}

/* Three long ones wait, whatever the short ones do; a fourth lets the shortest of them go. */
static void check_long_lanes(void)
{
	CU_ASSERT_PTR_NOT_NULL(strstr(sha1_batch_name(desk.batch), " and SHA-NI"));
	add(bytes, SHA1_BATCH_LEN_MAX + 1);
	add(bytes, 100);
	add(bytes, LONGEST);
	add(bytes, LONGEST);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 4);
	add(bytes, 100000);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 4);
	CU_ASSERT_EQUAL(desk.letters[0].handed, 1);
	flush();
	CU_ASSERT_TRUE(is_right(0, bytes, SHA1_BATCH_LEN_MAX + 1));
	CU_ASSERT_TRUE(is_right(1, bytes, 100));
	CU_ASSERT_TRUE(is_right(2, bytes, LONGEST));
	CU_ASSERT_TRUE(is_right(3, bytes, LONGEST));
	CU_ASSERT_TRUE(is_right(4, bytes, 100000));
}

static void keeps_long_messages_pending_until_there_are_four(void)
{
	with_sha_ni(check_long_lanes);
}

/* Each time one to three are pending beside none or some short ones. */
static void check_few_long(void)
{
	for (size_t nr = 1; nr <= 3; nr++) {
		for (size_t nr_short = 0; nr_short < 3; nr_short++) {
			size_t first = desk.added;
			for (size_t i = 0; i < nr; i++)
				add(bytes + i, LONGEST - i);
			for (size_t i = 0; i < nr_short; i++)
				add(bytes, 50);
			CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), nr + nr_short);
			flush();
			for (size_t i = 0; i < nr; i++)
				CU_ASSERT_TRUE(is_right(first + i, bytes + i, LONGEST - i));
		}
	}
}

static void flushes_fewer_than_four_long_messages(void)
{
	with_sha_ni(check_few_long);
}

static void check_freed_with_long(void)
{
	add(bytes, LONGEST);
	CU_ASSERT_EQUAL(sha1_batch_pending(desk.batch), 1);
	sha1_batch_free(take(desk.batch));
	CU_ASSERT_EQUAL(desk.handed, 0);
}

static void drops_a_long_message_that_is_pending_when_it_is_freed(void)
{
	with_sha_ni(check_freed_with_long);
}

/* No flush and no other long message comes to its help. Those of no bytes count as well. */
static void check_waiting(void)
{
	add(bytes, LONGEST);
	for (size_t i = 0; i < 255; i++)
		add(bytes + i, i % 2 ? 300 : 0);
	CU_ASSERT_EQUAL(desk.letters[0].handed, 0);
	add(bytes, 300);
	CU_ASSERT_EQUAL(desk.letters[0].handed, 1);
	flush();
	CU_ASSERT_TRUE(is_right(0, bytes, LONGEST));
}

static void hands_out_a_long_message_behind_256_others(void)
{
	with_sha_ni(check_waiting);
}

/* As many as ever can be: the queue of IPsec-MB behind a long job, and the long ones. */
static void check_many_pending(void)
{
	size_t most = 0;

	for (size_t i = 0; i < 3; i++)
		add(bytes, LONGEST);
	for (size_t i = 0; i < 250; i++) {
		add(bytes, i ? 10 : SHA1_BATCH_LEN_MAX);
		most = max_of(most, sha1_batch_pending(desk.batch));
	}
	CU_ASSERT_TRUE(most > SHA1_BATCH_PENDING_MAX - 20);
	flush();
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(is_right(i, bytes, LONGEST));
}

static void keeps_long_messages_pending_beside_a_full_queue(void)
{
	with_sha_ni(check_many_pending);
}

static void nobody(void *item, const uint8_t *digest, void *ctx)
{
	(void)item;
	(void)digest;
	(void)ctx;
}

/* What was asked for is used, or refused by name; asking for nothing always yields something. */
static void chooses_the_engine_that_it_says(void)
{
	struct sha1_batch *automatic = NULL, *named = NULL;

	CU_ASSERT_EQUAL_FATAL(sha1_batch_new(SHA1_ENGINE_AUTO, nobody, NULL, &automatic), 0);
	int r = sha1_batch_new(SHA1_ENGINE_IPSEC_MB, nobody, NULL, &named);
	CU_ASSERT_EQUAL(r, cpu_is_able() ? 0 : -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(sha1_batch_name(automatic), r ? "OpenSSL" : sha1_batch_name(named));
	CU_ASSERT_EQUAL(strstr(sha1_batch_name(automatic), " and SHA-NI") != NULL,
			r == 0 && sha1_ni_is_available());
	sha1_batch_free(automatic);
	sha1_batch_free(named);
}

static void knows_engines_by_name(void)
{
	enum sha1_engine engine = SHA1_ENGINE_AUTO;

	CU_ASSERT_EQUAL(sha1_engine_parse("ipsec-mb", &engine), 0);
	CU_ASSERT_EQUAL(engine, SHA1_ENGINE_IPSEC_MB);
	CU_ASSERT_EQUAL(sha1_engine_parse("openssl", &engine), 0);
	CU_ASSERT_EQUAL(engine, SHA1_ENGINE_OPENSSL);
	CU_ASSERT_EQUAL(sha1_engine_parse("", &engine), -EINVAL);
	CU_ASSERT_EQUAL(sha1_engine_parse("OpenSSL", &engine), -EINVAL);
	CU_ASSERT_EQUAL(sha1_engine_parse("ipsec", &engine), -EINVAL);
	CU_ASSERT_EQUAL(engine, SHA1_ENGINE_OPENSSL);
	CU_ASSERT_EQUAL(sha1_engine_parse("auto", &engine), 0);
	CU_ASSERT_EQUAL(engine, SHA1_ENGINE_AUTO);
}

static const struct test_case cases[] = {
	CASES(digests_the_published_messages),
	CASES(takes_no_bytes_at_no_address),
	CASES(digests_every_length_to_a_thousand),
	CASES(digests_messages_of_any_length),
	CASES(digests_messages_about_as_long_as_a_lane_takes),
	CASES(hands_out_short_messages_behind_a_long_one),
	CASES(flushes_any_number_of_messages),
	CASES(borrows_bytes_no_longer_than_it_says),
	CASES(drops_what_is_pending_when_it_is_freed),
	CASE(hands_out_each_message_at_once_without_ipsec_mb),
	CASE(keeps_messages_pending_until_the_lanes_of_ipsec_mb_are_full),
	CASE(keeps_long_messages_pending_until_there_are_four),
	CASE(flushes_fewer_than_four_long_messages),
	CASE(drops_a_long_message_that_is_pending_when_it_is_freed),
	CASE(hands_out_a_long_message_behind_256_others),
	CASE(keeps_long_messages_pending_beside_a_full_queue),
	CASE(chooses_the_engine_that_it_says),
	CASE(knows_engines_by_name),
};

const struct test_suite suite_digest_sha1_batch = { "digest/sha1_batch", cases, array_size(cases) };
