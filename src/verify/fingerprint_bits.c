/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bits were flipped, found by trying.
 *
 * A trial says by how much one flip moves the sum behind the digest, and what is missing to the
 * recorded digest is known (digest/xxh3_trial). One flip is found by looking at the move of each.
 * Flips of words in different pairs add up, so the second of two, and the third of three, is looked
 * up in a table of moves by what the others leave missing; only words of the same pair have to be
 * tried together. The bits of the eighths narrow it down: an eighth with one flip in it admits one in
 * sixteen, and an eighth that differs has at least one.
 *
 * The eighths of large blocks are trials of their own, a few rows long, so that most of what
 * cannot be is dismissed before the whole block is tried.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "digest/xxh3_trial.h"
#include "verify/fingerprint_work.h"

enum {
	WORDS_MAX = FINGERPRINT_LEN_MAX / 8,
	SLOTS_MAX = 2 * WORDS_MAX / BLOCK_SUM_EIGHTHS,
	STEPS_OF_LOOKUP = 2,
	BYTES_A_STEP = 32, /* digested meanwhile */
	NR_PASSES_BEFORE_BYTE = 2,
};

/* Which words of the flips share a pair of accumulators. */
enum pairing { PAIRS_DIFFER, PAIR_OF_TWO, PAIR_OF_ALL };

struct fingerprint_bits {
	struct fingerprint_work *work;
	struct xxh3_trial trial;
	struct xxh3_trial parts[BLOCK_SUM_EIGHTHS]; /* the eighths, if they are long enough */
	bool has_parts;
	uint64_t missing;
	uint32_t nr_words, nr_slots; /* of an eighth */
	/* Bit b of word w may be the only flip in its eighth. */
	uint64_t fits[WORDS_MAX];
	bool fits_known[BLOCK_SUM_EIGHTHS];
	/* For the bit that is looked at: the move of each word; tables of words by their moves. */
	unsigned bit;
	uint64_t moves[WORDS_MAX];
	uint16_t slots[BLOCK_SUM_EIGHTHS][SLOTS_MAX]; /* word + 1; 0: free */
};

/* The eighths in which the flips are, in ascending order. */
struct places {
	unsigned nr;
	unsigned eighths[FINGERPRINT_CHANGES_MAX];
	bool alone[FINGERPRINT_CHANGES_MAX]; /* of these no other is in the same eighth */
};

struct fingerprint_bits *fingerprint_bits_new(struct fingerprint_work *work, int *ret_error)
{
	struct fingerprint_bits *bits = calloc(1, sizeof(*bits));
	int r = bits ? xxh3_trial_init(&bits->trial, work->now) : -ENOMEM;

	if (!r) {
		bits->work = work;
		bits->missing = xxh3_trial_missing(&bits->trial, work->was.digest);
		bits->nr_words = work->eighth / 8;
		bits->nr_slots = 2 * bits->nr_words;
		bits->has_parts = work->eighth >= XXH3_TRIAL_LEN_MIN;
	}
	for (unsigned e = 0; !r && bits->has_parts && e < BLOCK_SUM_EIGHTHS; e++)
		r = xxh3_trial_init(&bits->parts[e],
				    span_of(work->now.data + e * work->eighth, work->eighth));
	*ret_error = r;
	if (!r)
		return bits;
	fingerprint_bits_free(bits);
	return NULL;
}

void fingerprint_bits_free(struct fingerprint_bits *bits)
{
	free(bits);
}

static bool spend(struct fingerprint_bits *bits, uint64_t steps)
{
	return fingerprint_spend(bits->work, steps);
}

static unsigned eighth_of(const struct fingerprint_bits *bits, uint32_t word)
{
	return word / bits->nr_words;
}

