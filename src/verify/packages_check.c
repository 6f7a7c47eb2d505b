// SPDX-License-Identifier: Apache-2.0
/*
 * Checking. Times are read only of what differs, and after its bytes: who changed it meanwhile is
 * then seen to have done so.
 */
#include <errno.h>
#include <stdlib.h>

#include "verify/packages_table.h"

#define READ_LEN (UINT64_C(1) << 20) /* bytes at once */

/* ---- judging ---- */

const char *package_class_name(enum package_class class)
{
	static const char *const names[] = {
		[PACKAGE_FILE_OK] = "ok",
		[PACKAGE_FILE_CORRUPT] = "corrupt",
		[PACKAGE_FILE_CHANGED] = "changed",
		[PACKAGE_FILE_CONFFILE] = "conffile",
		[PACKAGE_FILE_UNREADABLE] = "unreadable",
		[PACKAGE_FILE_UNKNOWN] = "unknown",
	};

	return (unsigned)class < array_size(names) ? names[class] : NULL;
}

/*
 * dpkg sets the mtime that the archive has, which lies before the installation: a later one is
 * that of somebody who wrote, be it the script of the package a moment later. The ctime of an
 * untouched file is that of its unpacking; scripts set owners and modes soon after, and a copy of a whole
 * filesystem takes a while between a file and its list: hence the slack.
 */
static bool is_changed(const struct package_witness *witness, const struct package_look *look)
{
	int64_t limit;

	if (witness->written_ns == 0 || witness->installed_ns == 0)
		return true;
	if (__builtin_add_overflow(witness->installed_ns, PACKAGE_CTIME_SLACK_NS, &limit))
		return true;
	return look->mtime_ns >= witness->written_ns || look->ctime_ns > limit;
}

enum package_class packages_judge(const struct package_witness *witness,
				  const struct package_look *look)
{
	if (look->error)
		return PACKAGE_FILE_UNKNOWN;
	if (look->read_error)
		return PACKAGE_FILE_UNREADABLE;
	if (memcmp(witness->md5, look->md5, MD5_LEN) == 0)
		return PACKAGE_FILE_OK;
	if (witness->is_conffile)
		return PACKAGE_FILE_CONFFILE;
	return is_changed(witness, look) ? PACKAGE_FILE_CHANGED : PACKAGE_FILE_CORRUPT;
}

bool packages_is_near(const uint8_t a[MD5_LEN], const uint8_t b[MD5_LEN])
{
	unsigned nr = 0;

	for (unsigned i = 0; i < MD5_LEN; i++) {
		uint8_t differs = a[i] ^ b[i];
		nr += (differs & 0xf0) != 0;
		nr += (differs & 0x0f) != 0;
	}
	return nr == 1;
}

/* ---- one file ---- */

struct checking {
	const struct packages *packages;
	struct ext4 *fs;
	const volatile sig_atomic_t *stop;
	bool needs_recovery;
	uint32_t block_size;
	uint64_t size_max; /* bytes: of the filesystem */
	struct md5 *md5;
	uint8_t *buf;
	uint8_t flip; /* the planted fault: bits of the first byte of every digest */
};

static bool is_stopped(const struct checking *checking)
{
	return checking->stop && *checking->stop;
}

/*
 * Digests the bytes. What cannot be read is tried again block by block, for the place of the first
 * that is bad. Its error goes into the result; what is returned is no fault of the disk.
 */
static int digest_file(struct checking *checking, struct source *file,
		       struct package_result *result)
{
	uint64_t off = 0, narrow_end = 0, size;
	int r = source_size(file, &size);

	/* A size that is damaged where inodes have no checksum: a hole that nobody lives to read. */
	if (r == 0 && size > checking->size_max) {
		result->look.error = -EFBIG;
		return 0;
	}
	r = r ? r : md5_begin(checking->md5);
	while (r == 0) {
		uint64_t n, len = off < narrow_end ? checking->block_size : READ_LEN;
		if (is_stopped(checking))
			return -ECANCELED;
		int error = source_read(file, off, checking->buf, len, &n);
		if (error == -ENOMEM)
			return error;
		if (error && len > checking->block_size) {
			narrow_end = off + len;
			continue;
		}
		if (error) {
			result->look.read_error = error;
			result->error_off = off;
			return 0;
		}
		if (n == 0)
			break;
		r = md5_update(checking->md5, checking->buf, n);
		off += n;
	}
	result->size = off;
	return r ? r : md5_end(checking->md5, result->look.md5);
}

