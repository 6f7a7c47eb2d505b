/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message is one slot: opened, identified, given a buffer, read, digested, told, closed. A slot
 * has at most one operation in the ring, so the ring has room for all of them.
 *
 * Only open and read go through the ring. To identify an open file and to close it wait for no
 * disk, and the kernel would hand a statx to a thread of its own.
 *
 * Most messages fit a small buffer and are read in one piece; the others take turns with a few large
 * ones, piece after piece. Both kinds are handed out first come, first served. A message read in one
 * piece is digested together with others, so its buffer is held until enough of them have come.
 */
#include "verify/reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/ring.h"

#define NR_SLOTS 128
#define NR_SMALL 96
#define NR_LARGE 8
#define SMALL_LEN (64u << 10)  /* bytes; all but the longest two fit a lane of a batch */
#define LARGE_LEN (256u << 10) /* bytes */
#define ARENA_LEN ((uint64_t)NR_SMALL * SMALL_LEN + (uint64_t)NR_LARGE * LARGE_LEN)
#define PENDING_MAX (NR_SMALL / 2) /* digests waited for before they are flushed */
#define TRIES_MAX 16		   /* reads of one message that brought nothing */

/* Slots in a row: free ones, or ones that wait for a buffer. */
struct slot_list {
	struct slot *first, *last;
};

struct slot {
	struct slot *next;
	struct read_job job;
	struct observation seen;
	struct file file;
	char name[16];
	int extra; /* flags of open that were not refused yet */
	struct buffer *buffer;
	uint64_t off;  /* of the piece, in the file */
	uint32_t done; /* bytes of the piece that are read; a multiple of FILE_ALIGN */
	unsigned tries;
	int64_t begun_ns; /* monotonic */
	bool opening; /* not yet open */
	bool in_ring; /* an operation is under way */
};

struct buffer {
	struct buffer *next; /* free */
	struct buffers *kind;
	uint8_t *data;
	struct sha1 *sha1; /* of a large one: a message goes through it piece after piece */
};

struct buffers {
	uint32_t len; /* bytes of each */
	struct buffer *free;
	struct slot_list waiting;
};

struct reader {
	struct tally *tally;
	struct observer *observer;
	struct pace *pace;
	struct ring *ring;
	struct sha1_batch *batch;
	uint8_t *arena;
	struct slot slots[NR_SLOTS];
	struct buffer buffer[NR_SMALL + NR_LARGE];
	struct buffers small, large;
	struct slot_list free;
	unsigned under_way;
	bool planted; /* the fault; do not ask again */
	bool broken;  /* the ring itself has failed */
};

static void list_put(struct slot_list *list, struct slot *slot)
{
	slot->next = NULL;
	if (list->first)
		list->last->next = slot;
	else
		list->first = slot;
	list->last = slot;
}

static struct slot *list_take(struct slot_list *list)
{
	struct slot *slot = list->first;

	if (slot)
		list->first = slot->next;
	return slot;
}

static uint64_t slot_tag(const struct reader *reader, const struct slot *slot)
{
	return (uint64_t)(slot - reader->slots);
}

bool read_job_bears_twin(const struct read_job *job, const struct observation *seen,
			 struct tally *tally, bool *planted)
{
	if (*planted || job->twin || judge_message(&job->witness, seen).verdict != ASSAY_OK)
		return false;
	bool wanted = tally_wants_canary(tally);
	*planted = !wanted && tally_has_planted_canary(tally);
	return wanted;
}

/* ---- the end of a message ---- */

static void slot_begin(struct reader *reader, struct slot *slot, const struct read_job *job);
static void slot_read(struct reader *reader, struct slot *slot);

/* The next message that waits for such a buffer has it now. */
static void slot_put_buffer(struct reader *reader, struct slot *slot)
{
	struct buffer *buffer = take(slot->buffer);

	if (!buffer)
		return;
	struct slot *next = list_take(&buffer->kind->waiting);
	if (next) {
		next->buffer = buffer;
		slot_read(reader, next);
	} else {
		buffer->next = buffer->kind->free;
		buffer->kind->free = buffer;
	}
}

