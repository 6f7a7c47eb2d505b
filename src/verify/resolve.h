/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolve: where the messages of a window lie, by their inodes. Internal to verify/.
 */
#ifndef VERIFY_RESOLVE_H
#define VERIFY_RESOLVE_H

#include "base/compiler.h"
#include "verify/plan.h"
#include "verify/volume.h"

/*
 * What an earlier run has verified: of the messages that may be carried over, those that begin
 * less than `distance` bytes from the origin and have not been changed since `since_ns`.
 */
struct blocks_carry {
	uint64_t distance;
	int64_t since_ns;
};

/*
 * Syncs the filesystem (by a directory on it; not an image), reads the inodes of the plan's messages and places
 * those that are certain: regular files of the size of their record, not changed since before the
 * sync, with their bytes in blocks. Marks as carried what `carry` allows. Leaves the plan in the order of
 * the disk. -ENOMEM.
 */
int resolve_places(struct volume *volume, struct plan *plan, int dirfd,
		   const struct blocks_carry *carry) must_check;

#endif
