// SPDX-License-Identifier: Apache-2.0
/*
 * A journal that cannot be read leaves the filesystem as it stands in its place, which is what is said.
 */
#include "verify/volume_view.h"

#include <errno.h>

/* With a journal that holds something, a second filesystem is opened over what it makes of the first. */
static int view_replay(struct volume_view *view)
{
	struct ext4_journal_info info;
	uint64_t block;
	int error;

	view->journal_error = ext4_journal_open(view->base, &view->journal);
	if (view->journal_error == -ENOENT)
		view->journal_error = 0;
	if (view->journal_error == -ENOMEM)
		return -ENOMEM;
	if (!view->journal)
		return 0;
	ext4_journal_get_info(view->journal, &info);
	ext4_get_info(view->base, &view->info);
	/* A log that nobody asks for would be dropped by a mount; a backup of the superblock asks for none. */
	if (info.nr_blocks == 0 || (!view->info.needs_recovery && !view->super_error))
		return 0;
	int r = ext4_journal_source(view->journal, &view->device, &view->overlay);
	if (r)
		return r;
	view->has_overlay = true;
	return ext4_open_any(&view->overlay, &view->fs, &block, &error);
}

int volume_view_open(struct volume_view *view, const char *path)
{
	*view = VOLUME_VIEW_NULL;
	int r = source_open_device(&view->device, path);
	if (r == 0)
		r = ext4_open_any(&view->device, &view->base, &view->super_block,
				  &view->super_error);
	if (r == 0)
		r = view_replay(view);
	if (r == 0 && !view->fs)
		view->fs = view->base;
	if (r) {
		volume_view_close(view);
		return r;
	}
	ext4_get_info(view->fs, &view->info);
	return 0;
}

void volume_view_close(struct volume_view *view)
{
	if (view->fs != view->base)
		ext4_close(view->fs);
	if (view->has_overlay)
		source_close(&view->overlay);
	ext4_journal_close(view->journal);
	ext4_close(view->base);
	source_close(&view->device);
	*view = VOLUME_VIEW_NULL;
}

bool volume_view_is_journaled(const struct volume_view *view, uint64_t block)
{
	uint32_t journal_block;

	return view->has_overlay && ext4_journal_find(view->journal, block, &journal_block) == 0;
}
