/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store builder share among themselves and with nobody else: the store and
 * its list of names, the random numbers, and the text of Cyrus's dlists.
 */
#ifndef TESTS_SUPPORT_MKSTORE_PARTS_H
#define TESTS_SUPPORT_MKSTORE_PARTS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "digest/digest.h"
#include "support/mkstore.h"

#define MK_UNIQUE_ID_LEN 24 /* characters, [0-9a-z] */

enum mk_kind {
	MK_MAILBOX,
	MK_TOMBSTONE,
	MK_INTERMEDIATE,
	MK_KIND_COUNT_,
};

/* One name of mailboxes.db. */
struct mk_name {
	char *internal; /* owned */
	char *db;	/* owned: the same, in the spelling of the database; as long */
	char unique_id[MK_UNIQUE_ID_LEN + 1];
	enum mk_kind kind;
	uint32_t uidvalidity;
};

struct mkstore {
	char *dir;  /* absolute, owned */
	char *conf; /* path of imapd.conf, owned */
	int spool_fd;
	struct mkstore_options options;
	struct mk_name *names; /* owned; sorted by db name once finished */
	size_t nr_names;
	size_t cap_names;
	struct mkstore_mailbox *open; /* NULL: none */
	struct mkstore_totals totals;
	uint64_t nr_messages; /* with and without file: what the clock and the contents go by */
	uint64_t size_random; /* state of the drawn sizes */
	struct sha1 *sha1;
	uint8_t *text;	 /* one message, owned, grows to the largest */
	uint64_t text_cap; /* bytes */
};

/* What a message says about itself. */
struct mk_letter {
	uint64_t seed;	 /* of its body */
	uint64_t number; /* in the store, from 0 */
	int64_t date;	 /* seconds */
	const char *to;	 /* the mailbox, internal name */
};

/* The next of a row of random numbers (splitmix64, by Sebastiano Vigna, public domain). */
static inline uint64_t mk_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A seed for one purpose, one number: neighbours share nothing. */
static inline uint64_t mk_seed(uint64_t seed, uint64_t purpose, uint64_t number)
{
	uint64_t state = seed;

	state = mk_random(&state) ^ purpose;
	state = mk_random(&state) ^ number;
	return mk_random(&state);
}

/* Big-endian, at any alignment. */
static inline void mk_put32(uint8_t *p, uint32_t value)
{
	uint32_t be = __builtin_bswap32(value);

	memcpy(p, &be, sizeof(be));
}

static inline void mk_put64(uint8_t *p, uint64_t value)
{
	uint64_t be = __builtin_bswap64(value);

	memcpy(p, &be, sizeof(be));
}

/* Writes all of it at `off`; short writes are resumed. Negative errno. */
int mk_write(int fd, const void *data, uint64_t len, uint64_t off) must_check;

/*
 * Fills `text` with a message of exactly `size` bytes. *ret_header_size counts the bytes up to and
 * including the blank line.
 */
void mk_letter_write(const struct mk_letter *letter, uint8_t *text, uint64_t size,
		     uint32_t *ret_header_size);

/* Draws the size of one message, in bytes. */
uint64_t mk_letter_draw_size(const struct mkstore_options *options, uint64_t *random);

/* Appends a string as Cyrus's dlist printer would: an atom, quoted, or a literal. */
void mk_add_dlist_string(struct buf *b, const char *str);

/* Appends the access list of a mailbox: all rights for its owner, for anyone when it has none. */
void mk_add_acl(struct buf *b, const char *internal_name);

/* Appends the directory of a mailbox below the spool. */
void mk_add_mailbox_dir(struct buf *b, const struct mkstore *store, const struct mk_name *name);

/* Adds a name; *ret_name is borrowed until the next call. -EINVAL, -ENAMETOOLONG, -ENOMEM. */
int mk_names_add(struct mkstore *store, const char *internal, enum mk_kind kind,
		 struct mk_name **ret_name) must_check;

/* NULL when there is no such mailbox. */
const struct mk_name *mk_names_find(const struct mkstore *store, const char *internal);

void mk_names_free(struct mkstore *store);

/* Writes all names to a new mailboxes.db. Sorts them. -EEXIST when one is there twice. */
int mk_names_write(struct mkstore *store, const char *path) must_check;

/* Closes and frees an unfinished mailbox. NULL is allowed. */
void mk_mailbox_drop(struct mkstore_mailbox *mailbox);

#endif
