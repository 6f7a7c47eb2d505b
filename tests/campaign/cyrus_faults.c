// SPDX-License-Identifier: Apache-2.0
/*
 * The faults of the Cyrus campaign: what a disk, a cable, memory or a crash does to one file. The
 * file keeps its inode and its time of modification, as on a disk that goes bad; only a removed one
 * is moved aside, so that its other links stay what they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "campaign/cyrus_parts.h"
#include "support/random.h"

#define SECTOR 512u
#define LONGER_MAX 600 /* bytes */
#define TRIES 1000     /* to find a fault that changes something */

const char *damage_name(enum damage_type type)
{
	static const char *const names[DAMAGE_TYPE_COUNT_] = {
		[DAMAGE_BIT] = "one bit flipped",   [DAMAGE_BYTE] = "one byte changed",
		[DAMAGE_ZEROS] = "sector of zeros", [DAMAGE_OTHER] = "sector of another place",
		[DAMAGE_CUT] = "cut off",	    [DAMAGE_REMOVED] = "removed",
		[DAMAGE_LONGER] = "garbage behind",
	};

	return names[type];
}

bool damage_hits(const struct damage *damage, uint64_t off, uint64_t len)
{
	struct span before = buf_span(&damage->before), after = buf_span(&damage->after), a, b;

	if (len == 0)
		return false;
	if (span_sub(before, off, len, &a) || span_sub(after, off, len, &b))
		return off + len > min_of(before.len, after.len) && before.len != after.len;
	return memcmp(a.data, b.data, len) != 0;
}

/* ---- reading and writing ---- */

static int complain(const char *path, int r)
{
	fprintf(stderr, "campaign-cyrus: %s: %s\n", path, strerror(-r));
	return r;
}

static int read_file(const char *path, struct buf *content, struct timespec times[2])
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (r == 0 && times) {
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
	}
	if (r == 0)
		r = buf_reserve(content, (size_t)st.st_size + 1);
	if (r == 0) {
		ssize_t n = pread(fd, content->data, (size_t)st.st_size, 0);
		r = n == (ssize_t)st.st_size ? 0 : -EIO;
		content->len = r ? 0 : (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* In place, with the times it had. */
static int write_file(const char *path, struct span content, const struct timespec times[2])
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && pwrite(fd, content.data, content.len, 0) != (ssize_t)content.len)
		r = -EIO;
	if (r == 0 && (ftruncate(fd, (off_t)content.len) || futimens(fd, times)))
		r = -errno;
	if (fd >= 0 && close(fd) && r == 0)
		r = -errno;
	return r;
}

/* ---- one fault ---- */

/* Bits, bytes and sectors more often: they are what passes unnoticed. */
static enum damage_type draw_type(uint64_t *random)
{
	static const enum damage_type types[] = {
		DAMAGE_BIT,   DAMAGE_BIT,   DAMAGE_BIT,	    DAMAGE_BYTE,
		DAMAGE_BYTE,  DAMAGE_ZEROS, DAMAGE_ZEROS,   DAMAGE_OTHER,
		DAMAGE_OTHER, DAMAGE_CUT,   DAMAGE_REMOVED, DAMAGE_LONGER,
	};

	return types[random_below(random, array_size(types))];
}

static void change_sector(struct damage *damage, uint64_t at, uint64_t *random)
{
	struct span before = buf_span(&damage->before);
	uint64_t from = at / SECTOR * SECTOR, to = min_of(from + SECTOR, before.len);
	uint64_t other = random_below(random, before.len);

	for (uint64_t i = from; i < to; i++)
		damage->after.data[i] = damage->type == DAMAGE_ZEROS
						? 0
						: before.data[(other + i - from) % before.len];
}

/* Makes damage->after of damage->before. */
static void change(struct damage *damage, uint64_t at, uint64_t *random)
{
	struct buf *after = &damage->after;

	buf_clear(after);
	if (damage->type == DAMAGE_REMOVED)
		return;
	buf_add_span(after, buf_span(&damage->before));
	if (buf_error(after))
		return;
	switch (damage->type) {
	case DAMAGE_BIT:
		after->data[at] ^= (uint8_t)(1u << random_below(random, 8));
		break;
	case DAMAGE_BYTE:
		after->data[at] = (uint8_t)random_next(random);
		break;
	case DAMAGE_CUT:
		after->len = at;
		break;
	case DAMAGE_LONGER:
		for (uint64_t n = 1 + random_below(random, LONGER_MAX); n > 0; n--)
			buf_add_char(after, (char)random_next(random));
		break;
	default:
		change_sector(damage, at, random);
	}
}

/* Where the two first differ. False when they do not. */
static bool find_first(struct damage *damage)
{
	struct span a = buf_span(&damage->before), b = buf_span(&damage->after);
	uint64_t i = 0;

	while (i < a.len && i < b.len && a.data[i] == b.data[i])
		i++;
	damage->first = i;
	return i < a.len || i < b.len;
}

static const struct store_file *draw_file(const struct stores *stores, const struct group *group,
					  uint64_t *random)
{
	uint64_t which = random_below(random, group->nr_files);

	for (unsigned i = 0; i < stores->nr_files; i++) {
		const struct store_file *file = &stores->files[i];
		if (file->kind == group->kind && file->engine == group->engine && which-- == 0)
			return file;
	}
	return NULL;
}

int damage_do(struct damage *damage, const struct stores *stores, const struct group *group,
	      const char *aside, uint64_t *random)
{
	const struct store_file *file = draw_file(stores, group, random);
	bool differs = false;

	*damage = (struct damage){ .file = file };
	int r = read_file(file->path, &damage->before, damage->times);
	for (int i = 0; r == 0 && !differs && i < TRIES; i++) {
		damage->type = draw_type(random);
		change(damage, file->from + random_below(random, file->len), random);
		r = buf_error(&damage->after);
		differs = find_first(damage);
	}
	if (r == 0 && !differs)
		r = -EILSEQ;
	if (r == 0 && damage->type == DAMAGE_REMOVED) {
		if (asprintf(&damage->aside, "%s/removed", aside) < 0) {
			damage->aside = NULL;
			r = -ENOMEM;
		} else if (rename(file->path, damage->aside)) {
			r = -errno;
		}
	} else if (r == 0) {
		r = write_file(file->path, buf_span(&damage->after), damage->times);
	}
	return r ? complain(file->path, r) : 0;
}

int damage_undo(struct damage *damage)
{
	struct buf now cleanup(buf_fini) = BUF_NULL;
	const char *path = damage->file->path;
	int r;

	if (damage->aside)
		r = rename(damage->aside, path) ? -errno : 0;
	else
		r = write_file(path, buf_span(&damage->before), damage->times);
	if (r == 0)
		r = read_file(path, &now, NULL);
	if (r == 0 && !span_equals(buf_span(&now), buf_span(&damage->before)))
		r = -EILSEQ;
	if (r)
		(void)complain(path, r);
	buf_fini(&damage->before);
	buf_fini(&damage->after);
	free(damage->aside);
	*damage = DAMAGE_NULL;
	return r;
}
