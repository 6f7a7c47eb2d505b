/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of attempts in file_open matters: O_NOATIME is refused (EPERM) to all but the owner,
 * O_DIRECT (EINVAL) by some filesystems and by FIFOs. Each refusal drops one flag and tries again.
 */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

bool file_identity_equals(const struct file_identity *a, const struct file_identity *b)
{
	/* nlink and mode change the ctime, so they need no look of their own. */
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static int64_t from_statx(struct statx_timestamp t)
{
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* More than what is wanted would be read with it, and its errors be taken for those of the file. */
static uint32_t dio_align(const struct statx *st)
{
	uint32_t align = max_of(st->stx_dio_offset_align, st->stx_dio_mem_align);

	if (!(st->stx_mask & STATX_DIOALIGN) || st->stx_dio_offset_align == 0 || align > FILE_ALIGN ||
	    FILE_ALIGN % align)
		return FILE_ALIGN;
	return align;
}

int file_identify(int dirfd, const char *path, struct file_identity *ret_identity)
{
	struct statx st;

	if (statx(dirfd, path, AT_SYMLINK_NOFOLLOW | (*path ? 0 : AT_EMPTY_PATH),
		  STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN, &st))
		return -errno;
	*ret_identity = (struct file_identity){
		.dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
		.ino = st.stx_ino,
		.size = st.stx_size,
		.mtime_ns = from_statx(st.stx_mtime),
		.ctime_ns = from_statx(st.stx_ctime),
		.btime_ns = st.stx_mask & STATX_BTIME ? from_statx(st.stx_btime) : 0,
		.nlink = st.stx_nlink,
		.mode = st.stx_mode,
		.uid = st.stx_uid,
		.dio_align = dio_align(&st),
	};
	return 0;
}

/* A socket, which cannot be opened, answers ENXIO: no disk is to blame for that. */
static int open_error(int error)
{
	return error == ENXIO ? -EINVAL : -error;
}

int file_open_quietly(int dirfd, const char *path, int flags)
{
	int fd = openat(dirfd, path, FILE_QUIET | O_NOATIME | flags);

	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, path, FILE_QUIET | flags);
	return fd < 0 ? open_error(errno) : fd;
}

bool file_relax_open(int error, int *flags)
{
	int refused = error == -EPERM ? O_NOATIME : error == -EINVAL ? O_DIRECT : 0;

	if (!(*flags & refused))
		return false;
	*flags &= ~refused;
	return true;
}

int file_open(struct file *file, int dirfd, const char *name)
{
	int extra = FILE_OPEN_EXTRA;
	int fd;

	*file = FILE_NULL;
	for (;;) {
		fd = openat(dirfd, name, FILE_QUIET | extra);
		if (fd >= 0 || (errno != EINTR && !file_relax_open(-errno, &extra)))
			break;
	}
	if (fd < 0) {
		int error = open_error(errno);
		if (error == -EINVAL && file_identify(dirfd, name, &file->identity))
			file->identity = (struct file_identity){ 0 };
		return error;
	}
	int r = file_identify(fd, "", &file->identity);
	if (r == 0 && !S_ISREG(file->identity.mode))
		r = -EINVAL;
	if (r) {
		(void)close(fd);
		return r;
	}
	file->fd = fd;
	file->direct = extra & O_DIRECT;
	file->noatime = extra & O_NOATIME;
	return 0;
}

int file_drop_direct(struct file *file)
{
	int flags = fcntl(file->fd, F_GETFL);

	if (flags < 0 || fcntl(file->fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return -errno;
	file->direct = false;
	return 0;
}

int file_read(struct file *file, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	uint64_t done = 0;

	if (off > INT64_MAX - len)
		return -ERANGE;
	while (done < len) {
		ssize_t n = pread(file->fd, (char *)buf + done, len - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EINVAL && file->direct) {
			/*
			 * Refused, or resumed at an offset that is not aligned after a short read.
			 */
			int r = file_drop_direct(file);
			if (r)
				return r;
			continue;
		}
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (uint64_t)n;
		if (off + done >= file->identity.size)
			break;
	}
	*ret_n = done;
	return 0;
}

bool file_is_cached(int fd)
{
	char byte;
	struct iovec one = { &byte, 1 };

	/* Where the question is not understood the answer is yes: then nothing is let go. */
	return preadv2(fd, &one, 1, 0, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

void file_forget(int fd)
{
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

void file_forget_range(int fd, uint64_t off, uint64_t len)
{
	(void)posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
}

void file_close(struct file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	*file = FILE_NULL;
}

bool file_error_is_media(int error)
{
	static const int media[] = { EIO,	 ENODATA, EILSEQ,    EUCLEAN,	 EBADMSG,
				     EREMOTEIO, ETIMEDOUT, ENOLINK, ENXIO, EBADE };

	for (size_t i = 0; i < array_size(media); i++)
		if (error == -media[i])
			return true;
	return false;
}

int file_lock_shared(int fd, int64_t timeout_ns)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int64_t give_up = clock_mono_ns() + timeout_ns;
	int64_t pause = NS_PER_MS / 10;

	while (fcntl(fd, F_OFD_SETLK, &lock)) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return -errno;
		if (clock_mono_ns() >= give_up)
			return -ETIMEDOUT;
		clock_sleep_ns(pause);
		pause = min_of(pause * 2, 5 * NS_PER_MS);
	}
	return 0;
}

void file_unlock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)fcntl(fd, F_OFD_SETLK, &lock);
}

int file_open_beneath(int root_fd, const char *path, int *ret_fd)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	for (int tries = 0;; tries++) {
		long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd >= 0) {
			*ret_fd = (int)fd;
			return 0;
		}
		if (errno == EPERM && (how.flags & O_NOATIME)) {
			how.flags &= ~(uint64_t)O_NOATIME;
			continue;
		}
		/* -EAGAIN: a rename elsewhere in the tree raced with the check for `..`. */
		if ((errno != EAGAIN && errno != EINTR) || tries > 100)
			return -errno;
	}
}
