/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of any kind, and damage of each kind to them, by a seed.
 */
#ifndef TESTS_UNIT_VERIFY_FINGERPRINT_FAULTS_H
#define TESTS_UNIT_VERIFY_FINGERPRINT_FAULTS_H

#include <string.h>

#include "base/compiler.h"
#include "digest/digest.h"
#include "support/random.h"
#include "verify/fingerprint.h"

enum content { CONTENT_RANDOM, CONTENT_TEXT, CONTENT_ELF, CONTENT_SPARSE, CONTENT_COUNT_ };

/* A block before and after, and what a baseline would say. */
struct fault {
	uint64_t state; /* of the random numbers */
	uint32_t len;
	enum content content;
	uint8_t was[FINGERPRINT_LEN_MAX], now[FINGERPRINT_LEN_MAX], other[FINGERPRINT_LEN_MAX];
	/* Of what the callbacks know; the digests are 0 where they know nothing. */
	uint64_t elsewhere, before;
};

static uint32_t fault_below(struct fault *fault, uint32_t n)
{
	return (uint32_t)random_below(&fault->state, n);
}

static void fill_text(struct fault *fault, uint8_t *out, uint32_t len)
{
	static const char *const words[] = { "the",	    "replica ", "of ",	    "a message\n",
					     "is\t",	    "From: ",	"received", " store, ",
					     "2026-11-24 ", "=20\r\n" };
	uint32_t at = 0;

	while (at < len) {
		const char *word = words[fault_below(fault, array_size(words))];
		uint32_t n = min_of((uint32_t)strlen(word), len - at);
		memcpy(out + at, word, n);
		at += n;
	}
}

/* Code with its common bytes, tables of addresses, padding. */
static void fill_elf(struct fault *fault, uint8_t *out, uint32_t len)
{
	static const uint8_t common[] = { 0x48, 0x89, 0x8b, 0x00, 0xff, 0xe8, 0x0f, 0x24 };
	uint32_t at = 0;

	while (at < len) {
		uint32_t n = min_of(16 + fault_below(fault, 600), len - at), kind;
		kind = fault_below(fault, 5);
		for (uint32_t i = 0; i < n; i++, at++) {
			if (kind == 0)
				out[at] = i < 200 ? 0 : 0x90;
			else if (kind == 1)
				out[at] = i % 8 < 2 ? (uint8_t)random_next(&fault->state)
						    : (uint8_t)(i % 8 == 2 ? 0x40 : 0);
			else
				out[at] = fault_below(fault, 2)
						  ? common[fault_below(fault, 8)]
						  : (uint8_t)random_next(&fault->state);
		}
	}
}

/* Mostly zeros, with records here and there that are longer than any one change. */
static void fill_sparse(struct fault *fault, uint8_t *out, uint32_t len)
{
	memset(out, 0, len);
	for (uint32_t n = 0; n < 6; n++) {
		uint32_t max = min_of(len / 8, 300u), at = fault_below(fault, len - max);
		for (uint32_t end = at + 40 + fault_below(fault, max - 40); at < end; at++)
			out[at] = (uint8_t)(1 + fault_below(fault, 255));
	}
}

static void fault_fill(struct fault *fault, enum content content, uint8_t *out, uint32_t len)
{
	if (content == CONTENT_TEXT) {
		fill_text(fault, out, len);
	} else if (content == CONTENT_ELF) {
		fill_elf(fault, out, len);
	} else if (content == CONTENT_SPARSE) {
		fill_sparse(fault, out, len);
	} else {
		for (uint32_t i = 0; i < len; i++)
			out[i] = (uint8_t)random_next(&fault->state);
	}
}

static void fault_begin(struct fault *fault, uint64_t seed, uint32_t len, enum content content)
{
	fault->state = seed;
	fault->len = len;
	fault->content = content;
	fault->elsewhere = fault->before = 0;
	fault_fill(fault, content, fault->was, len);
	memcpy(fault->now, fault->was, len);
}