/* What the result says of the changes, each of one byte, now that they are known to be right. */
static void tell(struct fingerprint_bits *bits, const struct xxh3_change *changes, unsigned nr)
{
	struct fingerprint_work *work = bits->work;
	struct fingerprint_result *result = &work->result;

	result->nr_changes = nr;
	for (unsigned i = 0; i < nr; i++) {
		unsigned byte = (unsigned)__builtin_ctzll(changes[i].xor) / 8;
		uint32_t off = 8 * changes[i].word + byte;
		result->changes[i] = (struct fingerprint_change){
			.off = off,
			.was = work->old[off],
			.now = work->now.data[off],
		};
		result->mask |= changes[i].xor ;
	}
	result->lane = (unsigned)__builtin_ctzll(result->mask) / 8;
	result->bit = (unsigned)__builtin_ctzll(result->mask) % 8;
	result->kind = nr == 1 && (result->mask & (result->mask - 1)) == 0 ? FINGERPRINT_SINGLE_BIT
									   : FINGERPRINT_LANE;
}

/* A move that fits is no accident, but for the bits of the eighths, which have to fit as well. */
static bool settle(struct fingerprint_bits *bits, const struct xxh3_change *changes, unsigned nr)
{
	struct fingerprint_work *work = bits->work;

	memcpy(work->old, work->now.data, work->now.len);
	for (unsigned i = 0; i < nr; i++)
		for (unsigned byte = 0; byte < 8; byte++)
			work->old[8 * changes[i].word + byte] ^=
				(uint8_t)(changes[i].xor >> 8 * byte);
	if (!fingerprint_settle(work))
		return false;
	tell(bits, changes, nr);
	return true;
}

/* Whether the eighth has its recorded bits with these changes, all of one pair; unknown is yes. */
static bool part_admits(const struct fingerprint_bits *bits, const struct xxh3_change *changes,
			unsigned nr)
{
	unsigned e = eighth_of(bits, changes->word);
	struct xxh3_change inside[FINGERPRINT_CHANGES_MAX];
	uint64_t move;

	if (!bits->has_parts)
		return true;
	for (unsigned i = 0; i < nr; i++)
		inside[i] = (struct xxh3_change){ changes[i].word - e * bits->nr_words,
						  changes[i].xor };
	move = xxh3_trial_move(&bits->parts[e], inside, nr);
	return xxh3_trial_digest(&bits->parts[e], move) >> 60 ==
	       fingerprint_recorded(bits->work, e);
}

/* How many steps that takes at most. */
static unsigned steps_of_part(const struct fingerprint_bits *bits, uint32_t word)
{
	unsigned e = eighth_of(bits, word);

	return bits->has_parts ? xxh3_trial_steps(&bits->parts[e], word - e * bits->nr_words) : 0;
}

/* One change, if it is the only one. */
static bool try_one(struct fingerprint_bits *bits, uint32_t word, uint64_t xor)
{
	struct xxh3_change change = { word, xor};

	return part_admits(bits, &change, 1) &&
	       xxh3_trial_move(&bits->trial, &change, 1) == bits->missing &&
	       settle(bits, &change, 1);
}

/* What trying one word once costs: a sixteenth comes past its eighth. */
static uint64_t steps_of_one(const struct fingerprint_bits *bits, uint32_t word)
{
	unsigned whole = xxh3_trial_steps(&bits->trial, word);

	return bits->has_parts ? steps_of_part(bits, word) + whole / 16 : whole;
}

static bool find_one_in(struct fingerprint_bits *bits, unsigned eighth)
{
	uint32_t word = eighth * bits->nr_words, end = word + bits->nr_words;

	for (; word < end && spend(bits, 64 * steps_of_one(bits, word)); word++)
		for (unsigned bit = 0; bit < 64; bit++)
			if (try_one(bits, word, UINT64_C(1) << bit))
				return true;
	return false;
}

bool fingerprint_bits_find_one(struct fingerprint_bits *bits)
{
	for (unsigned e = 0; e < BLOCK_SUM_EIGHTHS; e++)
		if (fingerprint_may_hold_all(bits->work, e) && find_one_in(bits, e))
			return true;
	return false;
}

static bool find_byte_in(struct fingerprint_bits *bits, unsigned eighth)
{
	uint32_t word = eighth * bits->nr_words, end = word + bits->nr_words;

	for (; word < end && spend(bits, UINT64_C(8) * 255 * steps_of_one(bits, word)); word++)
		for (unsigned lane = 0; lane < 8; lane++)
			for (uint64_t xor = 1; xor <= 255; xor ++)
				if (try_one(bits, word, xor << 8 * lane))
					return true;
	return false;
}

