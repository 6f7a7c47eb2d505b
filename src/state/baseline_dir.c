/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where baselines lie: STATE_DIR/baseline/UUID/NUMBER.baseline. Names are made of numbers and of
 * the bytes of a UUID; of those that are found, only the ones that this would have made count.
 */
#include "state/baseline_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

static const char suffix[] = ".baseline";

enum { NUMBERS_MAX = 65536 };

void baseline_name_format(uint64_t number, char out[BASELINE_NAME_SIZE])
{
	(void)snprintf(out, BASELINE_NAME_SIZE, "%" PRIu64 "%s", number, suffix);
}

static void uuid_format(const uint8_t uuid[BASELINE_UUID_LEN], char out[40])
{
	char hex[2 * BASELINE_UUID_LEN + 1];

	text_hex(uuid, BASELINE_UUID_LEN, hex);
	(void)snprintf(out, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		       hex + 20);
}

/*
 * A directory in another, durably made if `make`. Closes `parent` whatever happens.
 */
static int open_child(int parent, const char *name, bool make)
{
	int r = 0;

	if (make) {
		if (mkdirat(parent, name, 0700) == 0)
			r = fsync(parent) ? -errno : 0;
		else if (errno != EEXIST)
			r = -errno;
	}
	if (r == 0) {
		r = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (r < 0)
			r = -errno;
	}
	(void)close(parent);
	return r;
}

int baseline_dir_open(const char *dir, const uint8_t uuid[BASELINE_UUID_LEN], bool make)
{
	char name[40];

	if (make && mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fd = open_child(fd, "baseline", make);
	if (fd < 0)
		return fd;
	uuid_format(uuid, name);
	return open_child(fd, name, make);
}

/* The number of a generation by the name of its file; 0: it is none. */
static uint64_t number_of(const char *name)
{
	char again[BASELINE_NAME_SIZE];
	const char *dot = strchr(name, '.');
	uint64_t number;

	if (!dot || span_parse_u64(span_of(name, (uint64_t)(dot - name)), INT64_MAX, &number))
		return 0;
	baseline_name_format(number, again);
	return strcmp(name, again) == 0 ? number : 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int read_numbers(DIR *dir, struct buf *found)
{
	const struct dirent *entry;

	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		uint64_t number = number_of(entry->d_name);
		if (number == 0)
			continue;
		if (found->len / sizeof(number) == NUMBERS_MAX)
			return -EFBIG;
		buf_add(found, &number, sizeof(number));
	}
	return errno ? -errno : buf_error(found);
}

int baseline_dir_numbers(int dirfd, uint64_t **ret_numbers, size_t *ret_nr)
{
	/* A position of its own. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct buf found = BUF_NULL;

	if (!dir) {
		int error = errno;
		if (fd >= 0)
			(void)close(fd);
		return -error;
	}
	int r = read_numbers(dir, &found);
	(void)closedir(dir);
	if (r == 0) {
		*ret_nr = found.len / sizeof(uint64_t);
		if (*ret_nr)
			qsort(found.data, *ret_nr, sizeof(uint64_t), compare_numbers);
		*ret_numbers = (uint64_t *)(void *)found.data;
		found.data = NULL;
	}
	buf_fini(&found);
	return r;
}

int baseline_list(const char *dir, const uint8_t uuid[BASELINE_UUID_LEN], baseline_number_fn fn,
		  void *ctx)
{
	uint64_t *numbers = NULL;
	size_t nr = 0;
	int fd = baseline_dir_open(dir, uuid, false);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	int r = baseline_dir_numbers(fd, &numbers, &nr);
	(void)close(fd);
	for (size_t i = 0; i < nr && r == 0; i++)
		r = fn(numbers[i], ctx);
	free(numbers);
	return r;
}
