// SPDX-License-Identifier: Apache-2.0
/*
 * Scans of volumes, on images made by mke2fs with a state of their own: what is right stays silent, what
 * one look alone saw is flaky, what the disk refuses is told to the sector, evidence outlives baselines,
 * and what a file says of itself explains its blocks.
 */
#include "suites.h"

/* verify/ calls something else an image. */
#define image disk_image
#define image_open disk_open
#define image_close disk_close
#include "format/ext4_image.h"
#undef image
#undef image_open
#undef image_close

#include "io/fault.h"
#include "verify/finding.h"
#include "verify/volume_accept.h"
#include "verify/volume_scan.h"
#include "verify/volume_view.h"

#define UNIT UINT64_C(4096)
#define FOUND_MAX 64

static struct rig {
	struct disk_image image;
	struct volume_target target;
	struct state *state;
	char dir[ROOM_DIR_SIZE + 8];
	struct fault fault;
	struct volume_scan_options options;
	struct volume_scan_result result;
	struct {
		char code[32];
		char object[96];
		char path[64];
		char detail[600];
	} found[FOUND_MAX];
	unsigned nr_found, nr_gaps;
	volatile sig_atomic_t stop;
} rig;

static void keep(char *to, size_t size, struct span from)
{
	(void)snprintf(to, size, "%.*s", (int)from.len, (const char *)from.data);
}

static void on_finding(const struct finding *finding, void *ctx)
{
	(void)ctx;
	CU_ASSERT_TRUE_FATAL(rig.nr_found < FOUND_MAX);
	keep(rig.found[rig.nr_found].code, 32, span_of_str(finding->code));
	keep(rig.found[rig.nr_found].object, 96, span_of_str(finding->object));
	keep(rig.found[rig.nr_found].path, 64, finding->path);
	keep(rig.found[rig.nr_found].detail, 600, span_of_str(finding->detail));
	rig.nr_found++;
}

static void on_gap(struct span mailbox, const char *path, const char *why, void *ctx)
{
	(void)mailbox, (void)path, (void)why, (void)ctx;
	rig.nr_gaps++;
}

static const struct log quiet = { .fn = NULL };

static bool rig_open(const char *options)
{
	rig = (struct rig){ .target = VOLUME_TARGET_NULL };
	if (!image_make(&rig.image, options, "64M"))
		return false;
	(void)snprintf(rig.dir, sizeof(rig.dir), "%s/state", rig.image.dir);
	disk_open(&rig.image);
	CU_ASSERT_EQUAL_FATAL(state_open(rig.dir, STATE_WRITE, &quiet, &rig.state), 0);
	CU_ASSERT_EQUAL_FATAL(
		volume_target_open_path(&rig.target, NULL, rig.image.path, false, &quiet), 0);
	rig.options = (struct volume_scan_options){
		.state_dir = rig.dir,
		.stop = &rig.stop,
	};
	return true;
}

static void rig_close(void)
{
	state_close(rig.state);
	volume_target_fini(&rig.target);
	disk_close(&rig.image);
}

/* Scans, and returns how many findings there were. */
static unsigned scan(void)
{
	struct scan_events events = { .finding = on_finding, .gap = on_gap };

	rig.nr_found = rig.nr_gaps = 0;
	CU_ASSERT_EQUAL(scan_volume(rig.state, &rig.target, &rig.options, &events, &quiet,
				    &rig.result),
			0);
	return rig.nr_found;
}

static bool is_found(unsigned i, const char *code, const char *path)
{
	return i < rig.nr_found && strcmp(rig.found[i].code, code) == 0 &&
	       strcmp(rig.found[i].path, path) == 0;
}

/* Where a byte of a file lies in the image. */
static uint64_t place_of(const char *path, uint64_t off)
{
	CU_ASSERT_EQUAL(run(&rig.image, "debugfs -R 'bmap /%s %" PRIu64 "' %s | sed 's/^/at /'",
			    path, off / UNIT, rig.image.path),
			0);
	return said_number(&rig.image, "at ") * UNIT + off % UNIT;
}

/* ---- */

static void is_silent_of_what_is_right(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_EQUAL(rig.result.run.status, RUN_COMPLETE);
	CU_ASSERT_TRUE(rig.result.baseline_before == 0 && rig.result.baseline_after == 1);
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_EQUAL(rig.result.run.status, RUN_COMPLETE);
	CU_ASSERT_EQUAL(rig.result.blocks_same, rig.result.blocks);
	CU_ASSERT_EQUAL(rig.result.blocks_changed + rig.result.blocks_new, 0);
	CU_ASSERT_FALSE(rig.result.has_packages);
	rig_close();
}

