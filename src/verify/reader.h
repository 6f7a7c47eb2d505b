/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader: many messages read as files at once, by one thread through one ring. Internal to verify/.
 *
 * What the ring finds good at once is told to the tally as it is. Everything else (any error, another
 * size, anything odd) is looked at again by observe_message() in the same thread, and that is the
 * first look: so findings are the same whatever the road. Two things are kept as the ring saw them,
 * since a second look may not see them again and must not make them forgotten: a message whose bytes
 * were all read and have another digest, and a device that refused.
 *
 * A reader belongs to the thread that made it.
 */
#ifndef VERIFY_READER_H
#define VERIFY_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "digest/sha1_batch.h"
#include "verify/mailbox.h"
#include "verify/observe.h"
#include "verify/pace.h"
#include "verify/tally.h"

/* One message to be read. */
struct read_job {
	struct mailbox *mailbox; /* its directories are open, and it is pending */
	uint64_t ino;		 /* where it is on the disk, roughly; 0: unknown */
	struct witness witness;
	bool twin; /* the planted fault */
};

/*
 * True for the message beside which a fault is to be planted: one that was just seen to be good, so
 * that the fault cannot be in vain, and not told to the tally yet. `planted` is kept by the thread,
 * false at first: once it is set there is nothing more to ask.
 */
bool read_job_bears_twin(const struct read_job *job, const struct observation *seen,
			 struct tally *tally, bool *planted) must_check;

struct fault;
struct reader;

struct reader_options {
	struct tally *tally;	   /* borrowed, as are the next two */
	struct observer *observer; /* for what is not good at once */
	struct pace *pace;	   /* told when a message has ended; NULL: nobody */
	struct fault *fault;	   /* for tests; NULL: none */
	enum sha1_engine sha1;
};

/*
 * -ENOMEM; -ENOTSUP when the SHA-1 engine is not to be had; the errno of io_uring_setup: there is
 * no reader without io_uring. Release with reader_free, by the same thread.
 */
int reader_new(const struct reader_options *options, struct reader **ret_reader) must_check;

/* NULL is allowed. Nothing may be under way. */
void reader_free(struct reader *reader);

/* Messages begun and not yet told to the tally; a twin is not counted beside its message. */
unsigned reader_under_way(const struct reader *reader);

/* True while another message may be begun: one that its pace has admitted. */
bool reader_has_room(const struct reader *reader);
void reader_begin(struct reader *reader, const struct read_job *job);

/*
 * Takes everything that is under way one step further; waits for the disk when nothing can go
 * further without. Call it while something is under way.
 */
void reader_turn(struct reader *reader);

#endif