/* Tells what was seen. The twin of a message is read in its slot, from the beginning. */
static void slot_end(struct reader *reader, struct slot *slot)
{
	const struct read_job *job = &slot->job;

	file_close(&slot->file);
	slot_put_buffer(reader, slot);
	if (read_job_bears_twin(job, &slot->seen, reader->tally, &reader->planted)) {
		struct read_job twin = *job;
		tally_begin(twin.mailbox); /* before it can be done without its twin */
		tally_seen(reader->tally, job->mailbox, &job->witness, &slot->seen);
		tally_make_twin(&twin.witness);
		twin.twin = true;
		slot_begin(reader, slot, &twin);
		return;
	}
	if (job->twin)
		tally_seen_twin(reader->tally, job->mailbox, &job->witness, &slot->seen);
	else
		tally_seen(reader->tally, job->mailbox, &job->witness, &slot->seen);
	list_put(&reader->free, slot);
	reader->under_way--;
	if (reader->pace)
		pace_done(reader->pace, clock_mono_ns() - slot->begun_ns);
}

/* Not good at once: the first look is that of the observer. */
static void slot_give_up(struct reader *reader, struct slot *slot)
{
	file_close(&slot->file);
	slot_put_buffer(reader, slot);
	observe_message(reader->observer, slot->job.mailbox, &slot->job.witness, &slot->seen);
	slot_end(reader, slot);
}

/* The device's word is kept; of every other error the observer finds out more. */
static void slot_fail(struct reader *reader, struct slot *slot, int error)
{
	/* Open says ENXIO of a socket. */
	if (!file_error_is_media(error) || (slot->opening && error == -ENXIO)) {
		slot_give_up(reader, slot);
		return;
	}
	slot->seen.error = error;
	slot->seen.identity = slot->file.identity;
	slot->seen.direct = slot->file.direct;
	slot_end(reader, slot);
}

/* Every byte was read, and this is their digest; NULL: it could not be had. */
static void slot_digested(struct reader *reader, struct slot *slot, const uint8_t *digest)
{
	struct file_identity after;

	if (!digest) {
		slot_give_up(reader, slot);
		return;
	}
	slot->seen.digested = true;
	slot->seen.direct = slot->file.direct;
	slot->seen.identity = slot->file.identity;
	memcpy(slot->seen.digest, digest, SHA1_LEN);
	/* Did it change under the read? Good bytes are good all the same. */
	if (memcmp(digest, slot->job.witness.guid, SHA1_LEN) != 0 &&
	    file_identify(slot->file.fd, "", &after) == 0)
		slot->seen.identity = after;
	slot_end(reader, slot);
}

static void on_digest(void *item, const uint8_t *digest, void *ctx)
{
	slot_digested(ctx, item, digest);
}

/* ---- reading ---- */

static uint32_t piece_len(const struct slot *slot)
{
	return (uint32_t)min_of(slot->file.identity.size - slot->off,
				(uint64_t)slot->buffer->kind->len);
}

/* Asks for what there is, rounded up: a longer read would zero the rest of the buffer. */
static void slot_read(struct reader *reader, struct slot *slot)
{
	uint32_t align = slot->file.identity.dio_align;
	uint32_t end = (piece_len(slot) + align - 1) / align * align;

	if (reader->broken ||
	    ring_read(reader->ring, slot_tag(reader, slot), slot->file.fd,
		      slot->buffer->data + slot->done, end - slot->done, slot->off + slot->done))
		slot_give_up(reader, slot);
	else
		slot->in_ring = true;
}

static void slot_read_again(struct reader *reader, struct slot *slot)
{
	if (++slot->tries < TRIES_MAX)
		slot_read(reader, slot);
	else
		slot_give_up(reader, slot);
}