static void tells_a_flipped_bit_until_it_is_repaired(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	uint64_t at = place_of("big", 5 * UNIT + 77);
	image_flip(&rig.image, at);
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(scan(), 1);
		CU_ASSERT_TRUE(is_found(0, "block.digest", "/big"));
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.found[0].detail, "bit 2 of byte 77"));
		CU_ASSERT_EQUAL(rig.result.fingerprints.counts[FINGERPRINT_SINGLE_BIT], 1);
		CU_ASSERT_EQUAL(rig.result.run.status, RUN_COMPLETE);
	}
	image_flip(&rig.image, at);
	CU_ASSERT_EQUAL(scan(), 0);
	uint64_t open;
	CU_ASSERT_EQUAL(state_finding_count_open(rig.state, rig.result.run.target,
						 ASSAY_SEVERITY_NOTICE, &open),
			0);
	CU_ASSERT_EQUAL(open, 0);
	rig_close();
}

static void tells_what_one_look_alone_saw_as_flaky(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	struct fault_rule rule = { .kind = FAULT_FLIP, .off = place_of("big", 9 * UNIT + 5), .len = 1, .times = 1 };
	fault_add(&rig.fault, &rule);
	rig.options.fault = &rig.fault;
	CU_ASSERT_EQUAL(scan(), 1);
	CU_ASSERT_TRUE(is_found(0, "block.flaky", "/big"));
	CU_ASSERT_EQUAL(rig.result.blocks_corrupt, 0);
	/* And what was wrong did not get into the baseline. */
	rig.options.fault = NULL;
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_EQUAL(rig.result.blocks_same, rig.result.blocks);
	rig_close();
}

static void tells_unreadable_sectors_of_files_alone(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	uint64_t at = place_of("big", 3 * UNIT);
	struct fault_rule bad = { .kind = FAULT_ERROR, .off = at + 512, .len = 1024, .error = -EIO };
	struct fault_rule unused = { .kind = FAULT_ERROR, .off = (UINT64_C(60) << 20), .len = 4096, .error = -EIO };
	fault_add(&rig.fault, &bad);
	fault_add(&rig.fault, &unused);
	rig.options.fault = &rig.fault;
	rig.options.engine = RING_ENGINE_PREAD;
	CU_ASSERT_EQUAL(scan(), 1);
	CU_ASSERT_TRUE(is_found(0, "block.unreadable", "/big"));
	CU_ASSERT_EQUAL(rig.result.blocks_unreadable, 1);
	/* What it held stays known. */
	rig.options.fault = NULL;
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_EQUAL(rig.result.blocks_same, rig.result.blocks);
	image_flip(&rig.image, at);
	CU_ASSERT_EQUAL(scan(), 1);
	rig_close();
}

static void believes_a_file_that_says_it_was_changed(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	image_flip(&rig.image, place_of("big", 0));
	CU_ASSERT_EQUAL(run(&rig.image, "debugfs -w -R 'set_inode_field /big mtime 20300101' %s",
			    rig.image.path),
			0);
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_TRUE(rig.result.blocks_changed > 0 && rig.result.blocks_corrupt == 0);
	rig_close();
}

static void passes_over_files_that_are_swapped_to(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	uint64_t at = place_of("big", 4086);
	int fd = open(rig.image.path, O_RDWR | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, "SWAPSPACE2", 10, (off_t)at), 10);
	CU_ASSERT_EQUAL(scan(), 0);
	image_flip(&rig.image, place_of("big", 7 * UNIT));
	CU_ASSERT_EQUAL(scan(), 0);
	(void)close(fd);
	rig_close();
}

static void tells_damaged_metadata_with_its_owner(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	image_flip(&rig.image, inode_off(&rig.image, ino_of(&rig.image, "big")) + 4);
	image_flip(&rig.image, place_of("many", 200));
	CU_ASSERT_EQUAL(scan(), 2);
	CU_ASSERT_TRUE(is_found(0, "ext4.metadata", "/big"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.found[0].object, "ext4:inode"));
	CU_ASSERT_TRUE(is_found(1, "ext4.metadata", "/many"));
	rig_close();
}

static void closes_nothing_that_was_accepted_in_part(void)
{
	struct accept_request request = { .state_dir = rig.dir };
	uint64_t accepted, block;

	if (!rig_open("-t ext4 -b 4096"))
		return;
	request.blocks = &block;
	request.nr_blocks = 1;
	CU_ASSERT_EQUAL(scan(), 0);
	block = place_of("big", UNIT) / UNIT;
	image_flip(&rig.image, place_of("big", UNIT));
	image_flip(&rig.image, place_of("big", 20 * UNIT));
	CU_ASSERT_EQUAL(scan(), 2);
	CU_ASSERT_EQUAL(volume_accept(rig.state, &rig.target, &request, &quiet, &accepted), 0);
	CU_ASSERT_EQUAL(accepted, 1);
	CU_ASSERT_EQUAL(scan(), 1);
	rig_close();
}

