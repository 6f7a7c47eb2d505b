/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting blocks of a volume that were found corrupt as they are now, by explicit command.
 */
#ifndef VERIFY_VOLUME_ACCEPT_H
#define VERIFY_VOLUME_ACCEPT_H

#include "verify/volume_scan.h"

struct accept_request {
	const char *state_dir;
	const uint64_t *blocks; /* none: all that are contested */
	size_t nr_blocks;
};

/*
 * Leaves a new generation of the baseline in which these blocks are as they are on the disk now, and
 * closes their findings as "accepted". *ret_accepted says how many there were: with 0 nothing is written.
 * -EBUSY: it is being scanned; -ENOENT: it was never scanned; -EBADMSG: the baseline is damaged; or an
 * errno. What prevents it is said in `log`.
 */
int volume_accept(struct state *state, const struct volume_target *target,
		  const struct accept_request *request, const struct log *log,
		  uint64_t *ret_accepted) must_check;

#endif
