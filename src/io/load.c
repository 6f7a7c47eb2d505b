/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files stay open: a sample is one pread. Pressure is that of the whole host, every disk and
 * every task, so it is opened only where the disk itself cannot be asked. What this process reads
 * the kernel counts where requests are submitted, below the page cache: metadata and reading ahead
 * are in it, bytes that a cache had are not.
 */
#include "io/load.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	LOAD_TEXT_MAX = 1024,	/* bytes of either file; they have a fifth of it */
	LOAD_STACK_MAX = 8,	/* devices upon devices that are followed down */
	LOAD_FIELDS_MIN = 11,	/* of stat, before Linux 4.18 */
	LOAD_FIELDS_KNOWN = 17, /* since Linux 5.5 */
};

/* Fields of stat: a count of what ended, and the milliseconds it took, of each kind of request. */
static const struct {
	uint8_t nr, ms;
} load_kinds[] = {
	{ 0, 3 },   /* reads */
	{ 4, 7 },   /* writes */
	{ 11, 14 }, /* discards */
	{ 15, 16 }, /* flushes */
};

enum {
	LOAD_FIELD_READS = 0,
	LOAD_FIELD_SECTORS_READ = 2,
	LOAD_FIELD_UNDERWAY = 8,
	LOAD_SECTOR = 512, /* bytes, whatever the sectors of the disk are */
	LOAD_UNDERWAY_MAX = 64 << 10,
};

static bool load_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Takes the next word off `rest`; an empty one at the end. */
static struct span load_next_word(struct span *rest)
{
	uint64_t from = 0;

	while (from < rest->len && load_is_blank(rest->data[from]))
		from++;
	uint64_t to = from;
	while (to < rest->len && !load_is_blank(rest->data[to]))
		to++;
	struct span word = span_of(rest->len ? rest->data + from : NULL, to - from);
	*rest = span_of(rest->len ? rest->data + to : NULL, rest->len - to);
	return word;
}

int load_parse_stat(struct span text, struct load_sample *ret)
{
	uint64_t fields[LOAD_FIELDS_KNOWN] = { 0 };
	struct load_sample sample = *ret;
	size_t nr = 0;

	while (nr < LOAD_FIELDS_KNOWN) {
		struct span word = load_next_word(&text);
		if (word.len == 0)
			break;
		int r = span_parse_u64(word, UINT64_MAX, &fields[nr]);
		if (r)
			return r;
		nr++;
	}
	if (nr < LOAD_FIELDS_MIN)
		return -EBADMSG;
	sample.nr_ended = 0;
	sample.ended_ms = 0;
	for (size_t i = 0; i < array_size(load_kinds); i++) {
		sample.nr_ended += fields[load_kinds[i].nr];
		sample.ended_ms += (uint32_t)fields[load_kinds[i].ms];
	}
	sample.nr_reads = fields[LOAD_FIELD_READS];
	sample.read_bytes = fields[LOAD_FIELD_SECTORS_READ] * LOAD_SECTOR;
	sample.nr_underway = fields[LOAD_FIELD_UNDERWAY];
	sample.has_disk = true;
	*ret = sample;
	return 0;
}

int load_parse_pressure(struct span text, struct load_sample *ret)
{
	struct span line = span_of(text.data, span_find(text, '\n'));
	static const char key[] = "total=";
	uint64_t stalled_us;

	if (!span_equals_str(load_next_word(&line), "some"))
		return -EBADMSG;
	for (;;) {
		struct span word = load_next_word(&line);
		if (word.len == 0)
			return -EBADMSG;
		if (!span_starts_with(word, key))
			continue;
		struct span number = span_of(word.data + strlen(key), word.len - strlen(key));
		int r = span_parse_u64(number, UINT64_MAX, &stalled_us);
		if (r)
			return r;
		ret->stalled_us = stalled_us;
		ret->has_pressure = true;
		return 0;
	}
}

/* A sum that became smaller has wrapped at 32 bits, or, once in aeons, at 64. */
static uint64_t load_grown(uint64_t from, uint64_t to)
{
	return to < from && from <= UINT32_MAX ? (uint32_t)(to - from) : to - from;
}

/*
 * Of `nr` reads that took `bytes`, those for the `own` among them. What is submitted ends a little
 * later, so `own` may be more by what was under way.
 */
static uint64_t load_own_part(uint64_t nr, uint64_t bytes, uint64_t own)
{
	if (own == 0 || own > bytes + bytes / 4 + LOAD_UNDERWAY_MAX)
		return 0;
	return own >= bytes ? nr : (uint64_t)((double)nr * ((double)own / (double)bytes) + 0.5);
}

struct load_change load_change(const struct load_sample *from, const struct load_sample *to)
{
	struct load_change change = { .nr_ended = 0 };