static bool find_byte(struct fingerprint_bits *bits)
{
	for (unsigned e = 0; e < BLOCK_SUM_EIGHTHS; e++)
		if (fingerprint_may_hold_all(bits->work, e) && find_byte_in(bits, e))
			return true;
	return false;
}

/* ---- The same bit of several words -------------------------------------------------------------- */

/* Without the help of a trial, where the eighth is too short for one. */
static bool eighth_fits(struct fingerprint_bits *bits, unsigned eighth, uint32_t word, unsigned bit)
{
	struct fingerprint_work *work = bits->work;
	struct xxh3_change change = { word, UINT64_C(1) << bit };
	uint8_t *byte = &work->old[8 * word + bit / 8];
	unsigned sum;

	if (bits->has_parts)
		return part_admits(bits, &change, 1);
	*byte ^= (uint8_t)(1u << bit % 8);
	sum = block_sum_of_eighth(span_of(work->old + eighth * work->eighth, work->eighth));
	*byte ^= (uint8_t)(1u << bit % 8);
	return sum == fingerprint_recorded(work, eighth);
}

/* Which flips may be the only one in this eighth. */
static bool learn_fits(struct fingerprint_bits *bits, unsigned eighth)
{
	uint32_t word = eighth * bits->nr_words, end = word + bits->nr_words;

	if (bits->fits_known[eighth])
		return true;
	memcpy(bits->work->old, bits->work->now.data, bits->work->now.len);
	for (; word < end; word++) {
		uint64_t one = bits->has_parts ? steps_of_part(bits, word)
					       : bits->work->eighth / BYTES_A_STEP;
		if (!spend(bits, 64 * one))
			return false;
		for (unsigned bit = 0; bit < 64; bit++)
			if (eighth_fits(bits, eighth, word, bit))
				bits->fits[word] |= UINT64_C(1) << bit;
	}
	bits->fits_known[eighth] = true;
	return true;
}

/* Moves are as good as random; their low bits will do. */
static uint32_t slot_of(const struct fingerprint_bits *bits, uint64_t move)
{
	return (uint32_t)move & (bits->nr_slots - 1);
}

/* The moves of all words of the eighth for the bit that is looked at. */
static bool fill(struct fingerprint_bits *bits, unsigned eighth)
{
	uint16_t *slots = bits->slots[eighth];
	uint32_t word = eighth * bits->nr_words, end = word + bits->nr_words;

	memset(slots, 0, bits->nr_slots * sizeof(*slots));
	for (; word < end && spend(bits, xxh3_trial_steps(&bits->trial, word)); word++) {
		struct xxh3_change change = { word, UINT64_C(1) << bits->bit };
		uint32_t slot;
		bits->moves[word] = xxh3_trial_move(&bits->trial, &change, 1);
		slot = slot_of(bits, bits->moves[word]);
		while (slots[slot])
			slot = (slot + 1) & (bits->nr_slots - 1);
		slots[slot] = (uint16_t)(word + 1);
	}
	return word == end;
}

/* A flip that is alone in its eighth has to fit there by itself. */
static bool may_be(const struct fingerprint_bits *bits, const struct places *places, unsigned i,
		   uint32_t word)
{
	return !places->alone[i] || (bits->fits[word] >> bits->bit & 1);
}

static bool settle_words(struct fingerprint_bits *bits, const uint32_t *words, unsigned nr)
{
	struct xxh3_change changes[FINGERPRINT_CHANGES_MAX];

	for (unsigned i = 0; i < nr; i++) {
		unsigned k = i;
		for (; k > 0 && changes[k - 1].word > words[i]; k--)
			changes[k] = changes[k - 1];
		changes[k] = (struct xxh3_change){ words[i], UINT64_C(1) << bits->bit };
	}
	return settle(bits, changes, nr);
}

/*
 * Looks for the last of the words, in the eighth of place i, when the others move the sum by `move`.
 * It is of another pair than they are.
 */