/* A piece of a message that is longer than a buffer. */
static void slot_take_piece(struct reader *reader, struct slot *slot, uint32_t len)
{
	struct sha1 *sha1 = slot->buffer->sha1;
	uint8_t digest[SHA1_LEN];
	int r = slot->off ? 0 : sha1_begin(sha1);

	if (r == 0)
		r = sha1_update(sha1, slot->buffer->data, len);
	slot->off += len;
	slot->done = 0;
	bool is_last = slot->off == slot->file.identity.size;
	if (r == 0 && is_last)
		r = sha1_end(sha1, digest);
	if (r)
		slot_give_up(reader, slot);
	else if (is_last)
		slot_digested(reader, slot, digest);
	else
		slot_read(reader, slot);
}

static void slot_on_bytes(struct reader *reader, struct slot *slot, uint32_t n)
{
	uint32_t len = piece_len(slot), got = slot->done + n;

	if (n == 0 || got > len) { /* shorter or longer than it was a moment ago */
		slot_give_up(reader, slot);
		return;
	}
	if (got < len) {
		/* A direct read goes on at a whole block only. */
		uint32_t whole = got / FILE_ALIGN * FILE_ALIGN;
		slot->tries = whole > slot->done ? 0 : slot->tries;
		slot->done = whole;
		slot_read_again(reader, slot);
		return;
	}
	slot->tries = 0;
	if (len == slot->file.identity.size)
		sha1_batch_add(reader->batch, slot->buffer->data, len, slot);
	else
		slot_take_piece(reader, slot, len);
}

static void slot_on_read(struct reader *reader, struct slot *slot, int result)
{
	if (result >= 0)
		slot_on_bytes(reader, slot, (uint32_t)result);
	else if (result == -EAGAIN || result == -EINTR)
		slot_read_again(reader, slot);
	else if (result == -EINVAL && slot->file.direct && file_drop_direct(&slot->file) == 0)
		slot_read_again(reader, slot);
	else
		slot_fail(reader, slot, result);
}

/* ---- opening ---- */

/* Where the record says that it is; the observer knows where else to look. */
static int slot_dirfd(const struct slot *slot)
{
	const struct mailbox *mailbox = slot->job.mailbox;

	return slot->job.witness.archived && mailbox->archive_dir.fd >= 0 ? mailbox->archive_dir.fd
								      : mailbox->message_dir.fd;
}

static void slot_open(struct reader *reader, struct slot *slot)
{
	int dirfd = slot_dirfd(slot);

	slot->opening = true;
	if (reader->broken || dirfd < 0 ||
	    ring_open(reader->ring, slot_tag(reader, slot), dirfd, slot->name,
		      FILE_QUIET | slot->extra))
		slot_give_up(reader, slot);
	else
		slot->in_ring = true;
}

static void slot_get_buffer(struct reader *reader, struct slot *slot)
{
	struct buffers *kind = slot->file.identity.size <= SMALL_LEN ? &reader->small
								     : &reader->large;

	if (!kind->free) {
		list_put(&kind->waiting, slot);
		return;
	}
	slot->buffer = kind->free;
	kind->free = slot->buffer->next;
	slot_read(reader, slot);
}

static void slot_on_open(struct reader *reader, struct slot *slot, int result)
{
	struct file *file = &slot->file;

	if (result == -EINTR || result == -EAGAIN || file_relax_open(result, &slot->extra)) {
		if (++slot->tries < TRIES_MAX)
			slot_open(reader, slot);
		else
			slot_give_up(reader, slot);
		return;
	}
	if (result < 0) {
		slot_fail(reader, slot, result);
		return;
	}
	slot->opening = false;
	slot->tries = 0;
	file->fd = result;
	file->direct = slot->extra & O_DIRECT;
	file->noatime = slot->extra & O_NOATIME;
	if (file_identify(result, "", &file->identity) || !S_ISREG(file->identity.mode) ||
	    file->identity.size == 0 || file->identity.size != slot->job.witness.size) {
		slot_give_up(reader, slot);
		return;
	}
	/* A ring of Linux 6.1 answers -EAGAIN to a descriptor that must not block, where the disk below
	 * cannot but block. */
	(void)fcntl(result, F_SETFL, slot->extra);
	slot_get_buffer(reader, slot);
}

