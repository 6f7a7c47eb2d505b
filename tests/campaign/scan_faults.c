// SPDX-License-Identifier: Apache-2.0
/*
 * The faults of the scan campaign: what each does, where it may fall, what must be said of it, and
 * how it is undone. All kinds come equally often, because they are dealt from a deck.
 *
 * Invariant: no two faults of a round concern the same object, and where an index or a directory is
 * damaged nothing else in that mailbox is, so that there is one right answer. Before anything is
 * changed a copy is taken; after it was changed the disk is compared with the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "campaign/scan_parts.h"

#define PLACE_TRIES 10000  /* draws of a place before there is none */
#define PARTNER_TRIES 2000 /* draws of a message of the same size */
#define FLIPS_MAX 16
#define HOUR 3600 /* seconds */

enum place {
	PLACE_MESSAGE,
	PLACE_TWO_MESSAGES,
	PLACE_GAP,
	PLACE_RECORD,
	PLACE_INDEX,
	PLACE_DIRECTORY,
};

/* Where a fault falls. */
struct site {
	struct spool_mailbox *mailbox;
	struct spool_message *message; /* of a message or a record */
	uint32_t uid;		       /* of a message or a gap */
	struct saved *saved;
	struct wanted *wanted;
};

typedef int (*damage_fn)(struct faults *faults, struct site *sites);

/* ---- files ---- */

static int complain(int error, const char *path)
{
	fprintf(stderr, "campaign-scan: %s: %s\n", path,
		error == -EILSEQ ? "is not what it should be after a fault or its undoing"
				 : strerror(-error));
	return error;
}

static int write_at_once(const char *path, int flags, const void *bytes, uint64_t len,
			 const struct timespec times[2])
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	if (fd < 0)
		return -errno;
	ssize_t n = len ? write(fd, bytes, len) : 0;
	int r = n < 0 ? -errno : (uint64_t)n < len ? -EIO : 0;
	if (r == 0 && times && futimens(fd, times))
		r = -errno;
	if (close(fd) && r == 0)
		r = -errno;
	return r;
}

/* The content of a file with a byte to spare, so that an empty one is no NULL. Caller frees. */
static int read_whole(const char *path, uint8_t **ret_bytes, struct stat *ret_stat)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r = fd < 0 ? -errno : fstat(fd, ret_stat) ? -errno : 0;

	if (r == 0 && !S_ISREG(ret_stat->st_mode))
		r = -EINVAL;
	uint8_t *bytes = r ? NULL : malloc((size_t)ret_stat->st_size + 1);
	if (r == 0 && !bytes)
		r = -ENOMEM;
	if (r == 0 && read(fd, bytes, (size_t)ret_stat->st_size) != ret_stat->st_size)
		r = -EIO;
	if (fd >= 0)
		(void)close(fd);
	if (r) {
		free(bytes);
		return r;
	}
	*ret_bytes = bytes;
	return 0;
}

static int save(struct saved *saved, enum place place)
{
	struct stat st;

	if (place == PLACE_GAP && access(saved->path, F_OK) == 0)
		return -EEXIST;
	if (place == PLACE_GAP || place == PLACE_DIRECTORY) {
		saved->as = place == PLACE_GAP ? SAVED_ABSENCE : SAVED_DIRECTORY;
		return 0;
	}
	int r = read_whole(saved->path, &saved->bytes, &st);
	if (r)
		return r;
	saved->as = SAVED_FILE;
	saved->len = (uint64_t)st.st_size;
	saved->times[0] = st.st_atim;
	saved->times[1] = st.st_mtim;
	return 0;
}

/* Is what stands there now something else than what was saved? */
static bool is_changed(const struct saved *saved)
{
	bool is_there = access(saved->path, F_OK) == 0;
	uint8_t *bytes;
	struct stat st;

	if (saved->as != SAVED_FILE)
		return is_there == (saved->as == SAVED_ABSENCE);
	if (read_whole(saved->path, &bytes, &st))
		return true;
	bool same = (uint64_t)st.st_size == saved->len && !memcmp(bytes, saved->bytes, saved->len);
	free(bytes);
	return !same;
}

