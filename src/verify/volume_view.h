/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view of a volume: its filesystem as a mount would show it now. What stands in the journal and not
 * yet in its place is read from the journal; a filesystem without a good primary superblock is read by
 * a backup. A second look takes a new view: nothing that was read ahead is left of the first.
 *
 * A view and what is read through it belong to one thread.
 */
#ifndef VERIFY_VOLUME_VIEW_H
#define VERIFY_VOLUME_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format/ext4/ext4_check.h"
#include "format/ext4/ext4_journal.h"
#include "io/source.h"

struct volume_view {
	struct ext4 *fs; /* to read; NULL: not open */
	struct source device; /* what is on the disk, whatever the journal says */
	struct ext4_info info;
	uint64_t super_block; /* that it was opened by; 0: the primary */
	int super_error;      /* what is wrong with the primary; 0: nothing */
	struct ext4_journal *journal; /* NULL: there is none, it is empty or cannot be read */
	int journal_error; /* why it cannot be read; 0 */
	/* Private. */
	struct ext4 *base;
	struct source overlay;
	bool has_overlay;
};

#define VOLUME_VIEW_NULL ((struct volume_view){ .device = { .fd = -1 }, .overlay = { .fd = -1 } })

/* A device or image. Errors as ext4_open_any and source_open_device. Release with volume_view_close. */
int volume_view_open(struct volume_view *view, const char *path) must_check;
void volume_view_close(struct volume_view *view); /* may be called twice */

/*
 * The newest version of this block stands in the journal: what is in its place is older than what a mount
 * would show. May be asked while another thread reads through the view.
 */
bool volume_view_is_journaled(const struct volume_view *view, uint64_t block);

/* The path of an inode, for people: "/usr/bin/ls". Borrowed from `paths`; NULL: not known. */
struct volume_paths;

/*
 * Looks for the names of `nr` inodes, ascending, in one walk over all directories. What cannot be read
 * is passed over: then some have no name. `stop` may be NULL. -ENOMEM. Release with volume_paths_free.
 */
int volume_paths_find(struct ext4 *fs, const uint32_t *inos, size_t nr,
		      const volatile sig_atomic_t *stop, struct volume_paths **ret_paths) must_check;
const char *volume_paths_get(const struct volume_paths *paths, uint32_t ino);
void volume_paths_free(struct volume_paths *paths); /* NULL is allowed */

#endif