static bool look_up(struct fingerprint_bits *bits, const struct places *places, unsigned i,
		    uint64_t move, uint32_t words[FINGERPRINT_CHANGES_MAX])
{
	const uint16_t *slots = bits->slots[places->eighths[i]];
	uint64_t wanted = bits->missing - move;
	unsigned nr = places->nr;

	for (uint32_t slot = slot_of(bits, wanted); slots[slot];
	     slot = (slot + 1) & (bits->nr_slots - 1)) {
		uint32_t word = slots[slot] - 1u;
		bool is_apart = true;
		for (unsigned k = 0; k + 1 < nr; k++)
			is_apart &= xxh3_trial_pair(words[k]) != xxh3_trial_pair(word);
		if (bits->moves[word] != wanted || !is_apart || !may_be(bits, places, i, word))
			continue;
		words[nr - 1] = word;
		if (settle_words(bits, words, nr))
			return true;
	}
	return false;
}

/* The next word behind `word` of its pair, in steps of 1 and 7. */
static uint32_t next_of_pair(uint32_t word)
{
	return word % 2 ? word + XXH3_TRIAL_LANES - 1 : word + 1;
}

/* The first word of the pair of `word` in eighth `e`, behind `word` if that is in it. */
static uint32_t first_of_pair(const struct fingerprint_bits *bits, unsigned e, uint32_t word)
{
	if (eighth_of(bits, word) == e)
		return next_of_pair(word);
	return e * bits->nr_words + 2 * xxh3_trial_pair(word);
}

static uint32_t end_of(const struct fingerprint_bits *bits, unsigned eighth)
{
	return (eighth + 1) * bits->nr_words;
}

/* Both flips are in one pair: how far they move the sum together. */
static uint64_t move_of_two(const struct fingerprint_bits *bits, uint32_t a, uint32_t b)
{
	struct xxh3_change changes[] = {
		{ min_of(a, b), UINT64_C(1) << bits->bit },
		{ max_of(a, b), UINT64_C(1) << bits->bit },
	};

	return xxh3_trial_move(&bits->trial, changes, 2);
}

/* All flips are of one pair, in ascending order. */
static bool try_together(struct fingerprint_bits *bits, const uint32_t *words, unsigned nr)
{
	struct xxh3_change changes[FINGERPRINT_CHANGES_MAX];
	unsigned first = 0;

	for (unsigned i = 0; i < nr; i++)
		changes[i] = (struct xxh3_change){ words[i], UINT64_C(1) << bits->bit };
	/* Several in one eighth, for of those that are alone it is known already. */
	for (unsigned i = 1; i <= nr; i++) {
		if (i < nr && eighth_of(bits, words[i]) == eighth_of(bits, words[first]))
			continue;
		if (i - first > 1) {
			if (!spend(bits, steps_of_part(bits, words[first])) ||
			    !part_admits(bits, changes + first, i - first))
				return false;
		}
		first = i;
	}
	return spend(bits, xxh3_trial_steps(&bits->trial, words[0])) &&
	       xxh3_trial_move(&bits->trial, changes, nr) == bits->missing &&
	       settle(bits, changes, nr);
}

static bool find_two(struct fingerprint_bits *bits, const struct places *places,
		     enum pairing pairing)
{
	unsigned e = places->eighths[0], f = places->eighths[1];
	uint32_t words[FINGERPRINT_CHANGES_MAX];

	for (uint32_t a = e * bits->nr_words; a < end_of(bits, e); a++) {
		if (!spend(bits, STEPS_OF_LOOKUP))
			return false;
		if (!may_be(bits, places, 0, a))
			continue;
		words[0] = a;
		if (pairing == PAIRS_DIFFER) {
			if (look_up(bits, places, 1, bits->moves[a], words))
				return true;
			continue;
		}
		for (uint32_t b = first_of_pair(bits, f, a); b < end_of(bits, f);
		     b = next_of_pair(b)) {
			words[1] = b;
			if (may_be(bits, places, 1, b) && try_together(bits, words, 2))
				return true;
		}
	}
	return false;
}