static int restore(const struct saved *saved)
{
	struct stat st;

	switch (saved->as) {
	case SAVED_DIRECTORY:
		return saved->aside && rename(saved->aside, saved->path) ? -errno : 0;
	case SAVED_ABSENCE:
		return unlink(saved->path) && errno != ENOENT ? -errno : 0;
	case SAVED_FILE:
		if (lstat(saved->path, &st) == 0 && !S_ISREG(st.st_mode) && remove(saved->path))
			return -errno;
		return write_at_once(saved->path, O_CREAT | O_TRUNC, saved->bytes, saved->len,
				     saved->times);
	case SAVED_NOTHING:
		break;
	}
	return 0;
}

/* ---- damage of a message ---- */

static int flip_one(struct faults *faults, struct site *site)
{
	uint64_t bit = random_below(&faults->random, site->saved->len * 8);

	return mkstore_flip_bit(site->saved->path, bit / 8, bit % 8);
}

/* Different bits: two flips of the same one would be none. */
static int flip_several(struct faults *faults, struct site *site)
{
	uint64_t bits[FLIPS_MAX];
	uint64_t count = 2 + random_below(&faults->random, FLIPS_MAX - 1);
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < count; i++) {
		bool is_new;
		do {
			is_new = true;
			bits[i] = random_below(&faults->random, site->saved->len * 8);
			for (uint64_t k = 0; k < i; k++)
				is_new = is_new && bits[k] != bits[i];
		} while (!is_new);
		r = mkstore_flip_bit(site->saved->path, bits[i] / 8, bits[i] % 8);
	}
	return r;
}

static int cut_short(struct faults *faults, struct site *site)
{
	return mkstore_truncate(site->saved->path,
				1 + random_below(&faults->random, site->saved->len - 1));
}

static int extend(struct faults *faults, struct site *site)
{
	return mkstore_truncate(site->saved->path,
				site->saved->len + 1 + random_below(&faults->random, 8192));
}

static int make_empty(struct faults *faults, struct site *site)
{
	(void)faults;
	return mkstore_truncate(site->saved->path, 0);
}

static int take_away(struct faults *faults, struct site *site)
{
	(void)faults;
	return unlink(site->saved->path) ? -errno : 0;
}

static int put_directory(struct faults *faults, struct site *site)
{
	int r = take_away(faults, site);

	return r ? r : mkdir(site->saved->path, 0700) ? -errno : 0;
}

static int put_fifo(struct faults *faults, struct site *site)
{
	int r = take_away(faults, site);

	return r ? r : mkfifo(site->saved->path, 0600) ? -errno : 0;
}

/* To nothing, to another file of the mailbox, or to the very bytes in another place. */
static int put_symlink(struct faults *faults, struct site *site)
{
	struct buf to cleanup(buf_fini) = BUF_NULL;
	uint64_t which = random_below(&faults->random, 3);

	buf_addf(&to, "%s/linked-%u", faults->aside, faults->nr_saved);
	int r = buf_error(&to);
	if (r == 0 && which == 0)
		r = write_at_once(buf_str(&to), O_CREAT | O_TRUNC, site->saved->bytes,
				  site->saved->len, NULL);
	if (r == 0)
		r = take_away(faults, site);
	if (r)
		return r;
	const char *target = which == 0 ? buf_str(&to) : which == 1 ? "cyrus.header" : "nowhere";
	return symlink(target, site->saved->path) ? -errno : 0;
}

