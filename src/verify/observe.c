/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open, identify, read to the end, digest. A file that is not where its record says is looked for
 * on the other one of spool and archive partition: Cyrus moves messages between them.
 */
#include "verify/observe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int observer_init(struct observer *observer)
{
	*observer = OBSERVER_NULL;
	/* Populated at once: a page fault in the middle of a read costs more than the read. */
	void *buf = mmap(NULL, OBSERVER_BUF, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	observer->sha1 = sha1_new();
	if (buf == MAP_FAILED || !observer->sha1) {
		if (buf != MAP_FAILED)
			(void)munmap(buf, OBSERVER_BUF);
		observer_fini(observer);
		return -ENOMEM;
	}
	observer->buf = buf;
	return 0;
}

void observer_fini(struct observer *observer)
{
	if (observer->buf)
		(void)munmap(observer->buf, OBSERVER_BUF);
	sha1_free(observer->sha1);
	*observer = OBSERVER_NULL;
}

static int digest_file(struct observer *observer, struct file *file, struct observation *seen)
{
	uint64_t off = 0, n;

	int r = sha1_begin(observer->sha1);
	while (r == 0) {
		/* Ask for what there is, rounded up: a longer read would zero the rest of the buffer. */
		uint64_t left = file->identity.size - min_of(off, file->identity.size);
		uint64_t len = min_of((left + FILE_ALIGN) / FILE_ALIGN * FILE_ALIGN,
				      (uint64_t)OBSERVER_BUF);
		r = file_read(file, off, observer->buf, len, &n);
		if (r || n == 0)
			break;
		r = sha1_update(observer->sha1, observer->buf, n);
		off += n;
		if (n < len || off >= file->identity.size)
			break;
	}
	if (r == 0)
		r = sha1_end(observer->sha1, seen->digest);
	if (r == 0)
		seen->digested = off == file->identity.size;
	return r;
}

static void observe_file(struct observer *observer, int dirfd, const char *name,
			 struct observation *seen)
{
	struct file file = FILE_NULL;

	*seen = (struct observation){ 0 };
	seen->error = file_open(&file, dirfd, name);
	seen->identity = file.identity;
	seen->is_symlink = seen->error == -ELOOP;
	if (seen->error)
		return;
	if (file.identity.size <= UINT32_MAX)
		seen->error = digest_file(observer, &file, seen);
	/* These say of an open that there is no such file; of a read they can only say that it failed. */
	if (seen->error == -ENOENT || seen->error == -EINVAL || seen->error == -ELOOP)
		seen->error = -EIO;
	seen->direct = file.direct;
	/* It must not have changed under the read; if it did, the second look decides. */
	struct file_identity after;
	if (seen->error == 0 && file_identify(file.fd, "", &after) == 0 &&
	    !file_identity_equals(&after, &file.identity))
		seen->identity = after;
	file_close(&file);
}

void observe_message(struct observer *observer, const struct mailbox *mailbox,
		     const struct witness *witness, struct observation *seen)
{
	int first = mailbox->message_fd, second = mailbox->archive_fd;
	char name[16];

	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", witness->uid);
	if (witness->archived && mailbox->archive_fd >= 0) {
		first = mailbox->archive_fd;
		second = mailbox->message_fd;
	}
	*seen = (struct observation){ .error = -ENOENT };
	if (first >= 0)
		observe_file(observer, first, name, seen);
	if (seen->error == -ENOENT && second >= 0) {
		observe_file(observer, second, name, seen);
		seen->misplaced = seen->error == 0;
	}
}