/* The words at places i and k are of different pairs and walked through, the third is looked up. */
static bool find_third_apart(struct fingerprint_bits *bits, const struct places *places, unsigned i,
			     unsigned k)
{
	unsigned e = places->eighths[i], f = places->eighths[k];
	uint32_t words[FINGERPRINT_CHANGES_MAX];

	for (uint32_t a = e * bits->nr_words; a < end_of(bits, e); a++) {
		uint32_t b = e == f ? a + 1 : f * bits->nr_words;
		if (!may_be(bits, places, i, a))
			continue;
		words[0] = a;
		/* Those that cannot be alone are passed by quickly. */
		if (!spend(bits, (places->alone[k] ? 1 : 4) * (uint64_t)(end_of(bits, f) - b) *
					 STEPS_OF_LOOKUP / 4))
			return false;
		for (; b < end_of(bits, f); b++) {
			if (xxh3_trial_pair(a) == xxh3_trial_pair(b) || !may_be(bits, places, k, b))
				continue;
			words[1] = b;
			if (look_up(bits, places, 3 - i - k, bits->moves[a] + bits->moves[b],
				    words))
				return true;
		}
	}
	return false;
}

/* Whether these two, in ascending order, may be all the flips of their eighth. */
static bool may_be_whole(struct fingerprint_bits *bits, const uint32_t *words)
{
	struct xxh3_change changes[] = {
		{ words[0], UINT64_C(1) << bits->bit },
		{ words[1], UINT64_C(1) << bits->bit },
	};

	return spend(bits, steps_of_part(bits, words[0])) && part_admits(bits, changes, 2);
}

/* The same where those two are of one pair. */
static bool find_third_of_two(struct fingerprint_bits *bits, const struct places *places,
			      unsigned i, unsigned k)
{
	unsigned e = places->eighths[i], f = places->eighths[k];
	bool is_whole = e == f && places->alone[3 - i - k];
	uint32_t words[FINGERPRINT_CHANGES_MAX];

	for (uint32_t a = e * bits->nr_words; a < end_of(bits, e); a++) {
		if (!may_be(bits, places, i, a))
			continue;
		words[0] = a;
		for (uint32_t b = first_of_pair(bits, f, a); b < end_of(bits, f);
		     b = next_of_pair(b)) {
			if (!may_be(bits, places, k, b))
				continue;
			words[1] = b;
			if (is_whole && !may_be_whole(bits, words))
				continue;
			if (!spend(bits,
				   xxh3_trial_steps(&bits->trial, min_of(a, b)) + STEPS_OF_LOOKUP))
				return false;
			if (look_up(bits, places, 3 - i - k, move_of_two(bits, a, b), words))
				return true;
		}
	}
	return false;
}

static bool find_three_together(struct fingerprint_bits *bits, const struct places *places)
{
	const unsigned *e = places->eighths;
	uint32_t w[FINGERPRINT_CHANGES_MAX];

	for (w[0] = e[0] * bits->nr_words; w[0] < end_of(bits, e[0]); w[0]++) {
		if (!may_be(bits, places, 0, w[0]))
			continue;
		for (w[1] = first_of_pair(bits, e[1], w[0]); w[1] < end_of(bits, e[1]);
		     w[1] = next_of_pair(w[1])) {
			if (!may_be(bits, places, 1, w[1]))
				continue;
			for (w[2] = first_of_pair(bits, e[2], w[1]); w[2] < end_of(bits, e[2]);
			     w[2] = next_of_pair(w[2])) {
				if (!may_be(bits, places, 2, w[2]))
					continue;
				if (!bits->work->steps)
					return false;
				if (try_together(bits, w, 3))
					return true;
			}
		}
	}
	return false;
}

static bool find_three(struct fingerprint_bits *bits, const struct places *places,
		       enum pairing pairing)
{
	if (pairing == PAIR_OF_ALL)
		return find_three_together(bits, places);
	/* Of three in different pairs any one may be looked up: the one that has most company. */
	if (pairing == PAIRS_DIFFER)
		return places->eighths[0] == places->eighths[1]
			       ? find_third_apart(bits, places, 1, 2)
			       : find_third_apart(bits, places, 0, 1);
	/* Places in one eighth stand for each other; two of one eighth are most work, and last. */
	if (places->eighths[0] != places->eighths[1])
		return find_third_of_two(bits, places, 0, 1) ||
		       (places->eighths[1] != places->eighths[2] &&
			find_third_of_two(bits, places, 0, 2)) ||
		       find_third_of_two(bits, places, 1, 2);
	return (places->eighths[1] != places->eighths[2] &&
		find_third_of_two(bits, places, 0, 2)) ||
	       find_third_of_two(bits, places, 0, 1);
}