static bool matches(const struct checking *checking, const struct package_file *file,
		    const uint8_t observed[MD5_LEN])
{
	return (file->md5[0] ^ checking->flip) == observed[0] &&
	       memcmp(file->md5 + 1, observed + 1, MD5_LEN - 1) == 0;
}

/*
 * What all that is said of one inode comes to: the digest that matches, if any does, else that of the
 * package which was installed last, as it has overwritten what was there. Whoever installed it last
 * set its times.
 */
static void witness_of(const struct checking *checking, uint32_t first,
		       struct package_result *result)
{
	const struct packages *packages = checking->packages;
	const struct package_file *chosen = NULL;
	struct package_witness *witness = &result->witness;
	bool found = false;
	int64_t latest = INT64_MIN;

	for (uint32_t i = first;
	     i < packages->nr_files && packages->files[i].ino == packages->files[first].ino; i++) {
		const struct package_file *file = &packages->files[i];
		const struct package *package = &packages->list[file->package];
		bool match = matches(checking, file, result->look.md5);
		if (match ? !found : !found && package->installed_ns > latest)
			chosen = file;
		found |= match;
		latest = max_of(latest, package->installed_ns);
		witness->is_conffile |= file->is_conffile;
		witness->written_ns = max_of(witness->written_ns, package->written_ns);
		witness->installed_ns = max_of(witness->installed_ns, package->installed_ns);
	}
	if (!chosen)
		chosen = &packages->files[first];
	memcpy(witness->md5, chosen->md5, MD5_LEN);
	witness->md5[0] ^= checking->flip;
	result->owner = (struct packages_owner){
		.path = packages_path_at(packages, chosen->path),
		.package = packages_name_of(packages, chosen->package),
		.is_conffile = witness->is_conffile,
	};
}

struct again {
	const struct checking *checking;
	struct package_look *look;
};

/* Where newer bytes may stand in a journal, what lies on the disk says nothing. */
static int on_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	const struct again *again = ctx;

	again->look->mtime_ns = inode->mtime_ns;
	again->look->ctime_ns = inode->ctime_ns;
	again->look->error = error;
	if (error == 0 && inode->content == EXT4_CONTENT_JOURNALED &&
	    again->checking->needs_recovery)
		again->look->error = -ESTALE;
	return 0;
}

/* `error`: of an earlier look at the inode. */
static int look_at(struct checking *checking, uint32_t first, int error,
		   struct package_result *result)
{
	struct source file = SOURCE_NULL;
	struct package_look *look = &result->look;
	struct again again = { checking, look };
	uint32_t ino = checking->packages->files[first].ino;

	*result = (struct package_result){ .ino = ino, .look.error = error };
	if (error == 0)
		look->error = ext4_open_file(checking->fs, ino, &file);
	if (look->error == -ENOMEM)
		return look->error;
	int r = look->error ? 0 : digest_file(checking, &file, result);
	source_close(&file);
	if (r)
		return r;
	witness_of(checking, first, result);
	if (look->error == 0 && look->read_error == 0 &&
	    memcmp(result->witness.md5, look->md5, MD5_LEN) != 0)
		r = ext4_read_inode(checking->fs, ino, on_inode, &again);
	if (r == 0 && look->error == -ENOMEM)
		r = look->error;
	result->class = packages_judge(&result->witness, look);
	result->is_near =
		(result->class == PACKAGE_FILE_CORRUPT || result->class == PACKAGE_FILE_CHANGED) &&
		packages_is_near(result->witness.md5, look->md5);
	return r;
}

/* The file of `result` is good: is it still, against a digest that is wrong? */
static int canary_plant(struct checking *checking, uint32_t first, enum packages_canary *canary)
{
	struct package_result planted;

	checking->flip = 0x10;
	int r = look_at(checking, first, 0, &planted);
	checking->flip = 0;
	if (r)
		return r;
	/* A file that cannot be read any more, or has gone, says nothing. */
	if (planted.class == PACKAGE_FILE_CORRUPT || planted.class == PACKAGE_FILE_CHANGED)
		*canary = PACKAGES_CANARY_FOUND;
	else if (planted.class == PACKAGE_FILE_OK)
		*canary = PACKAGES_CANARY_MISSED;
	return 0;
}

