// SPDX-License-Identifier: Apache-2.0
/*
 * The frame of a synthetic store: the directories that Cyrus expects, imapd.conf, and the list of
 * mailboxes at the end. The mailboxes themselves are made in mkmailbox.c.
 */
#include "support/mkstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/mkstore_parts.h"

enum { SEED_SIZES = 4 };

/* What has to exist before a Cyrus starts on it. */
static const char *const DIRECTORIES[] = {
	"conf",	      "conf/db",     "conf/lock", "conf/log",  "conf/proc",
	"conf/quota", "conf/socket", "conf/sync", "conf/user", "spool",
	"spool/stage.", "spool/sync.",
};

int mk_write(int fd, const void *data, uint64_t len, uint64_t off)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* A path below the store's directory, on the heap. */
static char *path_below(const struct mkstore *store, const char *leaf)
{
	struct buf b = BUF_NULL;

	buf_addf(&b, "%s/%s", store->dir, leaf);
	return buf_take(&b);
}

static int make_directories(struct mkstore *store)
{
	int fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < array_size(DIRECTORIES) && !r; i++) {
		if (mkdirat(fd, DIRECTORIES[i], 0700))
			r = -errno;
	}
	if (!r) {
		store->spool_fd = openat(fd, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (store->spool_fd < 0)
			r = -errno;
	}
	if (fd >= 0)
		close(fd);
	return r;
}

int mkstore_new(const char *dir, const struct mkstore_options *options,
		struct mkstore **ret_store)
{
	struct mkstore *store = calloc(1, sizeof(*store));
	int r = 0;

	if (!store)
		return -ENOMEM;
	store->spool_fd = -1;
	store->options = *options;
	if (!store->options.epoch)
		store->options.epoch = MKSTORE_EPOCH;
	store->size_random = mk_seed(options->seed, SEED_SIZES, 0);
	store->sha1 = sha1_new();
	if (!store->sha1)
		r = -ENOMEM;
	else if (mkdir(dir, 0700) && errno != EEXIST)
		r = -errno;
	if (!r) {
		store->dir = realpath(dir, NULL);
		r = store->dir ? make_directories(store) : -errno;
	}
	if (!r) {
		store->conf = path_below(store, "imapd.conf");
		r = store->conf ? 0 : -ENOMEM;
	}
	if (r) {
		mkstore_free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void mkstore_free(struct mkstore *store)
{
	if (!store)
		return;
	mk_mailbox_drop(store->open);
	mk_names_free(store);
	if (store->spool_fd >= 0)
		close(store->spool_fd);
	sha1_free(store->sha1);
	free(store->text);
	free(store->conf);
	free(store->dir);
	free(store);
}

int mkstore_tombstone(struct mkstore *store, const char *name)
{
	struct mk_name *added;

	return mk_names_add(store, name, MK_TOMBSTONE, &added);
}

int mkstore_intermediate(struct mkstore *store, const char *name)
{
	struct mk_name *added;

	return mk_names_add(store, name, MK_INTERMEDIATE, &added);
}

static int write_conf(struct mkstore *store)
{
	const struct mkstore_options *options = &store->options;
	struct buf b cleanup(buf_fini) = BUF_NULL;

	buf_addf(&b, "configdirectory: %s/conf\n", store->dir);
	buf_add_str(&b, "defaultpartition: default\n");
	buf_addf(&b, "partition-default: %s/spool\n", store->dir);
	buf_add_str(&b, "admins: cyrus\n"
			"hashimapspool: yes\n"
			"unixhierarchysep: yes\n"
			"altnamespace: no\n");
	buf_addf(&b, "sync_log: %s\n", options->sync_log ? "yes" : "no");
	if (options->legacy_dirs)
		buf_add_str(&b, "mailbox_legacy_dirs: yes\n");
	if (options->extra)
		buf_add_str(&b, options->extra);
	int r = buf_error(&b);
	if (r)
		return r;

	int fd = open(store->conf, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = mk_write(fd, b.data, b.len, 0);
	if (close(fd) && !r)
		r = -errno;
	return r;
}

int mkstore_finish(struct mkstore *store)
{
	if (store->open)
		return -EBUSY;
	char *path = path_below(store, "conf/mailboxes.db");
	if (!path)
		return -ENOMEM;
	int r = mk_names_write(store, path);
	free(path);
	return r ? r : write_conf(store);
}

struct mkstore_totals mkstore_get_totals(const struct mkstore *store)
{
	return store->totals;
}

const char *mkstore_get_conf(const struct mkstore *store)
{
	return store->conf;
}

const char *mkstore_get_unique_id(const struct mkstore *store, const char *name)
{
	const struct mk_name *found = mk_names_find(store, name);

	return found ? found->unique_id : NULL;
}

char *mkstore_path(const struct mkstore *store, const char *name, const char *leaf)
{
	const struct mk_name *found = mk_names_find(store, name);
	struct buf b = BUF_NULL;

	if (!found)
		return NULL;
	buf_addf(&b, "%s/spool/", store->dir);
	mk_add_mailbox_dir(&b, store, found);
	if (*leaf)
		buf_addf(&b, "/%s", leaf);
	return buf_take(&b);
}
