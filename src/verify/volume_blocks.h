/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two halves of the witness of blocks: volume_blocks.c reads, volume_judge.c says which of what
 * differs was changed by nobody. Internal to verify/.
 */
#ifndef VERIFY_VOLUME_BLOCKS_H
#define VERIFY_VOLUME_BLOCKS_H

#include "verify/volume_scanning.h"

/*
 * After the pass: whose are the blocks that differ, and those that cannot be read? Looks twice, tells
 * what stands, and keeps the old sum of it in the new baseline.
 */
int volume_judge_blocks(struct volume_scanning *s) must_check;

#endif
