// SPDX-License-Identifier: Apache-2.0
/*
 * The only way by which libext2fs reaches a disk: it reads, and every other call is refused. An
 * io_manager's open is given a name and no context, so the name is the address of the source, as
 * libext2fs itself passes a descriptor to its unixfd manager.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/ext4/ext4_fs.h"

void ext4_io_name(struct source *src, char ret_name[EXT4_IO_NAME_SIZE])
{
	(void)snprintf(ret_name, EXT4_IO_NAME_SIZE, "%" PRIxPTR, (uintptr_t)src);
}

static errcode_t channel_open(const char *name, int flags, io_channel *ret_channel)
{
	if (flags & IO_FLAG_RW)
		return EROFS;
	io_channel channel = calloc(1, sizeof(*channel));
	if (!channel)
		return ENOMEM;
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = ext4_io_manager();
	channel->name = (char *)"";
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = (void *)(uintptr_t)strtoumax(name, NULL, 16);
	*ret_channel = channel;
	return 0;
}

static errcode_t channel_close(io_channel channel)
{
	if (--channel->refcount == 0)
		free(channel);
	return 0;
}

static errcode_t channel_set_blksize(io_channel channel, int block_size)
{
	channel->block_size = block_size;
	return 0;
}

/* A negative count is one of bytes. */
static errcode_t channel_read64(io_channel channel, unsigned long long block, int count, void *data)
{
	uint64_t unit = (uint64_t)channel->block_size;
	uint64_t len = count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * unit;
	uint64_t off;

	if (__builtin_mul_overflow((uint64_t)block, unit, &off) || off > INT64_MAX)
		return EXT2_ET_SHORT_READ;
	int r = source_read_exact(channel->private_data, off, data, len);
	return r == -ENODATA ? EXT2_ET_SHORT_READ : -r;
}

static errcode_t channel_read(io_channel channel, unsigned long block, int count, void *data)
{
	return channel_read64(channel, block, count, data);
}

static errcode_t refuse_write(io_channel channel, unsigned long block, int count, const void *data)
{
	(void)channel, (void)block, (void)count, (void)data;
	return EROFS;
}

static errcode_t refuse_write64(io_channel channel, unsigned long long block, int count,
				const void *data)
{
	(void)channel, (void)block, (void)count, (void)data;
	return EROFS;
}

static errcode_t refuse_range(io_channel channel, unsigned long long block,
			      unsigned long long count)
{
	(void)channel, (void)block, (void)count;
	return EROFS;
}

static errcode_t ignore_readahead(io_channel channel, unsigned long long block,
				  unsigned long long count)
{
	(void)channel, (void)block, (void)count;
	return 0;
}

static errcode_t channel_flush(io_channel channel)
{
	(void)channel;
	return 0;
}

static const struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "source",
	.open = channel_open,
	.close = channel_close,
	.set_blksize = channel_set_blksize,
	.read_blk = channel_read,
	.read_blk64 = channel_read64,
	.write_blk = refuse_write,
	.write_blk64 = refuse_write64,
	.write_byte = refuse_write,
	.flush = channel_flush,
	.discard = refuse_range,
	.zeroout = refuse_range,
	.cache_readahead = ignore_readahead,
};

io_manager ext4_io_manager(void)
{
	return (io_manager)(uintptr_t)&manager; /* libext2fs does not write to it */
}
