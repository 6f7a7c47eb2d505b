// SPDX-License-Identifier: Apache-2.0
/*
 * Where the blocks of an inode lie: a tree of extents, or the older map of direct and indirect
 * blocks. Both walks end for certain. In a tree every node holds something, and lies within the
 * range that its parent gives it alone, so that no block can be reached twice. A map ends at the
 * size of the file, and may not have more blocks than the filesystem.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/ext4/ext4_fs.h"

#define TREE_MAGIC 0xf30a
#define TREE_DEPTH_MAX 5
#define TREE_ENTRY_LEN 12 /* bytes; the header is as long */
#define EXTENT_LEN_MAX 32768u
#define TREE_LIMIT (UINT64_C(1) << 32) /* blocks of a file */

#define MAP_DIRECT 12
#define MAP_LEVELS 3

struct map {
	struct ext4 *fs;
	struct ext4_work *work;
	uint64_t limit; /* blocks up to the size of the file */
	uint64_t next;	/* the first block that may come now: both walks ascend */
	int error;	/* the first that hooks went past */
};

/* Tells of a block of the map. What is wrong with it ends the walk where nobody listens. */
static int map_told(struct map *map, uint64_t block, int error, const char *what)
{
	const struct ext4_map_hooks *hooks = map->work->hooks;

	if (!hooks)
		return error;
	if (map->error == 0)
		map->error = error;
	return hooks->node(map->work->inode.ino, block, error, what, hooks->ctx);
}

static int map_grow(struct ext4_work *work)
{
	size_t cap = max_of(work->cap_extents * 2, (size_t)16);

	if (work->cap_extents >= EXT4_EXTENTS_MAX)
		return -EFBIG;
	struct ext4_extent *extents = realloc(work->extents, cap * sizeof(*extents));
	if (!extents)
		return -ENOMEM;
	work->extents = extents;
	work->cap_extents = cap;
	return 0;
}

/* Adds a run of blocks, as far as the file reaches. */
static int map_add(struct map *map, uint64_t logical, uint64_t physical, uint64_t nr_blocks,
		   bool unwritten)
{
	struct ext4_work *work = map->work;
	uint64_t unit = map->fs->info.block_size;

	if (physical < map->fs->first_block || physical >= map->fs->nr_blocks ||
	    nr_blocks > map->fs->nr_blocks - physical)
		return -EBADMSG;
	if (work->hooks) {
		int r = work->hooks->run(work->inode.ino, logical, physical, nr_blocks, unwritten,
					 work->hooks->ctx);
		if (r)
			return r;
	}
	if (logical >= map->limit)
		return 0;
	struct ext4_extent e = { logical * unit, physical * unit,
				 min_of(nr_blocks, map->limit - logical) * unit, unwritten };
	struct ext4_extent *last = work->nr_extents ? &work->extents[work->nr_extents - 1] : NULL;
	if (last && last->unwritten == unwritten && last->logical + last->len == e.logical &&
	    last->physical + last->len == e.physical) {
		last->len += e.len;
		return 0;
	}
	if (work->nr_extents == work->cap_extents) {
		int r = map_grow(work);
		if (r)
			return r;
	}
	work->extents[work->nr_extents++] = e;
	return 0;
}

/* Reads a block of the map into the buffer of its level. */
static int map_read_node(struct map *map, uint64_t block, unsigned level, uint8_t **ret_node)
{
	struct ext4_work *work = map->work;
	uint64_t len = map->fs->info.block_size;

	/* Some block is met twice. Where damage is passed over, it would be so for ever. */
	if (work->nr_nodes >= map->fs->nr_blocks)
		return work->hooks ? -EFBIG : -EBADMSG;
	if (work->nr_nodes >= EXT4_NODES_MAX)
		return -EFBIG;
	work->nr_nodes++;
	if (!work->nodes)
		work->nodes = malloc(len * TREE_DEPTH_MAX);
	if (!work->nodes)
		return -ENOMEM;
	*ret_node = work->nodes + level * len;
	return ext4_read_block(map->fs, block, *ret_node);
}

/* The checksum of a node that is no root stands behind the last entry that it has room for. */
static bool tree_csum_is_right(const struct map *map, uint8_t *node)
{
	uint32_t block_size = map->fs->info.block_size;
	uint32_t len = TREE_ENTRY_LEN * (le16_at(node + 4) + 1u);

	if (!map->fs->metadata_csum)
		return true;
	return len + 4 <= block_size &&
	       ext2fs_crc32c_le(map->work->csum_seed, node, len) == le32_at(node + len);
}

/* Each leaf entry: first block, length (beyond 32,768: unwritten), where. -EBADMSG: an entry. */
static int tree_leaf(struct map *map, const uint8_t *entries, unsigned nr, uint64_t end)
{
	for (unsigned i = 0; i < nr; i++) {
		const uint8_t *entry = entries + i * TREE_ENTRY_LEN;
		uint64_t logical = le32_at(entry);
		uint32_t len = le16_at(entry + 4);
		uint64_t physical = (uint64_t)le16_at(entry + 6) << 32 | le32_at(entry + 8);
		bool unwritten = len > EXTENT_LEN_MAX;
		if (unwritten)
			len -= EXTENT_LEN_MAX;
		if (len == 0 || logical < map->next || logical + len > end)
			return -EBADMSG;
		int r = map_add(map, logical, physical, len, unwritten);
		if (r)
			return r;
		map->next = logical + len;
	}
	return 0;
}

static int tree_walk(struct map *map, const uint8_t *node, uint64_t block, unsigned depth,
		     uint64_t end);

