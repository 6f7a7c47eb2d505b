/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 by OpenSSL's EVP, XXH3 by libxxhash. The algorithm is fetched once for
 * each running digest, because a fetch takes a lock.
 */
#include "digest/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

struct sha1 {
	EVP_MD *algorithm;
	EVP_MD_CTX *running;
};

struct sha1 *sha1_new(void)
{
	struct sha1 *sha1 = calloc(1, sizeof(*sha1));

	if (!sha1)
		return NULL;
	sha1->algorithm = EVP_MD_fetch(NULL, "SHA1", NULL);
	sha1->running = EVP_MD_CTX_new();
	if (!sha1->algorithm || !sha1->running) {
		sha1_free(sha1);
		return NULL;
	}
	return sha1;
}

void sha1_free(struct sha1 *sha1)
{
	if (!sha1)
		return;
	EVP_MD_CTX_free(sha1->running);
	EVP_MD_free(sha1->algorithm);
	free(sha1);
}

int sha1_begin(struct sha1 *sha1)
{
	return EVP_DigestInit_ex2(sha1->running, sha1->algorithm, NULL) == 1 ? 0 : -ENOTSUP;
}

int sha1_update(struct sha1 *sha1, const void *data, size_t len)
{
	return EVP_DigestUpdate(sha1->running, data, len) == 1 ? 0 : -ENOTSUP;
}

int sha1_end(struct sha1 *sha1, uint8_t ret_digest[SHA1_LEN])
{
	unsigned len = 0;

	if (EVP_DigestFinal_ex(sha1->running, ret_digest, &len) != 1 || len != SHA1_LEN)
		return -ENOTSUP;
	return 0;
}

/* The library is promised a pointer even for no bytes. */
uint64_t xxh3_of(struct span bytes)
{
	return XXH3_64bits(bytes.len ? bytes.data : (const uint8_t *)"", bytes.len);
}
