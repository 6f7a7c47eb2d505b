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
#include <sys/stat.h>

#include "io/dev.h"
#include "verify/mapping.h"

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
	uint64_t off = 0, n, align = file->identity.dio_align;

	int r = sha1_begin(observer->sha1);
	while (r == 0) {
		/*
		 * Ask for what there is, rounded up: a longer read would zero the rest of the
		 * buffer.
		 */
		uint64_t left = file->identity.size - min_of(off, file->identity.size);
		uint64_t len = min_of((left + align) / align * align,
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
	/*
	 * These say of an open that there is no such file; of a read they can only say that it
	 * failed.
	 */
	if (seen->error == -ENOENT || seen->error == -EINVAL || seen->error == -ELOOP)
		seen->error = -EIO;
	seen->direct = file.direct;
	if (observer->is_second) {
		if (dev_generation(file.fd, &seen->generation))
			seen->generation = 0;
		seen->mapping = mapping_of_file(file.fd, file.identity.size);
	}
	/* It must not have changed under the read; if it did, the second look decides. */
	struct file_identity after;
	if (seen->error == 0 && file_identify(file.fd, "", &after) == 0 &&
	    !file_identity_equals(&after, &file.identity))
		seen->identity = after;
	file_close(&file);
}

/* The same for a file in an image, of which nothing changes. */
static int digest_source(struct observer *observer, struct source *src, struct observation *seen)
{
	uint64_t off = 0, n = 1;
	int r = sha1_begin(observer->sha1);

	while (r == 0 && n > 0) {
		r = source_read(src, off, observer->buf, OBSERVER_BUF, &n);
		if (r == 0 && n > 0)
			r = sha1_update(observer->sha1, observer->buf, n);
		off += r == 0 ? n : 0;
	}
	if (r == 0)
		r = sha1_end(observer->sha1, seen->digest);
	if (r == 0)
		seen->digested = off == seen->identity.size;
	return r;
}

static void observe_in_image(struct observer *observer, const struct dir *dir, const char *name,
			     struct observation *seen)
{
	struct volume *volume = dir->image->volume;
	struct source src = SOURCE_NULL;

	*seen = (struct observation){ .direct = volume->direct };
	source_forget(&volume->source);
	seen->error = dir_identify(dir, name, &seen->identity);
	if (seen->error == 0)
		seen->error = dir_open_source(dir, name, &src);
	seen->is_symlink = seen->error == -ELOOP;
	if (seen->error == 0 && seen->identity.size <= UINT32_MAX) {
		seen->error = digest_source(observer, &src, seen);
		if (seen->error == -ENOENT || seen->error == -EINVAL || seen->error == -ELOOP)
			seen->error = -EIO;
	}
	source_close(&src);
}

static void observe_in(struct observer *observer, const struct dir *dir, const char *name,
		       struct observation *seen)
{
	if (dir->image)
		observe_in_image(observer, dir, name, seen);
	else
		observe_file(observer, dir->fd, name, seen);
}

static void observe_presence_in(const struct dir *dir, const char *name, struct observation *seen)
{
	seen->error = dir_is_open(dir) ? dir_identify(dir, name, &seen->identity) : -ENOENT;
	if (seen->error)
		return;
	seen->is_symlink = S_ISLNK(seen->identity.mode);
	if (seen->is_symlink)
		seen->error = -ELOOP;
	else if (!S_ISREG(seen->identity.mode))
		seen->error = -EINVAL;
}

void observe_presence(const struct mailbox *mailbox, const struct witness *witness,
		      struct observation *seen)
{
	bool archived = witness->archived && dir_is_open(&mailbox->archive_dir);
	char name[16];

	*seen = (struct observation){ 0 };
	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", witness->uid);
	observe_presence_in(archived ? &mailbox->archive_dir : &mailbox->message_dir, name, seen);
	if (seen->error != -ENOENT)
		return;
	observe_presence_in(archived ? &mailbox->message_dir : &mailbox->archive_dir, name, seen);
	seen->misplaced = seen->error == 0;
}

void observe_message(struct observer *observer, const struct mailbox *mailbox,
		     const struct witness *witness, struct observation *seen)
{
	const struct dir *first = &mailbox->message_dir, *second = &mailbox->archive_dir;
	char name[16];

	(void)snprintf(name, sizeof(name), "%" PRIu32 ".", witness->uid);
	if (witness->archived && dir_is_open(&mailbox->archive_dir)) {
		first = &mailbox->archive_dir;
		second = &mailbox->message_dir;
	}
	*seen = (struct observation){ .error = -ENOENT };
	if (dir_is_open(first))
		observe_in(observer, first, name, seen);
	if (seen->error == -ENOENT && dir_is_open(second)) {
		observe_in(observer, second, name, seen);
		seen->misplaced = seen->error == 0;
	}
	seen->alone = observer->is_second;
}