/* Reads the node `block` and what is below it, up to the logical block `end`. */
static int tree_descend(struct map *map, uint64_t block, unsigned depth, uint64_t end)
{
	uint8_t *node;

	int r = map_read_node(map, block, depth, &node);
	if (r == -ENOMEM || r == -EFBIG)
		return r;
	if (r)
		return map_told(map, block, r, "cannot be read");
	if (!tree_csum_is_right(map, node))
		return map_told(map, block, -EBADMSG, "its checksum is wrong");
	if (le16_at(node + 2) == 0)
		return map_told(map, block, -EBADMSG, "it holds nothing");
	return tree_walk(map, node, block, depth, end);
}

/* Each index entry: first block, the node that holds what begins there. -EBADMSG: an entry. */
static int tree_index(struct map *map, const uint8_t *entries, unsigned nr, unsigned depth,
		      uint64_t end)
{
	for (unsigned i = 0; i < nr; i++) {
		const uint8_t *entry = entries + i * TREE_ENTRY_LEN;
		uint64_t first = le32_at(entry);
		uint64_t child_end = i + 1 < nr ? le32_at(entry + TREE_ENTRY_LEN) : end;
		uint64_t block = (uint64_t)le16_at(entry + 8) << 32 | le32_at(entry + 4);
		if (first < map->next || child_end <= first || child_end > end ||
		    block < map->fs->first_block || block >= map->fs->nr_blocks)
			return -EBADMSG;
		map->next = first;
		int r = tree_descend(map, block, depth - 1, child_end);
		if (r)
			return r;
		/* A node that was passed over could have reached as far as this. */
		if (map->error)
			map->next = child_end;
	}
	return 0;
}

/*
 * `end` is the block at which the range of the node ends; `block` is 0 for the root, which is as long
 * as the map in an inode. Recursion is `depth` deep at most.
 */
static int tree_walk(struct map *map, const uint8_t *node, uint64_t block, unsigned depth,
		     uint64_t end)
{
	uint32_t len = block ? map->fs->info.block_size : INODE_BLOCK_LEN;
	unsigned nr = le16_at(node + 2), max = le16_at(node + 4);
	int r;

	if (le16_at(node) != TREE_MAGIC || le16_at(node + 6) != depth || nr > max ||
	    TREE_ENTRY_LEN * (max + 1) > len)
		return map_told(map, block, -EBADMSG, "its head is wrong");
	if (depth == 0)
		r = tree_leaf(map, node + TREE_ENTRY_LEN, nr, end);
	else
		r = tree_index(map, node + TREE_ENTRY_LEN, nr, depth, end);
	if (r == -EBADMSG)
		return map_told(map, block, r, "an entry is wrong");
	if (r == 0 && map->work->hooks && block)
		return map_told(map, block, 0, "");
	return r;
}

static int tree_read(struct map *map, const uint8_t *root)
{
	unsigned depth = le16_at(root + 6);

	if (map->limit > TREE_LIMIT)
		return map_told(map, 0, -EBADMSG, "its size is more than a file can have");
	if (depth > TREE_DEPTH_MAX || (depth > 0 && le16_at(root + 2) == 0))
		return map_told(map, 0, -EBADMSG, "its head is wrong");
	return tree_walk(map, root, 0, depth, TREE_LIMIT);
}

/* One pointer of the older map, `level` steps above the data; 0 is a hole. */
static int pointer_walk(struct map *map, uint32_t block, unsigned level)
{
	uint64_t per_node = map->fs->info.block_size / 4;
	uint64_t reach = 1;
	uint8_t *node;

	if (map->next >= map->limit && !map->work->hooks)
		return 0;
	for (unsigned i = 0; i < level; i++)
		reach *= per_node;
	if (block == 0) {
		map->next += reach;
		return 0;
	}
	if (level == 0) {
		int r = map_add(map, map->next, block, 1, false);
		map->next++;
		return r;
	}
	uint64_t end = map->next + reach;
	if (block < map->fs->first_block || block >= map->fs->nr_blocks)
		return -EBADMSG;
	int r = map_read_node(map, block, level - 1, &node);
	if (r && map->work->hooks && r != -ENOMEM && r != -EFBIG) {
		map->next = end;
		return map_told(map, block, r, "cannot be read");
	}
	if (r == 0 && map->work->hooks)
		r = map_told(map, block, 0, "");
	for (uint64_t i = 0; i < per_node && r == 0; i++)
		r = pointer_walk(map, le32_at(node + 4 * i), level - 1);
	if (r == -EBADMSG && map->work->hooks) {
		map->next = end;
		return map_told(map, block, r, "a pointer is wrong");
	}
	return r;
}

static int pointers_read(struct map *map, const uint8_t *pointers)
{
	int r = 0;

	for (unsigned i = 0; i < MAP_DIRECT + MAP_LEVELS && r == 0; i++)
		r = pointer_walk(map, le32_at(pointers + 4 * i),
				 i < MAP_DIRECT ? 0 : i - MAP_DIRECT + 1);
	/* What no pointer can reach is a hole that no file has. */
	if (r == 0 && map->next < map->limit)
		r = -EBADMSG;
	return r == -EBADMSG ? map_told(map, 0, r, "a pointer is wrong") : r;
}

int ext4_map_read(struct ext4 *fs, struct ext4_work *work)
{
	const uint8_t *root = work->raw + offsetof(struct ext2_inode, i_block);
	uint64_t size = work->inode.size, unit = fs->info.block_size;
	struct map map = { .fs = fs, .work = work, .limit = size / unit + (size % unit != 0) };

	work->nr_extents = 0;
	work->nr_nodes = 0;
	int r = work->flags & EXT4_EXTENTS_FL ? tree_read(&map, root) : pointers_read(&map, root);
	work->inode.extents = work->extents;
	work->inode.nr_extents = work->nr_extents;
	return r ? r : map.error;
}
