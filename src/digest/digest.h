/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests, one of the three seams of the program: what stands behind each is chosen in this folder
 * and nowhere else. Thread-safe as long as a running digest stays with one thread.
 */
#ifndef DIGEST_DIGEST_H
#define DIGEST_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define SHA1_LEN 20 /* bytes */
#define MD5_LEN 16  /* bytes */

/* A running SHA-1, reusable: begin, update..., end. */
struct sha1;

/* NULL when memory or the algorithm is not to be had. Release with sha1_free. */
struct sha1 *sha1_new(void) must_check;
void sha1_free(struct sha1 *sha1);

/* -ENOTSUP when the library refuses, which is no fault of a disk; the digest must not be used. */
int sha1_begin(struct sha1 *sha1) must_check;
int sha1_update(struct sha1 *sha1, const void *data, size_t len) must_check;
int sha1_end(struct sha1 *sha1, uint8_t ret_digest[SHA1_LEN]) must_check;

/*
 * A running MD5, of which all that holds for SHA-1 does: for the digests that Debian packages bring.
 * It finds accidents and withstands no attacker. md5_new is NULL too where policy forbids MD5.
 */
struct md5;

struct md5 *md5_new(void) must_check;
void md5_free(struct md5 *md5);
int md5_begin(struct md5 *md5) must_check;
int md5_update(struct md5 *md5, const void *data, size_t len) must_check;
int md5_end(struct md5 *md5, uint8_t ret_digest[MD5_LEN]) must_check;

/* CRC-32 as in zlib and IEEE 802.3 ("123456789" gives cbf43926): every CRC that Cyrus stores. */
uint32_t crc32_of(struct span bytes);

/* The CRC-32 of what `crc` is the CRC-32 of, with `bytes` behind it. */
uint32_t crc32_with(uint32_t crc, struct span bytes);

/* XXH3, 64 bits, unseeded, the same on every machine. Finds accidents, withstands no attacker. */
uint64_t xxh3_of(struct span bytes);

#endif