	if (from->has_disk && to->has_disk) {
		uint64_t bytes = to->read_bytes - from->read_bytes;
		change.nr_ended = load_grown(from->nr_ended, to->nr_ended);
		change.ended_ns = (uint32_t)(to->ended_ms - from->ended_ms) * NS_PER_MS;
		change.own_bytes = to->own_bytes - from->own_bytes;
		change.other_bytes = (int64_t)(bytes - change.own_bytes);
		change.nr_own = load_own_part(load_grown(from->nr_reads, to->nr_reads), bytes,
					      change.own_bytes);
	}
	if (from->has_pressure && to->has_pressure) {
		uint64_t us = load_grown(from->stalled_us, to->stalled_us);
		change.stalled_ns = (int64_t)(min_of(us, (uint64_t)INT64_MAX / 1000) * 1000);
	}
	return change;
}

static int load_read_text(int fd, char buf[LOAD_TEXT_MAX], struct span *ret_text)
{
	ssize_t n;

	do
		n = pread(fd, buf, LOAD_TEXT_MAX, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*ret_text = span_of(buf, (uint64_t)n);
	return 0;
}

static uint64_t load_own_bytes(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) || usage.ru_inblock < 0)
		return 0;
	return (uint64_t)usage.ru_inblock * LOAD_SECTOR;
}

static int load_read_files(struct load *load, struct load_sample *ret)
{
	char buf[LOAD_TEXT_MAX];
	struct span text;
	int r = 0;

	*ret = LOAD_SAMPLE_NULL;
	if (load->stat_fd >= 0) {
		r = load_read_text(load->stat_fd, buf, &text);
		if (!r)
			r = load_parse_stat(text, ret);
		ret->own_bytes = load_own_bytes(); /* behind it: what has ended was submitted */
	}
	if (!r && load->pressure_fd >= 0) {
		r = load_read_text(load->pressure_fd, buf, &text);
		if (!r)
			r = load_parse_pressure(text, ret);
	}
	return r;
}

int load_read(struct load *load, struct load_sample *ret)
{
	return load->read ? load->read(load, ret) : -EBADF;
}

static int load_open_folder(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The only entry of the folder `slaves`, as a path. -ENOENT: none, or more than one. */
static int load_find_only_slave(int dirfd, char *path, size_t size)
{
	int fd = load_open_folder(dirfd, "slaves");
	struct dirent *entry;
	unsigned nr = 0;

	if (fd < 0)
		return fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int r = -errno;
		(void)close(fd);
		return r;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		nr++;
		(void)snprintf(path, size, "slaves/%s", entry->d_name);
	}
	(void)closedir(dir);
	return nr == 1 ? 0 : -ENOENT;
}

/* From the folder of a device to that of the disk below it, or to itself. Takes `fd` over. */
static int load_descend(int fd)
{
	char path[sizeof("slaves/") + NAME_MAX];

	for (unsigned depth = 0; depth < LOAD_STACK_MAX; depth++) {
		int below;
		if (faccessat(fd, "partition", F_OK, 0) == 0)
			below = load_open_folder(fd, "..");
		else if (load_find_only_slave(fd, path, sizeof(path)) == 0)
			below = load_open_folder(fd, path);
		else
			return fd;
		(void)close(fd);
		if (below < 0)
			return below;
		fd = below;
	}
	return fd;
}

/* False when somebody has switched the statistics of the disk off: they stand still then. */
static bool load_keeps_books(int dirfd)
{
	int fd = openat(dirfd, "queue/iostats", O_RDONLY | O_CLOEXEC);
	char c = '1';

	if (fd < 0)
		return true;
	ssize_t n = pread(fd, &c, 1, 0);
	(void)close(fd);
	return n != 1 || c != '0';
}

static int load_open_stat(uint64_t dev)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u",
		       (unsigned)(dev >> 32), (unsigned)dev);
	int dirfd = load_open_folder(AT_FDCWD, path);
	if (dirfd >= 0)
		dirfd = load_descend(dirfd);
	if (dirfd < 0)
		return dirfd;
	int fd = -ENOENT;
	if (load_keeps_books(dirfd)) {
		fd = openat(dirfd, "stat", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	(void)close(dirfd);
	return fd;
}

int load_open(struct load *load, uint64_t dev)
{
	int fd = load_open_stat(dev);

	*load = LOAD_NULL;
	if (fd >= 0) {
		load->stat_fd = fd;
	} else if (fd == -ENOENT) {
		fd = open("/proc/pressure/io", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		load->pressure_fd = fd;
	} else {
		return fd;
	}
	load->read = load_read_files;
	return 0;
}

void load_close(struct load *load)
{
	if (load->stat_fd >= 0)
		(void)close(load->stat_fd);
	if (load->pressure_fd >= 0)
		(void)close(load->pressure_fd);
	*load = LOAD_NULL;
}