static void closes_nothing_that_it_did_not_look_at(void)
{
	struct run last;
	uint64_t open;

	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	image_flip(&rig.image, place_of("big", 5 * UNIT + 77));
	CU_ASSERT_EQUAL(scan(), 1);
	int64_t whole = rig.result.run.id;
	rig.options.no_baseline = true;
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_STRING_EQUAL(rig.result.run.scope, "no-baseline");
	CU_ASSERT_EQUAL(state_finding_count_open(rig.state, rig.result.run.target,
						 ASSAY_SEVERITY_NOTICE, &open),
			0);
	CU_ASSERT_EQUAL(open, 1);
	CU_ASSERT_EQUAL(state_run_last_whole(rig.state, rig.result.run.target, &last), 0);
	CU_ASSERT_EQUAL(last.id, whole);
	rig_close();
}

/* What a damaged baseline would have told is not known, and no new one hides it. */
static void begins_no_baseline_behind_a_damaged_one(void)
{
	char command[ROOM_DIR_SIZE + 128];

	if (!rig_open("-t ext4 -b 4096"))
		return;
	CU_ASSERT_EQUAL(scan(), 0);
	(void)snprintf(command, sizeof(command), "for f in %s/baseline/*/*.baseline; do "
						 "printf XXXX | dd of=$f bs=1 seek=100 conv=notrunc; done",
		       rig.dir);
	CU_ASSERT_EQUAL(run(&rig.image, "%s", command), 0);
	image_flip(&rig.image, place_of("big", 0));
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_TRUE(rig.nr_gaps == 1 && rig.result.baseline_after == 0);
	CU_ASSERT_EQUAL(rig.result.run.status, RUN_INCOMPLETE);
	rig_close();
}

static void stops_and_leaves_no_baseline(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	rig.stop = 1;
	(void)scan();
	CU_ASSERT_EQUAL(rig.result.run.status, RUN_INTERRUPTED);
	CU_ASSERT_EQUAL(rig.result.baseline_after, 0);
	rig.stop = 0;
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_EQUAL(rig.result.baseline_before, 0);
	rig_close();
}

static void ends_incomplete_when_the_device_goes(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	struct fault_rule gone = { .kind = FAULT_ERROR, .off = 0, .len = UINT64_MAX, .error = -ENODEV };
	fault_add(&rig.fault, &gone);
	rig.options.fault = &rig.fault;
	(void)scan();
	CU_ASSERT_EQUAL(rig.result.run.status, RUN_INCOMPLETE);
	CU_ASSERT_TRUE(rig.nr_gaps > 0 && rig.result.baseline_after == 0);
	rig_close();
}

/* What is newer in the journal is seen, also where the superblock that asks for it is gone. */
static void reads_the_journal_behind_a_superblock_that_is_gone(void)
{
	struct volume_view view = VOLUME_VIEW_NULL;
	uint8_t block[1024], want[1024];

	if (!rig_open("-t ext4 -b 1024"))
		return;
	memset(want, 'n', sizeof(want));
	CU_ASSERT_EQUAL_FATAL(run(&rig.image,
				  "cd %s && head -c 1024 /dev/zero | tr '\\0' n >new && "
				  "printf 'jo -c -v 3\njw -b 50000 new\njc\n' >script && "
				  "debugfs -w -f script %s && "
				  "dd if=/dev/zero of=%s bs=1024 seek=1 count=1 conv=notrunc",
				  rig.image.dir, rig.image.path, rig.image.path),
			      0);
	CU_ASSERT_EQUAL_FATAL(volume_view_open(&view, rig.image.path), 0);
	CU_ASSERT_TRUE(view.super_error && view.super_block);
	CU_ASSERT_PTR_NOT_NULL(view.journal);
	CU_ASSERT_TRUE_FATAL(view.has_overlay);
	CU_ASSERT_EQUAL(source_read_exact(&view.overlay, UINT64_C(50000) * 1024, block,
					  sizeof(block)),
			0);
	CU_ASSERT_EQUAL(memcmp(block, want, sizeof(block)), 0);
	volume_view_close(&view);
	CU_ASSERT_TRUE(scan() > 0 && is_found(0, "ext4.metadata", rig.image.path));
	rig_close();
}

