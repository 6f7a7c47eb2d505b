/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata is read from the device after a sync, around the page cache, and may still be older than
 * what the filesystem holds in memory. That cannot do harm: an inode that is not of the size in
 * the index record, or was changed after the sync began, is not read this way; and what is read and
 * found wrong is looked at again as a file, whose inode, times and map must be the same.
 */
#include "verify/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "verify/mapping.h"

#define SYNC_MARGIN NS_PER_S /* times of files are those of a coarser clock */

struct resolving {
	struct plan *plan;
	int64_t synced_ns;
	const struct blocks_carry *carry;
	const uint32_t *inos, *objects;
	uint32_t next; /* of inos */
	struct plan_run *runs;
	size_t cap;
};

static bool is_certain(const struct resolving *resolving, const struct plan_object *object,
		       const struct ext4_inode *inode)
{
	return S_ISREG(inode->mode) && inode->content == EXT4_CONTENT_BLOCKS &&
	       inode->size == object->size && inode->ctime_ns < resolving->synced_ns;
}

/* The runs of an inode as the plan takes them; unwritten ones are zeros, as holes are. */
static int runs_of_inode(struct resolving *resolving, const struct ext4_inode *inode,
			 size_t *ret_nr)
{
	size_t nr = 0;

	if (inode->nr_extents > resolving->cap) {
		struct plan_run *runs =
			reallocarray(resolving->runs, inode->nr_extents, sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		resolving->runs = runs;
		resolving->cap = inode->nr_extents;
	}
	for (size_t i = 0; i < inode->nr_extents; i++) {
		const struct ext4_extent *extent = &inode->extents[i];
		if (extent->unwritten)
			continue;
		resolving->runs[nr++] = (struct plan_run){
			.logical = extent->logical,
			.at = extent->physical,
			/* A message is below 4 GiB; what is beyond its size is cut off later. */
			.len = (uint32_t)min_of(extent->len, (uint64_t)UINT32_MAX),
		};
	}
	*ret_nr = nr;
	return 0;
}

/* An earlier run has read it where it lies now. */
static bool is_carried(const struct resolving *resolving, const struct plan_object *object,
		       const struct ext4_inode *inode, size_t nr_runs)
{
	return object->may_carry && nr_runs > 0 && inode->ctime_ns < resolving->carry->since_ns &&
	       plan_distance(resolving->plan, resolving->runs[0].at) < resolving->carry->distance;
}

static uint32_t mapping_of_inode(const struct ext4_inode *inode)
{
	struct mapping mapping;

	mapping_begin(&mapping, inode->size);
	for (size_t i = 0; i < inode->nr_extents; i++)
		mapping_add(&mapping, inode->extents[i].logical, inode->extents[i].physical,
			    inode->extents[i].len, inode->extents[i].unwritten);
	return mapping_end(&mapping);
}

static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct resolving *resolving = ctx;
	struct plan *plan = resolving->plan;
	size_t nr = 0;
	int r = error ? 0 : runs_of_inode(resolving, inode, &nr);

	while (resolving->next < plan_count(plan) && resolving->inos[resolving->next] < inode->ino)
		resolving->next++;
	while (r == 0 && resolving->next < plan_count(plan) &&
	       resolving->inos[resolving->next] == inode->ino) {
		struct plan_object *object =
			plan_object_at(plan, resolving->objects[resolving->next++]);
		if (error || !is_certain(resolving, object, inode))
			continue;
		object->mtime_ns = inode->mtime_ns;
		object->ctime_ns = inode->ctime_ns;
		object->generation = inode->generation;
		object->mapping = mapping_of_inode(inode);
		object->carried = is_carried(resolving, object, inode, nr);
		if (object->carried)
			continue;
		r = plan_place(plan, object, resolving->runs, nr);
		if (r == -ENODATA || r == -ERANGE) /* not planned: read as a file */
			r = 0;
	}
	return r;
}

int resolve_places(struct volume *volume, struct plan *plan, int dirfd,
		   const struct blocks_carry *carry)
{
	struct resolving resolving = {
		.plan = plan,
		.carry = carry,
		/* Nothing changes an image. */
		.synced_ns = volume->is_image ? INT64_MAX : clock_wall_ns() - SYNC_MARGIN,
	};

	/* Without a sync nothing is certain: then no message has a place. */
	if (!volume->is_image && syncfs(dirfd))
		return plan_sort_by_place(plan);
	/* What was read ahead before the sync is old. */
	source_forget(&volume->source);
	int r = plan_sort_by_inode(plan, &resolving.inos, &resolving.objects);
	if (r == 0)
		r = ext4_scan_inodes(volume->fs, resolving.inos, plan_count(plan), on_inode,
				     &resolving);
	free(resolving.runs);
	return r ? r : plan_sort_by_place(plan);
}
