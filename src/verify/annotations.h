/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotations of the messages of one mailbox, as far as its index sums them up: what each
 * message's add to the sync CRC. The database is checked as a whole on the way.
 */
#ifndef VERIFY_ANNOTATIONS_H
#define VERIFY_ANNOTATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "verify/image.h"

#define ANNOTATIONS_MAX (1u << 20) /* annotations of a mailbox that are summed up: 8 MiB */

struct annotation_sum {
	uint32_t uid;
	uint32_t crc;
};

struct annotations {
	struct annotation_sum *sums; /* ascending by UID */
	size_t nr, cap;
	size_t next;
	uint64_t bad_off; /* bytes: where it is damaged */
};

#define ANNOTATIONS_NULL ((struct annotations){ .sums = NULL })

/*
 * Reads cyrus.annotations in `dir` for an index of `version`; `owner` is the user whose mailbox it
 * is, or empty. 0, also where there is none; -EBADMSG: damaged (bad_off says where), also one that
 * is empty or whose first bytes are those of no engine; -EAGAIN: it changed under every attempt;
 * -E2BIG: more than ANNOTATIONS_MAX; -EPROTONOSUPPORT: an engine that is known and not read; or the
 * errno of opening or reading. Release with annotations_fini, which may be called twice.
 */
int annotations_load(struct annotations *annotations, const struct dir *dir, uint32_t version,
		     struct span owner) must_check;
void annotations_fini(struct annotations *annotations);

/* What those of a message add up to; UIDs are asked for in ascending order. */
uint32_t annotations_take(struct annotations *annotations, uint32_t uid);

#endif