static void slot_begin(struct reader *reader, struct slot *slot, const struct read_job *job)
{
	*slot = (struct slot){ .job = *job, .file = FILE_NULL, .extra = FILE_OPEN_EXTRA };
	(void)snprintf(slot->name, sizeof(slot->name), "%" PRIu32 ".", job->witness.uid);
	slot_open(reader, slot);
}

/* ---- all of them ---- */

unsigned reader_under_way(const struct reader *reader)
{
	return reader->under_way;
}

bool reader_has_room(const struct reader *reader)
{
	return reader->free.first;
}

void reader_begin(struct reader *reader, const struct read_job *job)
{
	struct slot *slot = list_take(&reader->free);

	reader->under_way++;
	slot->begun_ns = clock_mono_ns();
	slot_begin(reader, slot, job);
}

/* Nothing more comes out of the ring: what it has of us is left to the observer, and all that follows. */
static void reader_break(struct reader *reader)
{
	reader->broken = true;
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (reader->slots[i].in_ring) {
			reader->slots[i].in_ring = false;
			slot_give_up(reader, &reader->slots[i]);
		}
}

static void reader_take(struct reader *reader, const struct ring_done *done)
{
	struct slot *slot = &reader->slots[done->tag];

	slot->in_ring = false;
	if (slot->opening)
		slot_on_open(reader, slot, done->result);
	else
		slot_on_read(reader, slot, done->result);
}

void reader_turn(struct reader *reader)
{
	struct ring_done done[NR_SLOTS];
	bool idle = reader->broken || ring_in_flight(reader->ring) == 0;

	if (idle || sha1_batch_pending(reader->batch) > PENDING_MAX)
		sha1_batch_flush(reader->batch);
	if (idle)
		return;
	int n = ring_wait(reader->ring, -1, done, NR_SLOTS);
	if (n < 0)
		reader_break(reader);
	for (int i = 0; i < n; i++)
		reader_take(reader, &done[i]);
}

/* ---- making and releasing ---- */

static int reader_make_buffers(struct reader *reader)
{
	/* Populated at once: a page fault in the middle of a read costs more than the read. */
	void *arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t off = 0;

	if (arena == MAP_FAILED)
		return -ENOMEM;
	reader->arena = arena;
	reader->small.len = SMALL_LEN;
	reader->large.len = LARGE_LEN;
	for (unsigned i = 0; i < NR_SMALL + NR_LARGE; i++) {
		struct buffer *buffer = &reader->buffer[i];
		buffer->kind = i < NR_SMALL ? &reader->small : &reader->large;
		buffer->data = reader->arena + off;
		off += buffer->kind->len;
		if (i >= NR_SMALL) {
			buffer->sha1 = sha1_new();
			if (!buffer->sha1)
				return -ENOMEM;
		}
		buffer->next = buffer->kind->free;
		buffer->kind->free = buffer;
	}
	return 0;
}

static int reader_make_ring(struct reader *reader, struct fault *fault)
{
	const struct ring_options options = {
		.engine = RING_ENGINE_IO_URING,
		.entries = NR_SLOTS,
		.arena = reader->arena,
		.arena_len = ARENA_LEN,
		.fault = fault,
	};

	return ring_new(&options, &reader->ring);
}

int reader_new(const struct reader_options *options, struct reader **ret_reader)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->tally = options->tally;
	reader->observer = options->observer;
	reader->pace = options->pace;
	for (unsigned i = 0; i < NR_SLOTS; i++)
		list_put(&reader->free, &reader->slots[i]);
	int r = reader_make_buffers(reader);
	if (r == 0)
		r = sha1_batch_new(options->sha1, on_digest, reader, &reader->batch);
	if (r == 0)
		r = reader_make_ring(reader, options->fault);
	if (r) {
		reader_free(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	assert(reader->under_way == 0);
	sha1_batch_free(reader->batch);
	for (unsigned i = 0; i < NR_SMALL + NR_LARGE; i++)
		sha1_free(reader->buffer[i].sha1);
	/* The kernel may still write into what a broken ring was given: that stays. */
	if (!reader->broken) {
		ring_free(reader->ring);
		if (reader->arena)
			(void)munmap(reader->arena, ARENA_LEN);
	}
	free(reader);
}
