/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPsec-MB finishes jobs in any order and hands them out in the order in which they came. So digest
 * number n has its place at n modulo the length of the library's queue: whenever the queue takes
 * another job, the digest that was there has been handed out.
 *
 * The library is assembly, chosen by what the CPU says of itself, and what it returns becomes a
 * finding about somebody's disk. So every new batch is tried against OpenSSL first, with more
 * messages than there are lanes. So are the SHA instructions, which take what is too long for a lane
 * of the library.
 */
#include "digest/sha1_batch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NO_COMPAT_IMB_API_053 /* else its old names shadow those of OpenSSL and ours */
#include <intel-ipsec-mb.h>

#include "digest/sha1_ni.h"

_Static_assert(SHA1_BATCH_PENDING_MAX == IMB_MAX_JOBS + SHA1_NI_PENDING_MAX, "of either kind");

struct sha1_batch {
	sha1_batch_fn fn;
	void *ctx;
	struct sha1 *single; /* for one message at a time */
	IMB_MGR *mgr;	     /* NULL: everything goes one at a time */
	const char *name;
	uint64_t submitted;
	size_t pending;
	uint8_t digests[IMB_MAX_JOBS][SHA1_LEN]; /* one for each job of the queue */
	size_t lane_max;			 /* what is longer is for ni, if there is one */
	bool has_ni;
	struct sha1_ni ni;
};