/* A block of a file that stands in the journal: when that is replayed, its inode stays as it was. */
static void says_nothing_of_what_a_replay_changes(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	uint64_t block = place_of("big", 6 * UNIT) / UNIT;
	CU_ASSERT_EQUAL_FATAL(run(&rig.image,
				  "cd %s && head -c 4096 /dev/zero | tr '\\0' n >new && "
				  "printf 'jo -c -v 3\njw -b %" PRIu64 " new\njc\n' >script && "
				  "debugfs -w -f script %s",
				  rig.image.dir, block, rig.image.path),
			      0);
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_TRUE(rig.result.journal_blocks > 0 && rig.result.baseline_after == 1);
	CU_ASSERT_TRUE(run(&rig.image, "e2fsck -p %s", rig.image.path) < 4);
	CU_ASSERT_EQUAL(scan(), 0);
	CU_ASSERT_EQUAL(rig.result.run.status, RUN_COMPLETE);
	/* From then on it is known. */
	image_flip(&rig.image, block * UNIT);
	CU_ASSERT_EQUAL(scan(), 1);
	CU_ASSERT_TRUE(is_found(0, "block.digest", "/big"));
	rig_close();
}

static void tells_bad_sectors_of_each_file(void)
{
	if (!rig_open("-t ext4 -b 4096"))
		return;
	struct fault_rule page = { .kind = FAULT_ERROR, .off = place_of("page", 0), .len = 512, .error = -EIO };
	struct fault_rule big = { .kind = FAULT_ERROR, .off = place_of("big", 8 * UNIT), .len = 512, .error = -EIO };
	fault_add(&rig.fault, &page);
	fault_add(&rig.fault, &big);
	rig.options.fault = &rig.fault;
	rig.options.engine = RING_ENGINE_PREAD;
	CU_ASSERT_EQUAL(scan(), 2);
	bool first = page.off < big.off;
	CU_ASSERT_TRUE(is_found(first ? 0 : 1, "block.unreadable", "/page"));
	CU_ASSERT_TRUE(is_found(first ? 1 : 0, "block.unreadable", "/big"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.found[first ? 1 : 0].detail, "byte 32768 of inode"));
	rig_close();
}

static void finds_names_of_inodes(void)
{
	struct volume_view view = VOLUME_VIEW_NULL;
	struct volume_paths *paths;

	if (!rig_open("-t ext4 -b 1024"))
		return;
	uint32_t inos[] = { EXT4_ROOT_INO, ino_of(&rig.image, "big"),
			    ino_of(&rig.image, "sub/deep/file"), UINT32_MAX };
	if (inos[1] > inos[2]) {
		uint32_t other = inos[1];
		inos[1] = inos[2];
		inos[2] = other;
	}
	CU_ASSERT_EQUAL_FATAL(volume_view_open(&view, rig.image.path), 0);
	CU_ASSERT_EQUAL_FATAL(volume_paths_find(view.fs, inos, 4, NULL, &paths), 0);
	CU_ASSERT_STRING_EQUAL(volume_paths_get(paths, EXT4_ROOT_INO), "/");
	CU_ASSERT_STRING_EQUAL(volume_paths_get(paths, ino_of(&rig.image, "big")), "/big");
	CU_ASSERT_STRING_EQUAL(volume_paths_get(paths, ino_of(&rig.image, "sub/deep/file")),
			       "/sub/deep/file");
	CU_ASSERT_PTR_NULL(volume_paths_get(paths, UINT32_MAX));
	CU_ASSERT_PTR_NULL(volume_paths_get(paths, 3));
	volume_paths_free(paths);
	volume_view_close(&view);
	rig_close();
}

static const struct test_case cases[] = {
	CASE(is_silent_of_what_is_right),
	CASE(tells_a_flipped_bit_until_it_is_repaired),
	CASE(tells_what_one_look_alone_saw_as_flaky),
	CASE(tells_unreadable_sectors_of_files_alone),
	CASE(believes_a_file_that_says_it_was_changed),
	CASE(passes_over_files_that_are_swapped_to),
	CASE(tells_damaged_metadata_with_its_owner),
	CASE(closes_nothing_that_was_accepted_in_part),
	CASE(closes_nothing_that_it_did_not_look_at),
	CASE(begins_no_baseline_behind_a_damaged_one),
	CASE(stops_and_leaves_no_baseline),
	CASE(ends_incomplete_when_the_device_goes),
	CASE(reads_the_journal_behind_a_superblock_that_is_gone),
	CASE(says_nothing_of_what_a_replay_changes),
	CASE(tells_bad_sectors_of_each_file),
	CASE(finds_names_of_inodes),
};

const struct test_suite suite_verify_volume_scan = { "verify/volume_scan", cases,
						     array_size(cases) };
