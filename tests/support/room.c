// SPDX-License-Identifier: Apache-2.0
/*
 * Rooms: the folder, and what is put into it. Every function leaves no descriptor open and, when it
 * fails, no child behind.
 */
#include "support/room.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int room_make(const char *name, char ret_dir[ROOM_DIR_SIZE])
{
	const char *base = getenv("TMPDIR");
	int len = snprintf(ret_dir, ROOM_DIR_SIZE, "%s/assay-%s-XXXXXX",
			   base && *base ? base : "/tmp", name);

	if (len < 0 || len >= ROOM_DIR_SIZE)
		return -ENAMETOOLONG;
	return mkdtemp(ret_dir) ? 0 : -errno;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int room_remove(const char *dir)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -errno;
}

int room_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "wbe");

	if (!file)
		return -errno;
	int r = fputs(text, file) >= 0 ? 0 : -errno;
	if (fclose(file) != 0 && r == 0)
		r = -errno;
	return r;
}

int room_add_mailbox(struct mkstore *store, const char *name, unsigned count, uint64_t size,
		     uint64_t step)
{
	struct mkstore_mailbox *mailbox;
	int r = mkstore_mailbox_begin(store, name, &mailbox);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = mkstore_message(mailbox, 0, size + i * step, NULL);
	int end = mkstore_mailbox_end(mailbox);
	return r < 0 ? r : end;
}

int room_put_socket(int dirfd, const char *leaf)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* The address of a socket is short: the folder is named by its descriptor. */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%.16s", dirfd,
		       leaf);
	int r = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
	(void)close(fd);
	return r;
}

/* Tells whether it has the lock, then stays until it is killed. */
static void hold_for_ever(int dirfd, const char *path, short type, int told)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
	int fd = openat(dirfd, path, O_RDWR | O_CLOEXEC);
	bool held = fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0;

	if (write(told, held ? "y" : "n", 1) == 1)
		(void)pause();
	_exit(0);
}

int room_hold_lock(int dirfd, const char *path, short type, pid_t *ret_child)
{
	char answer = 0;
	int ends[2];

	if (pipe(ends) != 0)
		return -errno;
	pid_t child = fork();
	int r = child < 0 ? -errno : 0;
	if (child == 0)
		hold_for_ever(dirfd, path, type, ends[1]);
	(void)close(ends[1]); /* should the child die, the read below ends */
	if (r == 0 && (read(ends[0], &answer, 1) != 1 || answer != 'y')) {
		(void)!room_let_go(child);
		r = -EBUSY;
	}
	(void)close(ends[0]);
	if (r == 0)
		*ret_child = child;
	return r;
}

int room_let_go(pid_t child)
{
	if (kill(child, SIGKILL) != 0)
		return -errno;
	return waitpid(child, NULL, 0) == child ? 0 : -errno;
}

int room_refuse_io_uring(int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { array_size(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}