int sha1_engine_parse(const char *name, enum sha1_engine *ret_engine)
{
	static const char *const names[] = {
		[SHA1_ENGINE_AUTO] = "auto",
		[SHA1_ENGINE_OPENSSL] = "openssl",
		[SHA1_ENGINE_IPSEC_MB] = "ipsec-mb",
	};

	for (size_t i = 0; i < array_size(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_engine = (enum sha1_engine)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int single_digest(struct sha1 *sha1, const void *data, size_t len, uint8_t *ret_digest)
{
	int r = sha1_begin(sha1);

	if (!r)
		r = sha1_update(sha1, data, len);
	return r ? r : sha1_end(sha1, ret_digest);
}

static void add_single(struct sha1_batch *batch, const void *data, size_t len, void *item)
{
	uint8_t digest[SHA1_LEN];
	int r = single_digest(batch->single, data, len, digest);

	batch->fn(item, r ? NULL : digest, batch->ctx);
}

static void hand_out(struct sha1_batch *batch, const IMB_JOB *job)
{
	bool good = job->status == IMB_STATUS_COMPLETED;

	batch->pending--;
	batch->fn(job->user_data, good ? job->auth_tag_output : NULL, batch->ctx);
}

static void on_ni(void *item, const uint8_t *digest, void *ctx)
{
	struct sha1_batch *batch = ctx;

	batch->pending--;
	batch->fn(item, digest, batch->ctx);
}

static void add_to_ni(struct sha1_batch *batch, const void *data, size_t len, void *item)
{
	batch->pending++;
	sha1_ni_add(&batch->ni, data, len, item);
}

static void add_to_lane(struct sha1_batch *batch, const void *data, size_t len, void *item)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(batch->mgr);

	/* The other fields belong to ciphers and keys, which a plain digest has not. */
	job->cipher_mode = IMB_CIPHER_NULL;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->hash_alg = IMB_AUTH_SHA_1;
	job->src = data;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = len;
	job->auth_tag_output = batch->digests[batch->submitted % IMB_MAX_JOBS];
	job->auth_tag_output_len_in_bytes = SHA1_LEN;
	job->user_data = item;
	batch->submitted++;
	batch->pending++;
	for (job = IMB_SUBMIT_JOB(batch->mgr); job; job = IMB_GET_COMPLETED_JOB(batch->mgr))
		hand_out(batch, job);
}

void sha1_batch_add(struct sha1_batch *batch, const void *data, size_t len, void *item)
{
	if (batch->has_ni)
		sha1_ni_pass(&batch->ni);
	if (!batch->mgr || len == 0)
		add_single(batch, data, len, item);
	else if (len <= batch->lane_max)
		add_to_lane(batch, data, len, item);
	else if (batch->has_ni)
		add_to_ni(batch, data, len, item);
	else
		add_single(batch, data, len, item);
}

void sha1_batch_flush(struct sha1_batch *batch)
{
	if (batch->has_ni)
		sha1_ni_flush(&batch->ni);
	if (!batch->mgr)
		return;
	for (IMB_JOB *job = IMB_FLUSH_JOB(batch->mgr); job; job = IMB_FLUSH_JOB(batch->mgr))
		hand_out(batch, job);
}

/* ---- The trial ---- */

enum { TRIAL_MESSAGES = 40 }; /* two and a half for each of the 16 lanes of AVX-512 */

/* Around the block, around the padding, and as long as they get. */
static const size_t trial_lens[] = { SHA1_BATCH_LEN_MAX, 1, 55, 56, 63, 64, 65, 1000 };

/* One message of the trial. */
struct trial {
	const uint8_t *data;
	size_t len;
	unsigned handed, wrong;
};

static void trial_take(void *item, const uint8_t *digest, void *ctx)
{
	struct trial *trial = item;
	uint8_t expected[SHA1_LEN];

	trial->handed++;
	trial->wrong += !digest || single_digest(ctx, trial->data, trial->len, expected) ||
			memcmp(digest, expected, SHA1_LEN) != 0;
}

/* Each message begins at another byte, so that no two are alike and most are not aligned. */
static bool trial_run(struct sha1_batch *batch, const uint8_t *bytes)
{
	struct trial trials[TRIAL_MESSAGES] = { 0 };
	bool good = true;

	for (size_t i = 0; i < TRIAL_MESSAGES; i++) {
		trials[i].data = bytes + i;
		trials[i].len = trial_lens[i % array_size(trial_lens)];
		sha1_batch_add(batch, trials[i].data, trials[i].len, &trials[i]);
	}
	sha1_batch_flush(batch);
	for (size_t i = 0; i < TRIAL_MESSAGES; i++)
		good = good && trials[i].handed == 1 && trials[i].wrong == 0;
	return good && batch->pending == 0;
}

/* -ENOTSUP when what the batch uses and OpenSSL disagree. */
static int batch_try(struct sha1_batch *batch)
{
	enum { SIZE = SHA1_BATCH_LEN_MAX + TRIAL_MESSAGES };
	uint8_t *bytes = malloc(SIZE);

	if (!bytes)
		return -ENOMEM;
	for (uint32_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * UINT32_C(2654435761) >> 24);
	batch->fn = trial_take;
	batch->ctx = batch->single;
	bool good = trial_run(batch, bytes);
	free(bytes);
	return good ? 0 : -ENOTSUP;
}

/* ---- Making and releasing ---- */

static const char *batch_choose_name(IMB_ARCH arch, bool has_ni)
{
	switch (arch) {
	case IMB_ARCH_SSE:
		return has_ni ? "IPsec-MB SSE and SHA-NI" : "IPsec-MB SSE";
	case IMB_ARCH_AVX:
		return has_ni ? "IPsec-MB AVX and SHA-NI" : "IPsec-MB AVX";
	case IMB_ARCH_AVX2:
		return has_ni ? "IPsec-MB AVX2 and SHA-NI" : "IPsec-MB AVX2";
	case IMB_ARCH_AVX512:
		return has_ni ? "IPsec-MB AVX512 and SHA-NI" : "IPsec-MB AVX512";
	default:
		return has_ni ? "IPsec-MB and SHA-NI" : "IPsec-MB";
	}
}

static void batch_drop_ipsec_mb(struct sha1_batch *batch)
{
	if (batch->mgr)
		free_mb_mgr(batch->mgr);
	batch->mgr = NULL;
	batch->name = "OpenSSL";
}

/* The SHA instructions as well, where the CPU has them; in their trial they get everything. */
static int batch_take_ni(struct sha1_batch *batch)
{
	if (!sha1_ni_is_available())
		return 0;
	sha1_ni_init(&batch->ni, on_ni, batch);
	batch->has_ni = true;
	batch->lane_max = 0;
	int r = batch_try(batch);
	batch->lane_max = SHA1_BATCH_LEN_MAX;
	batch->has_ni = r == 0;
	return r == -ENOTSUP ? 0 : r;
}

/* Sets up IPsec-MB and tries it; after an error the batch is one without. */
static int batch_take_ipsec_mb(struct sha1_batch *batch)
{
	IMB_ARCH arch = IMB_ARCH_NONE;
	int r = -ENOTSUP;

	batch->mgr = alloc_mb_mgr(0);
	if (!batch->mgr)
		return -ENOMEM;
	init_mb_mgr_auto(batch->mgr, &arch);
	batch->lane_max = SHA1_BATCH_LEN_MAX;
	if (arch != IMB_ARCH_NONE && imb_get_errno(batch->mgr) == 0)
		r = batch_try(batch);
	if (r == 0)
		r = batch_take_ni(batch);
	if (r)
		batch_drop_ipsec_mb(batch);
	else
		batch->name = batch_choose_name(arch, batch->has_ni);
	return r;
}

int sha1_batch_new(enum sha1_engine engine, sha1_batch_fn fn, void *ctx,
		   struct sha1_batch **ret_batch)
{
	struct sha1_batch *batch = calloc(1, sizeof(*batch));
	int r = 0;

	if (!batch)
		return -ENOMEM;
	batch->name = "OpenSSL";
	batch->single = sha1_new();
	if (!batch->single)
		r = -ENOMEM;
	else if (engine != SHA1_ENGINE_OPENSSL)
		r = batch_take_ipsec_mb(batch);
	if (r == -ENOTSUP && engine == SHA1_ENGINE_AUTO)
		r = 0;
	if (r) {
		sha1_batch_free(batch);
		return r;
	}
	batch->fn = fn;
	batch->ctx = ctx;
	*ret_batch = batch;
	return 0;
}

void sha1_batch_free(struct sha1_batch *batch)
{
	if (!batch)
		return;
	batch_drop_ipsec_mb(batch);
	sha1_free(batch->single);
	free(batch);
}

size_t sha1_batch_pending(const struct sha1_batch *batch)
{
	return batch->pending;
}

const char *sha1_batch_name(const struct sha1_batch *batch)
{
	return batch->name;
}
