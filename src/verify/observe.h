/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observe: read one message from the disk and say what was seen. The same road serves the first
 * look and the second, which opens everything anew.
 *
 * An observer belongs to one thread; it owns the buffer, so that reading allocates nothing.
 */
#ifndef VERIFY_OBSERVE_H
#define VERIFY_OBSERVE_H

#include "base/compiler.h"
#include "digest/digest.h"
#include "verify/judge.h"
#include "verify/mailbox.h"

struct observer {
	uint8_t *buf; /* OBSERVER_BUF bytes, aligned for O_DIRECT */
	struct sha1 *sha1;
	bool is_second; /* looks, made alone: they ask for generation and mapping as well */
};

#define OBSERVER_BUF (1u << 20) /* bytes */
#define OBSERVER_NULL ((struct observer){ .buf = NULL })

/* -ENOMEM. Release with observer_fini, which may be called twice. */
int observer_init(struct observer *observer) must_check;
void observer_fini(struct observer *observer);

/*
 * Reads the message of `witness` from the open directories of `mailbox`. What went wrong is part of
 * the observation (seen->error), so there is no other result. A file of another size than the
 * witness says is not read to its end when it is larger than 4 GiB, which no message can be.
 */
void observe_message(struct observer *observer, const struct mailbox *mailbox,
		     const struct witness *witness, struct observation *seen);

/* The same without reading anything: identity and error only. */
void observe_presence(const struct mailbox *mailbox, const struct witness *witness,
		      struct observation *seen);

#endif
