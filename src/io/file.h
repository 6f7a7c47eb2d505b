/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A regular file read from the disk itself: O_DIRECT goes around the page cache, O_NOATIME leaves
 * the access time alone. Where the kernel or the filesystem refuses one of them, the file is read
 * without, and says so: bytes that came from the cache prove less.
 *
 * One file belongs to one thread.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"

#define FILE_ALIGN 4096 /* bytes: offsets, lengths and addresses of reads are multiples of it */

/*
 * Flags of every open: no link at the end is followed, nothing blocks, no descriptor is inherited.
 */
#define FILE_QUIET (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/*
 * open() without following a last symbolic link, without blocking and close-on-exec, that leaves
 * the access time alone where that is allowed (O_NOATIME is for the owner and CAP_FOWNER). Returns
 * a descriptor or a negative errno, -EINVAL for a socket. `flags` are added: O_DIRECTORY, O_DIRECT.
 */
int file_open_quietly(int dirfd, const char *path, int flags) must_check;

/* What tells one state of a file from another. */
struct file_identity {
	uint64_t dev;
	uint64_t ino;
	uint64_t size;	  /* bytes */
	int64_t mtime_ns; /* since the epoch */
	int64_t ctime_ns;
	int64_t btime_ns; /* birth; 0 where the filesystem keeps none */
	uint32_t nlink;
	uint32_t mode;
	uint32_t uid; /* of its owner; 0 in an image, where it is not asked for */
	/*
	 * What O_DIRECT reads of it are aligned to, in bytes; FILE_ALIGN where that is not known.
	 */
	uint32_t dio_align;
};

/* Same inode, same size, unchanged since: the bytes are those of the same file. */
bool file_identity_equals(const struct file_identity *a, const struct file_identity *b);

/* statx of `path` relative to `dirfd` ("" : dirfd itself), links not followed. Negative errno. */
int file_identify(int dirfd, const char *path, struct file_identity *ret_identity) must_check;

struct file {
	int fd;
	bool direct;  /* reads go around the page cache */
	bool noatime; /* reads leave the access time alone */
	struct file_identity identity; /* as of file_open */
};

#define FILE_NULL ((struct file){ .fd = -1 })

/*
 * Opens a regular file for reading. -ELOOP: a symbolic link; -EINVAL: neither link nor regular
 * file (identity.mode says what); else the errno of open or stat. Never blocks on a FIFO. Release
 * with file_close.
 */
int file_open(struct file *file, int dirfd, const char *name) must_check;

/*
 * For who opens a message by another road (a ring), with the same attempts as file_open: FILE_QUIET
 * with `flags`, at first FILE_OPEN_EXTRA. After a refusal with `error`, takes out of `flags` what
 * was refused: true, try again; false, the error stands.
 */
#define FILE_OPEN_EXTRA (O_DIRECT | O_NOATIME)
bool file_relax_open(int error, int *flags) must_check;

/* Gives up O_DIRECT on an open file. The errno of fcntl. */
int file_drop_direct(struct file *file) must_check;

/*
 * Reads up to `len` bytes at `off`, fewer only at the end. `off`, `len` and `buf` are multiples of
 * identity.dio_align, of which FILE_ALIGN is one. Negative errno of the read: -EIO and its kin are
 * the device's word.
 */
int file_read(struct file *file, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n) must_check;

/*
 * Whether the beginning of an open file is in the page cache already, and letting go of what a
 * reader brought there: what nobody else had wanted shall not push out what somebody does. Pages
 * that others have mapped or written to stay.
 */
bool file_is_cached(int fd);
void file_forget(int fd);
void file_forget_range(int fd, uint64_t off, uint64_t len);

/* May be called twice, and on FILE_NULL. */
void file_close(struct file *file);

/*
 * True for an error by which a device says that it cannot give these bytes (EIO, ENODATA as SCSI
 * medium errors show in O_DIRECT, EILSEQ, EUCLEAN and others); false for one that says that we
 * could not look (EACCES, EMFILE, ENOMEM...).
 */
bool file_error_is_media(int error);

/*
 * A short shared lock on an open file, as Cyrus takes them (POSIX locks; ours is an open file
 * description lock, which conflicts with those and is not lost by closing another descriptor).
 * Waits at most `timeout_ns`. 0, -ETIMEDOUT, or the errno of fcntl.
 */
int file_lock_shared(int fd, int64_t timeout_ns) must_check;
void file_unlock(int fd);

/*
 * Opens a directory below `root_fd` without ever leaving it: a link or `..` that leads out is
 * -EXDEV. Other errors as open.
 */
int file_open_beneath(int root_fd, const char *path, int *ret_fd) must_check;

#endif