static unsigned eighths_of(const struct places *places)
{
	unsigned eighths = 0;

	for (unsigned i = 0; i < places->nr; i++)
		eighths |= 1u << places->eighths[i];
	return eighths;
}

static void set_alone(struct places *places)
{
	for (unsigned i = 0; i < places->nr; i++) {
		places->alone[i] = true;
		for (unsigned k = 0; k < places->nr; k++)
			if (k != i && places->eighths[k] == places->eighths[i])
				places->alone[i] = false;
	}
}

/* Goes to the next in the order 000, 001, ... 007, 011, ... 777; false behind the last. */
static bool next_places(struct places *places)
{
	unsigned i = places->nr;

	while (i > 0 && places->eighths[i - 1] == BLOCK_SUM_EIGHTHS - 1)
		i--;
	if (i == 0)
		return false;
	places->eighths[i - 1]++;
	for (; i < places->nr; i++)
		places->eighths[i] = places->eighths[i - 1];
	return true;
}

/* Whether flips in these eighths explain which differ; and some do not show, or all do. */
static bool explains(const struct fingerprint_bits *bits, const struct places *places, bool hidden)
{
	unsigned eighths = eighths_of(places), differing = bits->work->differing;

	return (differing & ~eighths) == 0 && (eighths != differing) == hidden;
}

static bool find_at(struct fingerprint_bits *bits, struct places *places, enum pairing pairing)
{
	set_alone(places);
	for (unsigned i = 0; i < places->nr; i++)
		if (places->alone[i] && !learn_fits(bits, places->eighths[i]))
			return false;
	return places->nr == 2 ? find_two(bits, places, pairing)
			       : find_three(bits, places, pairing);
}

struct pass {
	unsigned nr;
	enum pairing pairing;
	bool hidden;
};

/* One pass over all bit positions. */
static bool find_flips(struct fingerprint_bits *bits, const struct pass *pass)
{
	for (bits->bit = 0; bits->bit < 64; bits->bit++) {
		struct places places = { .nr = pass->nr };
		unsigned filled = 0;
		do {
			unsigned eighths = eighths_of(&places);
			if (!explains(bits, &places, pass->hidden))
				continue;
			for (unsigned e = 0; e < BLOCK_SUM_EIGHTHS; e++)
				if ((eighths & ~filled) >> e & 1 && !fill(bits, e))
					return false;
			filled |= eighths;
			if (find_at(bits, &places, pass->pairing))
				return true;
			if (!bits->work->steps)
				return false;
		} while (next_places(&places));
	}
	return false;
}

bool fingerprint_bits_find_lane(struct fingerprint_bits *bits)
{
	/* From the cheap to the dear, from the likely to the unlikely. */
	static const struct pass passes[] = {
		{ 2, PAIRS_DIFFER, false }, { 2, PAIRS_DIFFER, true },	{ 2, PAIR_OF_ALL, true },
		{ 2, PAIR_OF_ALL, false },  { 3, PAIRS_DIFFER, false }, { 3, PAIR_OF_TWO, false },
		{ 3, PAIRS_DIFFER, true },  { 3, PAIR_OF_ALL, false },	{ 3, PAIR_OF_TWO, true },
		{ 3, PAIR_OF_ALL, true },
	};
	unsigned nr_differing = (unsigned)__builtin_popcount(bits->work->differing);

	for (size_t i = 0; i < array_size(passes); i++) {
		/* One byte costs more than two flips that are looked up, and less than all others. */
		if (i == NR_PASSES_BEFORE_BYTE && nr_differing <= 1 && find_byte(bits))
			return true;
		if (passes[i].nr >= nr_differing && bits->work->steps &&
		    find_flips(bits, &passes[i]))
			return true;
	}
	return false;
}
