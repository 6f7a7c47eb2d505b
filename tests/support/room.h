/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A room: a folder that one test has for itself, and what a test most often puts there: small text
 * files, a mailbox of a synthetic store, a socket, somebody else's lock. Nothing of it outlives the
 * test that removes its room.
 *
 * No function asserts anything: 0 is done, a negative errno says why it could not be, and the test
 * checks it, so that a failure names the line of the test. Nothing here is shared between threads.
 */
#ifndef TESTS_SUPPORT_ROOM_H
#define TESTS_SUPPORT_ROOM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "support/mkstore.h"

#define ROOM_DIR_SIZE 256 /* bytes of the path of a room, with its NUL */

/*
 * Makes a new folder in $TMPDIR, or in /tmp when that is unset or empty, and tells its path.
 * `name` is what it is called by who finds it left behind. -ENAMETOOLONG, or the errno of mkdtemp.
 */
int room_make(const char *name, char ret_dir[ROOM_DIR_SIZE]) must_check;

/* Removes a folder with all that is in it; links are removed, not followed. */
int room_remove(const char *dir) must_check;

/* Writes a file that holds exactly `text`, in place of what it held before. */
int room_write(const char *path, const char *text) must_check;

/*
 * Adds a mailbox to a store: `count` live messages, the first of `size` bytes, each of the next by
 * `step` bytes longer. Errors are those of mkstore.h.
 */
int room_add_mailbox(struct mkstore *store, const char *name, unsigned count, uint64_t size,
		     uint64_t step) must_check;

/* Leaves a socket named `leaf` in an open folder, however long the path of the folder is. */
int room_put_socket(int dirfd, const char *leaf) must_check;

/*
 * Starts a child that holds a POSIX lock of `type` (F_RDLCK, F_WRLCK) on a whole file, as Cyrus
 * does, and returns when it has it. `dirfd` and `path` as openat takes them. -EBUSY when the child
 * could not open or lock the file. The child waits until room_let_go.
 */
int room_hold_lock(int dirfd, const char *path, short type, pid_t *ret_child) must_check;

/*
 * For a child: from now on io_uring_setup fails with `error` (positive) in this process, for good,
 * as a seccomp filter or kernel.io_uring_disabled has it. The errno of prctl.
 */
int room_refuse_io_uring(int error) must_check;

/* Kills the child that holds a lock, and waits until it has gone. */
int room_let_go(pid_t child) must_check;

#endif