/* The path of a socket is short, so it is given by way of the directory's descriptor. */
static int put_socket(struct faults *faults, struct site *site)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *dir = mkstore_path(faults->spool->store, site->mailbox->name, "");
	int dir_fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = !dir ? -ENOMEM : dir_fd < 0 || fd < 0 ? -errno : take_away(faults, site);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%" PRIu32 ".",
		       dir_fd, site->uid);
	if (r == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)))
		r = -errno;
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return r;
}

/* Each gets the other's bytes; the times stay. */
static int swap_contents(struct faults *faults, struct site *sites)
{
	struct saved *a = sites[0].saved, *b = sites[1].saved;

	(void)faults;
	if (a->len == b->len)
		sites[0].wanted->code = sites[1].wanted->code = "message.digest";
	int r = write_at_once(a->path, O_TRUNC, b->bytes, b->len, a->times);
	return r ? r : write_at_once(b->path, O_TRUNC, a->bytes, a->len, b->times);
}

/* A write that never arrived: every number in the text one lower, and often an older time. */
static int put_older_version(struct faults *faults, struct site *site)
{
	const struct saved *saved = site->saved;
	struct timespec times[2] = { saved->times[0], saved->times[1] };
	uint8_t *older = malloc(saved->len);

	if (!older)
		return -ENOMEM;
	for (uint64_t i = 0; i < saved->len; i++) {
		uint8_t c = saved->bytes[i];
		older[i] = c >= '1' && c <= '9' ? (uint8_t)(c - 1) : c == '0' ? '9' : c;
	}
	if (random_below(&faults->random, 2))
		times[1].tv_sec -= HOUR;
	int r = write_at_once(saved->path, 0, older, saved->len, times);
	free(older);
	return r;
}

static int put_extra(struct faults *faults, struct site *site)
{
	static const char text[] = "Subject: debris\r\n\r\nof a crash\r\n";

	/* Any length, also none at all. */
	return write_at_once(site->saved->path, O_CREAT | O_EXCL, text,
			     random_below(&faults->random, sizeof(text)), NULL);
}

/* ---- damage of an index or a directory ---- */

/* Any bit of the record, its CRC included; the finding must name it. */
static int flip_in_record(struct faults *faults, struct site *site)
{
	uint32_t bit = (uint32_t)random_below(&faults->random, MKSTORE_RECORD_LEN * 8);
	uint32_t record = site->message->record;

	(void)snprintf(site->wanted->detail, sizeof(site->wanted->detail),
		       "record %" PRIu32 " of %" PRIu32 ": one bit is flipped: bit %" PRIu32
		       " of byte %" PRIu32 " (",
		       record, site->mailbox->nr_messages, bit % 8, bit / 8);
	return mkstore_flip_bit(site->saved->path, mkstore_record_offset(record - 1) + bit / 8,
				bit % 8);
}

static int flip_in_header(struct faults *faults, struct site *site)
{
	uint64_t bit = random_below(&faults->random, MKSTORE_HEADER_LEN * 8);

	return mkstore_flip_bit(site->saved->path, bit / 8, bit % 8);
}

static int cut_index(struct faults *faults, struct site *site)
{
	return mkstore_truncate(site->saved->path, random_below(&faults->random, site->saved->len));
}

static int move_directory(struct faults *faults, struct site *site)
{
	struct buf to = BUF_NULL;

	buf_addf(&to, "%s/moved-%u", faults->aside, faults->nr_saved);
	char *aside = buf_take(&to);
	if (!aside)
		return -ENOMEM;
	if (rename(site->saved->path, aside)) {
		int r = -errno;
		free(aside);
		return r;
	}
	site->saved->aside = aside;
	return 0;
}

/* ---- the table ---- */

