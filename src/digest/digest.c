/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 and MD5 by OpenSSL's EVP, XXH3 by libxxhash. The algorithm is fetched once for
 * each running digest, because a fetch takes a lock.
 */
#include "digest/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

/* What OpenSSL keeps of a running digest, of either kind. */
struct running {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
};

struct sha1 {
	struct running running;
};

struct md5 {
	struct running running;
};

/* False when either is not to be had; running_fini all the same. */
static bool running_init(struct running *running, const char *algorithm)
{
	running->algorithm = EVP_MD_fetch(NULL, algorithm, NULL);
	running->context = EVP_MD_CTX_new();
	return running->algorithm && running->context;
}

static void running_fini(struct running *running)
{
	EVP_MD_CTX_free(running->context);
	EVP_MD_free(running->algorithm);
}

static int running_begin(struct running *running)
{
	return EVP_DigestInit_ex2(running->context, running->algorithm, NULL) == 1 ? 0 : -ENOTSUP;
}

static int running_update(struct running *running, const void *data, size_t len)
{
	return EVP_DigestUpdate(running->context, data, len) == 1 ? 0 : -ENOTSUP;
}

static int running_end(struct running *running, uint8_t *ret_digest, unsigned wanted)
{
	unsigned len = 0;

	if (EVP_DigestFinal_ex(running->context, ret_digest, &len) != 1 || len != wanted)
		return -ENOTSUP;
	return 0;
}

struct sha1 *sha1_new(void)
{
	struct sha1 *sha1 = calloc(1, sizeof(*sha1));

	if (!sha1)
		return NULL;
	if (!running_init(&sha1->running, "SHA1")) {
		sha1_free(sha1);
		return NULL;
	}
	return sha1;
}

void sha1_free(struct sha1 *sha1)
{
	if (!sha1)
		return;
	running_fini(&sha1->running);
	free(sha1);
}

int sha1_begin(struct sha1 *sha1)
{
	return running_begin(&sha1->running);
}

int sha1_update(struct sha1 *sha1, const void *data, size_t len)
{
	return running_update(&sha1->running, data, len);
}

int sha1_end(struct sha1 *sha1, uint8_t ret_digest[SHA1_LEN])
{
	return running_end(&sha1->running, ret_digest, SHA1_LEN);
}

struct md5 *md5_new(void)
{
	struct md5 *md5 = calloc(1, sizeof(*md5));

	if (!md5)
		return NULL;
	if (!running_init(&md5->running, "MD5")) {
		md5_free(md5);
		return NULL;
	}
	return md5;
}

void md5_free(struct md5 *md5)
{
	if (!md5)
		return;
	running_fini(&md5->running);
	free(md5);
}

int md5_begin(struct md5 *md5)
{
	return running_begin(&md5->running);
}

int md5_update(struct md5 *md5, const void *data, size_t len)
{
	return running_update(&md5->running, data, len);
}

int md5_end(struct md5 *md5, uint8_t ret_digest[MD5_LEN])
{
	return running_end(&md5->running, ret_digest, MD5_LEN);
}

/* The library is promised a pointer even for no bytes. */
uint64_t xxh3_of(struct span bytes)
{
	return XXH3_64bits(bytes.len ? bytes.data : (const uint8_t *)"", bytes.len);
}
