// SPDX-License-Identifier: Apache-2.0
/*
 * rootblocks: a pass over every allocated block of a filesystem, as `block_pass` makes it, and
 * nothing else.
 *
 *	rootblocks [--raw] [--pread] DEVICE
 *	rootblocks [--pread] FOLDER
 *
 * FOLDER lies on a mounted filesystem. Prints in one line:
 *
 *	BYTES read, BYTES told, N bad blocks, N groups left out, SECONDS s, N under way, ENGINE,
 *	XXH3 DIGEST
 *
 * where DIGEST is that of all blocks, xored. Exit status 0; 1 when anything could not be read, 3
 * for wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/file.h"
#include "verify/block_pass.h"

#define HANGS (60 * NS_PER_S)

static int on_block(uint64_t block, struct block_sum sum, const uint8_t *bytes, void *ctx)
{
	(void)bytes;
	/* Turned by the number of the block, or two blocks that are the same would be as none. */
	unsigned by = (unsigned)(block % 63) + 1;
	*(uint64_t *)ctx ^= (sum.digest << by | sum.digest >> (64 - by)) ^ sum.sectors;
	return 0;
}

static int on_bad(uint64_t off, uint64_t len, int error, void *ctx)
{
	(void)ctx;
	(void)fprintf(stderr, "rootblocks: %" PRIu64 "+%" PRIu64 ": %s\n", off, len,
		      strerror(-error));
	return 0;
}

static int on_left_out(uint64_t off, uint64_t len, int error, void *ctx)
{
	(void)ctx;
	(void)fprintf(stderr, "rootblocks: left out %" PRIu64 "+%" PRIu64 ": %s\n", off, len,
		      strerror(-error));
	return 0;
}

static struct volume *open_volume(const char *path, bool raw)
{
	struct file_identity identity;
	struct stat st;

	if (raw)
		return volume_open_raw(path);
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return volume_open_image(path);
	return file_identify(AT_FDCWD, path, &identity) ? NULL : volume_open(identity.dev);
}

static int run(struct volume *volume, enum ring_engine engine)
{
	uint64_t digest = 0;
	struct block_pass_options options = { .engine = engine, .timeout_ns = HANGS };
	struct block_pass_events events = {
		.block = on_block,
		.bad = on_bad,
		.left_out = on_left_out,
		.ctx = &digest,
	};
	struct block_pass_stats stats;
	int64_t begun_ns = clock_mono_ns();
	int r = block_pass_run(volume, volume->fs, &options, &events, &stats);

	if (r < 0)
		return r;
	(void)printf("%" PRIu64 " read, %" PRIu64 " told, %" PRIu64 " bad blocks, %" PRIu64
		     " groups left out, %.3f s, %u under way, %s, XXH3 %016" PRIx64 "\n",
		     stats.bytes_read, stats.bytes, stats.nr_bad_blocks, stats.nr_groups_left_out,
		     (double)(clock_mono_ns() - begun_ns) / (double)NS_PER_S, stats.depth,
		     stats.engine ? stats.engine : "none", digest);
	return r || stats.nr_bad_blocks ? -EIO : 0;
}

int main(int argc, char **argv)
{
	enum ring_engine engine = RING_ENGINE_AUTO;
	bool raw = false;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--raw") == 0)
			raw = true;
		else if (strcmp(argv[i], "--pread") == 0)
			engine = RING_ENGINE_PREAD;
		else
			break;
	}
	if (i + 1 != argc) {
		(void)fputs("usage: rootblocks [--raw] [--pread] DEVICE|FOLDER\n", stderr);
		return 3;
	}
	struct volume *volume = open_volume(argv[i], raw);
	if (!volume || !volume->usable) {
		(void)fprintf(stderr, "rootblocks: %s: %s\n", argv[i],
			      volume ? volume->why : "cannot be opened");
		volume_close(volume);
		return 1;
	}
	int r = run(volume, engine);
	if (r)
		(void)fprintf(stderr, "rootblocks: %s: %s\n", argv[i], strerror(-r));
	volume_close(volume);
	return r ? 1 : 0;
}