static const struct kind {
	const char *name;
	enum place place;
	const char *code;
	damage_fn damage;
} kinds[] = {
	{ "message-flip", PLACE_MESSAGE, "message.digest", flip_one },
	{ "message-flips", PLACE_MESSAGE, "message.digest", flip_several },
	{ "message-stale", PLACE_MESSAGE, "message.digest", put_older_version },
	{ "message-truncated", PLACE_MESSAGE, "message.size", cut_short },
	{ "message-extended", PLACE_MESSAGE, "message.size", extend },
	{ "message-emptied", PLACE_MESSAGE, "message.empty", make_empty },
	{ "message-removed", PLACE_MESSAGE, "message.missing", take_away },
	{ "message-directory", PLACE_MESSAGE, "message.not_regular", put_directory },
	{ "message-fifo", PLACE_MESSAGE, "message.not_regular", put_fifo },
	{ "message-symlink", PLACE_MESSAGE, "message.not_regular", put_symlink },
	{ "message-socket", PLACE_MESSAGE, "message.not_regular", put_socket },
	{ "messages-swapped", PLACE_TWO_MESSAGES, "message.size", swap_contents },
	{ "message-extra", PLACE_GAP, "message.extra", put_extra },
	{ "record-flip", PLACE_RECORD, "index.record_crc", flip_in_record },
	{ "header-flip", PLACE_INDEX, "index.header", flip_in_header },
	{ "index-truncated", PLACE_INDEX, "index.truncated", cut_index },
	{ "index-removed", PLACE_INDEX, "index.missing", take_away },
	{ "mailbox-moved", PLACE_DIRECTORY, "mailbox.missing", move_directory },
};

_Static_assert(array_size(kinds) <= array_size(((struct faults *)0)->deck), "deck too small");

unsigned fault_count_kinds(void)
{
	return array_size(kinds);
}

const char *fault_kind_name(unsigned kind)
{
	return kinds[kind].name;
}

static unsigned draw_kind(struct faults *faults)
{
	if (faults->nr_deck == 0) {
		for (unsigned i = 0; i < array_size(kinds); i++) {
			unsigned at = (unsigned)random_below(&faults->random, i + 1);
			faults->deck[i] = faults->deck[at];
			faults->deck[at] = i;
		}
		faults->nr_deck = array_size(kinds);
	}
	return faults->deck[--faults->nr_deck];
}

/* ---- places ---- */

/* One draw: false when the mailbox or the object in it cannot have this fault. */
static bool try_place(struct faults *faults, enum place place, struct site *site)
{
	struct spool_mailbox *mailbox =
		&faults->spool->mailboxes[random_below(&faults->random, SPOOL_MAILBOXES)];

	*site = (struct site){ .mailbox = mailbox };
	if (mailbox->has_index_fault)
		return false;
	if (place == PLACE_INDEX || place == PLACE_DIRECTORY)
		return !mailbox->has_file_fault;
	if (place == PLACE_GAP) {
		unsigned nr = (unsigned)random_below(&faults->random, SPOOL_GAPS_MAX);
		if (nr >= mailbox->nr_gaps || mailbox->gap_is_taken[nr])
			return false;
		mailbox->gap_is_taken[nr] = true;
		site->uid = mailbox->gaps[nr];
		return true;
	}
	uint64_t nr = random_below(&faults->random, SPOOL_MESSAGES_MAX);
	if (nr >= mailbox->nr_messages)
		return false;
	site->message = &mailbox->messages[nr];
	site->uid = site->message->uid;
	if (place == PLACE_RECORD) /* also that of an expunged message */
		return !mailbox->has_file_fault;
	return site->message->is_live && !site->message->is_taken;
}

/* Finds a place and reserves it. Where `size` is not 0, a message of that size is preferred. */
static int find_place(struct faults *faults, enum place place, uint64_t size, struct site *site)
{
	unsigned tries = 0;

	while (!try_place(faults, place, site) ||
	       (size && tries < PARTNER_TRIES && site->message->size != size))
		if (++tries >= PLACE_TRIES)
			return -ENOSPC;
	bool is_file = place == PLACE_MESSAGE || place == PLACE_TWO_MESSAGES || place == PLACE_GAP;
	site->mailbox->has_file_fault |= is_file;
	site->mailbox->has_index_fault |= !is_file;
	faults->has_index_fault |= !is_file;
	if (is_file && site->message)
		site->message->is_taken = true;
	return 0;
}