static bool fault_is_zero(const uint8_t *bytes, uint32_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static bool fault_is_fill(const uint8_t *bytes, uint32_t len)
{
	return memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* ---- The damage: false when this block has no place for it -------------------------------------- */

static void flip(struct fault *fault, uint32_t bit)
{
	fault->now[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static bool damage_bit(struct fault *fault)
{
	flip(fault, fault_below(fault, 8 * fault->len));
	return true;
}

static bool damage_byte(struct fault *fault)
{
	uint8_t xor = (uint8_t)(1 + fault_below(fault, 255));

	fault->now[fault_below(fault, fault->len)] ^= xor;
	return (xor&(xor-1)) != 0;
}

static bool flip_words(struct fault *fault, unsigned nr)
{
	uint32_t bit = fault_below(fault, 64), words[3];

	for (unsigned i = 0; i < nr; i++) {
		words[i] = fault_below(fault, fault->len / 8);
		for (unsigned k = 0; k < i; k++)
			if (words[k] == words[i])
				return false;
		flip(fault, 64 * words[i] + bit);
	}
	return true;
}

static bool damage_two(struct fault *fault)
{
	return flip_words(fault, 2);
}

static bool damage_three(struct fault *fault)
{
	return flip_words(fault, 3);
}

/* One to three sectors, each of which was something else. */
static bool damage_zero(struct fault *fault)
{
	uint32_t nr_sectors = fault->len / 512, nr = 1 + fault_below(fault, 3), at;

	if (nr > nr_sectors)
		return false;
	at = fault_below(fault, nr_sectors - nr + 1);
	for (uint32_t i = at; i < at + nr; i++) {
		if (fault_is_zero(fault->was + 512 * i, 512))
			return false;
		memset(fault->now + 512 * i, 0, 512);
	}
	return true;
}

static bool damage_zero_block(struct fault *fault)
{
	memset(fault->now, 0, fault->len);
	return true;
}

static bool damage_copy(struct fault *fault)
{
	uint32_t from = 512 * fault_below(fault, fault->len / 512);
	uint32_t to = 512 * fault_below(fault, fault->len / 512);

	memcpy(fault->now + to, fault->was + from, 512);
	return !fault_is_fill(fault->was + from, 512) && !fault_is_zero(fault->was + to, 512);
}

static bool damage_copy_block(struct fault *fault)
{
	uint32_t from = 512 * fault_below(fault, fault->len / 512);

	for (uint32_t to = 0; to < fault->len; to += 512)
		memcpy(fault->now + to, fault->was + from, 512);
	return !fault_is_fill(fault->was + from, 512);
}

static void rotate(struct fault *fault, uint32_t off, uint32_t len, uint32_t up)
{
	for (uint32_t i = 0; i < len; i++)
		fault->now[off + (i + up) % len] = fault->was[off + i];
}

static bool damage_rotate_block(struct fault *fault)
{
	uint32_t up = 1 + fault_below(fault, 512);

	rotate(fault, 0, fault->len, fault_below(fault, 2) ? up : fault->len - up);
	return true;
}

static bool damage_rotate_sector(struct fault *fault)
{
	uint32_t off = 512 * fault_below(fault, fault->len / 512);

	rotate(fault, off, 512, 1 + fault_below(fault, 511));
	return true;
}

/* A block that ends with zeros, pushed up by something else. */
static bool damage_push(struct fault *fault)
{
	uint32_t up = 1 + fault_below(fault, 100);

	memset(fault->was + fault->len - up, 0, up);
	memcpy(fault->now + up, fault->was, fault->len - up);
	fault_fill(fault, CONTENT_RANDOM, fault->now, up);
	return true;
}

/* Something else up to a place, or from it on: at multiples of `unit`. */
static bool tear(struct fault *fault, uint32_t unit)
{
	uint32_t at = unit * (1 + fault_below(fault, fault->len / unit - 1));
	bool head = fault_below(fault, 2);
	uint32_t from = head ? 0 : at, to = head ? at : fault->len;
	enum content content = fault->content == CONTENT_SPARSE ? CONTENT_TEXT : fault->content;

	fault_fill(fault, content, fault->other, fault->len);
	memcpy(fault->now + from, fault->other + from, to - from);
	for (uint32_t i = from; i < to; i += 512)
		if (fault_is_fill(fault->now + i, 512))
			return false;
	return true;
}

static bool damage_tear(struct fault *fault)
{
	return tear(fault, fault->len > 4096 ? 4096 : 512);
}

static bool damage_misdirect(struct fault *fault)
{
	fault_fill(fault, fault->content, fault->now, fault->len);
	fault->elsewhere = xxh3_of(span_of(fault->now, fault->len));
	return true;
}

static bool damage_lose(struct fault *fault)
{
	fault_fill(fault, fault->content, fault->now, fault->len);
	fault->before = xxh3_of(span_of(fault->now, fault->len));
	return true;
}

/* Another block of the same kind of content, which no baseline knows. */
static bool damage_all(struct fault *fault)
{
	fault_fill(fault, CONTENT_RANDOM, fault->now, fault->len);
	return true;
}

/* 16 bytes in the third and in the sixth eighth. */
static bool damage_spots(struct fault *fault)
{
	uint32_t eighth = fault->len / 8, span = eighth - 16;

	fault_fill(fault, CONTENT_RANDOM, fault->now + 2 * eighth + fault_below(fault, span), 16);
	fault_fill(fault, CONTENT_RANDOM, fault->now + 5 * eighth + fault_below(fault, span), 16);
	return true;
}

static int find_elsewhere(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	const struct fault *fault = ctx;

	*ret_where = place + 1;
	return fault->elsewhere && digest == fault->elsewhere;
}

static int find_before(uint64_t digest, uint64_t place, uint64_t *ret_where, void *ctx)
{
	const struct fault *fault = ctx;

	*ret_where = place + 2;
	return fault->before && digest == fault->before;
}

static int fault_identify(struct fault *fault, uint64_t *budget, struct fingerprint_result *ret)
{
	struct fingerprint_lookup lookup = { find_elsewhere, find_before, fault };
	struct fingerprint_damage damage = {
		.now = span_of(fault->now, fault->len),
		.was = block_sum_of(span_of(fault->was, fault->len)),
		.place = 1000,
	};

	return fingerprint_identify(&damage, &lookup, budget, ret);
}

#endif