static int checking_init(struct checking *checking, const struct packages *packages,
			 struct ext4 *fs, const volatile sig_atomic_t *stop)
{
	struct ext4_info info;

	ext4_get_info(fs, &info);
	*checking = (struct checking){
		.packages = packages,
		.fs = fs,
		.stop = stop,
		.needs_recovery = info.needs_recovery,
		.block_size = info.block_size,
		.size_max = info.size,
		.md5 = md5_new(),
		.buf = malloc(READ_LEN),
	};
	if (!checking->buf)
		return -ENOMEM;
	return checking->md5 ? 0 : -ENOTSUP;
}

static void checking_fini(struct checking *checking)
{
	md5_free(checking->md5);
	free(checking->buf);
}

/* ---- all of them ---- */

struct place {
	uint64_t off;	/* of the first byte, in the filesystem */
	uint32_t first; /* of the files with this inode */
	int error;
};

struct sweep {
	struct checking *checking;
	struct place *places;
	uint32_t *inos;
	uint32_t nr, next;
};

static int on_place(const struct ext4_inode *inode, int error, void *ctx)
{
	struct sweep *sweep = ctx;
	struct place *place = &sweep->places[sweep->next++];

	if (is_stopped(sweep->checking))
		return -ECANCELED;
	place->error = error;
	for (size_t i = 0; i < inode->nr_extents; i++)
		if (!inode->extents[i].unwritten) {
			place->off = inode->extents[i].physical;
			break;
		}
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *one = a, *two = b;

	if (one->off != two->off)
		return one->off < two->off ? -1 : 1;
	return one->first < two->first ? -1 : one->first > two->first;
}

/* One sweep over the inode tables for where everything lies. */
static int sweep_init(struct sweep *sweep, struct checking *checking)
{
	const struct packages *packages = checking->packages;
	uint32_t cap = max_of(packages->nr_files, 1u);

	*sweep = (struct sweep){ .checking = checking };
	sweep->places = calloc(cap, sizeof(*sweep->places));
	sweep->inos = calloc(cap, sizeof(*sweep->inos));
	if (!sweep->places || !sweep->inos)
		return -ENOMEM;
	for (uint32_t i = 0; i < packages->nr_files; i++) {
		if (i && packages->files[i].ino == packages->files[i - 1].ino)
			continue;
		sweep->places[sweep->nr].first = i;
		sweep->inos[sweep->nr++] = packages->files[i].ino;
	}
	int r = ext4_scan_inodes(checking->fs, sweep->inos, sweep->nr, on_place, sweep);
	if (r == 0)
		qsort(sweep->places, sweep->nr, sizeof(*sweep->places), compare_places);
	return r;
}

static void sweep_fini(struct sweep *sweep)
{
	free(sweep->places);
	free(sweep->inos);
}

int packages_check(const struct packages *packages, struct ext4 *fs,
		   const volatile sig_atomic_t *stop, package_result_fn fn,
		   enum packages_canary *ret_canary, void *ctx)
{
	struct checking checking;
	struct package_result result;
	struct sweep sweep = { .nr = 0 };

	*ret_canary = PACKAGES_CANARY_NONE;
	int r = checking_init(&checking, packages, fs, stop);
	if (r == 0)
		r = sweep_init(&sweep, &checking);
	for (uint32_t i = 0; i < sweep.nr && r == 0; i++) {
		const struct place *place = &sweep.places[i];
		if (is_stopped(&checking)) {
			r = -ECANCELED;
			break;
		}
		r = look_at(&checking, place->first, place->error, &result);
		if (r == 0 && result.class == PACKAGE_FILE_OK && !result.owner.is_conffile &&
		    *ret_canary == PACKAGES_CANARY_NONE)
			r = canary_plant(&checking, place->first, ret_canary);
		if (r == 0)
			r = fn(&result, ctx);
	}
	sweep_fini(&sweep);
	checking_fini(&checking);
	return r;
}

int packages_check_inode(const struct packages *packages, struct ext4 *fs, uint32_t ino,
			 package_result_fn fn, void *ctx)
{
	struct checking checking;
	struct package_result result;
	uint32_t first = packages_find(packages, ino);

	if (first == packages->nr_files || packages->files[first].ino != ino)
		return -ENOENT;
	int r = checking_init(&checking, packages, fs, NULL);
	if (r == 0)
		r = look_at(&checking, first, 0, &result);
	checking_fini(&checking);
	return r ? r : fn(&result, ctx);
}