/* Writes down what must be found there, and saves what is there. */
static int prepare(struct faults *faults, unsigned kind, struct site *site)
{
	enum place place = kinds[kind].place;
	struct wanted *wanted = &faults->wanted[faults->nr_wanted++];
	struct saved *saved = &faults->saved[faults->nr_saved++];
	char leaf[16] = "";

	*wanted = (struct wanted){ kind, site->mailbox, "", kinds[kind].code, "", 0, 0 };
	*saved = (struct saved){ .as = SAVED_NOTHING };
	site->wanted = wanted;
	site->saved = saved;
	if (place == PLACE_DIRECTORY)
		(void)snprintf(wanted->object, sizeof(wanted->object), "mailbox");
	else if (place == PLACE_INDEX)
		(void)snprintf(wanted->object, sizeof(wanted->object), "index");
	else if (place == PLACE_RECORD)
		(void)snprintf(wanted->object, sizeof(wanted->object), "record:%" PRIu32,
			       site->message->record);
	else
		(void)snprintf(wanted->object, sizeof(wanted->object), "message:%" PRIu32,
			       site->uid);
	if (place == PLACE_INDEX || place == PLACE_RECORD)
		(void)snprintf(leaf, sizeof(leaf), "cyrus.index");
	else if (place != PLACE_DIRECTORY)
		(void)snprintf(leaf, sizeof(leaf), "%" PRIu32 ".", site->uid);
	saved->path = mkstore_path(faults->spool->store, site->mailbox->name, leaf);
	if (!saved->path)
		return -ENOMEM;
	int r = save(saved, place);
	return r ? complain(r, saved->path) : 0;
}

int fault_inject(struct faults *faults)
{
	struct site sites[2] = { { .mailbox = NULL }, { .mailbox = NULL } };
	unsigned kind = draw_kind(faults);
	unsigned nr_sites = kinds[kind].place == PLACE_TWO_MESSAGES ? 2 : 1;
	uint64_t size = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < nr_sites; i++) {
		r = find_place(faults, kinds[kind].place, size, &sites[i]);
		if (r == 0)
			r = prepare(faults, kind, &sites[i]);
		if (r == 0 && nr_sites == 2 && i == 0 && random_below(&faults->random, 2))
			size = sites[0].message->size;
	}
	if (r)
		return r;
	r = kinds[kind].damage(faults, sites);
	for (unsigned i = 0; r == 0 && i < nr_sites; i++)
		if (!is_changed(sites[i].saved))
			r = -EILSEQ;
	return r ? complain(r, sites[0].saved->path) : 0;
}

/* The marks of the round, so that every place is free again. */
static void forget_places(struct faults *faults)
{
	for (unsigned i = 0; i < SPOOL_MAILBOXES; i++) {
		struct spool_mailbox *mailbox = &faults->spool->mailboxes[i];
		mailbox->has_file_fault = mailbox->has_index_fault = false;
		memset(mailbox->gap_is_taken, 0, sizeof(mailbox->gap_is_taken));
		for (uint32_t k = 0; k < mailbox->nr_messages; k++)
			mailbox->messages[k].is_taken = false;
	}
	faults->nr_wanted = 0;
	faults->has_index_fault = false;
}

int faults_undo(struct faults *faults)
{
	int r = 0;

	while (faults->nr_saved > 0) {
		struct saved *saved = &faults->saved[--faults->nr_saved];
		int restored = restore(saved);
		if (restored == 0 && saved->as != SAVED_NOTHING && is_changed(saved))
			restored = -EILSEQ;
		if (restored)
			r = complain(restored, saved->path);
		free(saved->path);
		free(saved->aside);
		free(saved->bytes);
	}
	forget_places(faults);
	return r;
}
