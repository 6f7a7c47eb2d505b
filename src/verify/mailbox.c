/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories are opened below the root of their partition and never outside. The index is read
 * through the page cache on purpose: Cyrus rewrites it in place, and the cache is what Cyrus sees.
 */
#include "verify/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "digest/digest.h"

#define INDEX_FILE "cyrus.index"
#define EXPUNGE_FILE "cyrus.expunge"
#define LOCK_TIMEOUT (2 * NS_PER_S)

static int mailbox_set_entry(struct mailbox *mailbox, const struct mailbox_row *row)
{
	struct mailbox_entry *entry = &mailbox->entry;

	buf_add_span(&entry->name, row->name);
	buf_add_span(&entry->partition, row->partition);
	if (row->has_unique_id)
		buf_add_span(&entry->unique_id, row->key);
	buf_add_span(&entry->acl, row->acl);
	entry->uidvalidity = row->uidvalidity;
	entry->legacy_dirs = row->legacy_dirs;
	buf_add_span(&mailbox->key, row->key);
	if (buf_error(&entry->name) || buf_error(&entry->partition) ||
	    buf_error(&entry->unique_id) || buf_error(&entry->acl) || buf_error(&mailbox->key))
		return -ENOMEM;
	return layout_add_mailbox_dir(&mailbox->dir, mailbox->conf, entry);
}

int mailbox_new(const struct imapd_conf *conf, struct image *image, const struct mailbox_row *row,
		struct mailbox **ret_mailbox)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (!mailbox)
		return -ENOMEM;
	mailbox->conf = conf;
	mailbox->image = image;
	mailbox->entry = MAILBOX_ENTRY_NULL;
	mailbox->message_dir = mailbox->archive_dir = mailbox->index_dir = DIR_NULL;
	atomic_init(&mailbox->refs, 1);
	int r = mailbox_set_entry(mailbox, row);
	if (r) {
		mailbox_unref(mailbox);
		return r;
	}
	*ret_mailbox = mailbox;
	return 0;
}

int mailbox_new_again(const struct mailbox *old, struct mailbox **ret_mailbox)
{
	struct mailbox_row row = {
		.key = buf_span(&old->key),
		.name = buf_span(&old->entry.name),
		.partition = buf_span(&old->entry.partition),
		.acl = buf_span(&old->entry.acl),
		.uidvalidity = old->entry.uidvalidity,
		.legacy_dirs = old->entry.legacy_dirs,
		.has_unique_id = old->entry.unique_id.len > 0,
	};
	int r = mailbox_new(old->conf, old->image, &row, ret_mailbox);

	if (r == 0)
		(*ret_mailbox)->passes = old->passes + 1;
	return r;
}

struct mailbox *mailbox_ref(struct mailbox *mailbox)
{
	atomic_fetch_add(&mailbox->refs, 1);
	return mailbox;
}

void mailbox_unref(struct mailbox *mailbox)
{
	if (!mailbox || atomic_fetch_sub(&mailbox->refs, 1) != 1)
		return;
	mailbox_close_dirs(mailbox);
	mailbox_entry_fini(&mailbox->entry);
	buf_fini(&mailbox->key);
	buf_fini(&mailbox->dir);
	free(mailbox);
}

void mailbox_close_dirs(struct mailbox *mailbox)
{
	dir_close(&mailbox->message_dir);
	dir_close(&mailbox->archive_dir);
	dir_close(&mailbox->index_dir);
}

static const char *mailbox_root(const struct mailbox *mailbox, enum mailbox_file kind)
{
	return layout_root(mailbox->conf, buf_str(&mailbox->entry.partition), kind);
}

static int open_dir(const struct mailbox *mailbox, enum mailbox_file kind, struct dir *ret_dir)
{
	const char *root = mailbox_root(mailbox, kind);

	return root ? dir_open(ret_dir, mailbox->image, root, buf_str(&mailbox->dir)) : -ENODEV;
}

int mailbox_open_dirs(struct mailbox *mailbox)
{
	const char *spool = mailbox_root(mailbox, MAILBOX_FILE_MESSAGES);
	const char *archive = mailbox_root(mailbox, MAILBOX_FILE_ARCHIVED);
	int r = open_dir(mailbox, MAILBOX_FILE_INDEX, &mailbox->index_dir);

	if (r == 0) {
		r = open_dir(mailbox, MAILBOX_FILE_MESSAGES, &mailbox->message_dir);
		if (r == -ENOENT)
			r = 0; /* with metadata elsewhere it is made for the first message */
	}
	if (r == 0 && archive && spool && strcmp(archive, spool) != 0) {
		r = open_dir(mailbox, MAILBOX_FILE_ARCHIVED, &mailbox->archive_dir);
		if (r == -ENOENT)
			r = 0;
	}
	if (r)
		mailbox_close_dirs(mailbox);
	return r;
}

int mailbox_dir_of(const struct mailbox *mailbox, enum mailbox_file kind, struct dir *own,
		   const struct dir **ret_dir)
{
	static const enum mailbox_file kinds[] = { MAILBOX_FILE_MESSAGES, MAILBOX_FILE_ARCHIVED,
						   MAILBOX_FILE_INDEX };
	const struct dir *const dirs[] = { &mailbox->message_dir, &mailbox->archive_dir,
					   &mailbox->index_dir };
	const char *root = mailbox_root(mailbox, kind);

	*own = DIR_NULL;
	for (size_t i = 0; root && i < array_size(kinds); i++) {
		const char *other = mailbox_root(mailbox, kinds[i]);
		if (other && strcmp(root, other) == 0 && dir_is_open(dirs[i])) {
			*ret_dir = dirs[i];
			return 0;
		}
	}
	*ret_dir = own;
	return open_dir(mailbox, kind, own);
}

void mailbox_add_path(struct buf *b, const struct mailbox *mailbox, enum mailbox_file kind,
		      const char *name)
{
	const char *root = mailbox_root(mailbox, kind);

	buf_addf(b, "%s/", root ? root : "(partition not configured)");
	buf_add_span(b, buf_span(&mailbox->dir));
	if (*name)
		buf_addf(b, "/%s", name);
}

/* Reads and judges the header of the open index; call with the lock held where it can be had. */
static int index_load_header(struct mailbox_index *ix)
{
	uint8_t bytes[INDEX_HEADER_MAX];
	uint64_t n;

	int r = source_read(&ix->source, 0, bytes, sizeof(bytes), &n);
	if (r == 0 && !ix->is_static)
		r = file_identify(ix->source.fd, "", &ix->identity);
	if (r)
		return r;
	ix->header_crc = crc32_of(span_of(bytes, min_of(n, (uint64_t)INDEX_HEADER_MAX)));
	r = index_parse_header(span_of(bytes, n), &ix->header);
	if (r == INDEX_UNKNOWN_VERSION) {
		ix->state = INDEX_FOREIGN;
	} else if (r == -ERANGE) {
		ix->state = INDEX_SHORT;
	} else if (r) {
		ix->state = INDEX_BAD_HEADER;
	} else {
		uint64_t need = ix->header.start_offset +
				(uint64_t)ix->header.nr_records * ix->header.record_size;
		ix->state = ix->header.options & INDEX_OPTION_DELETED ? INDEX_GONE
			    : need > ix->identity.size	      ? INDEX_SHORT
								      : INDEX_GOOD;
	}
	return 0;
}

/* A short shared lock, where others may write. */
static void index_lock(struct mailbox_index *ix)
{
	ix->locked = !ix->is_static && file_lock_shared(ix->source.fd, LOCK_TIMEOUT) == 0;
}

static void index_unlock(struct mailbox_index *ix)
{
	if (ix->locked)
		file_unlock(ix->source.fd);
}

int mailbox_index_look(struct mailbox_index *ix)
{
	index_lock(ix);
	int r = index_load_header(ix);
	index_unlock(ix);
	return r;
}

static int index_open(struct mailbox_index *ix, const struct mailbox *mailbox, const char *leaf)
{
	*ix = MAILBOX_INDEX_NULL;
	ix->leaf = leaf;
	int r = dir_open_source(&mailbox->index_dir, leaf, &ix->source);
	if (r)
		return r;
	ix->is_static = mailbox->index_dir.image != NULL;
	if (ix->is_static)
		r = dir_identify(&mailbox->index_dir, leaf, &ix->identity);
	else
		ix->was_cached = file_is_cached(ix->source.fd);
	if (r == 0)
		r = mailbox_index_look(ix);
	if (r)
		mailbox_index_close(ix);
	return r;
}

int mailbox_index_open(struct mailbox_index *ix, const struct mailbox *mailbox)
{
	return index_open(ix, mailbox, INDEX_FILE);
}

int mailbox_expunge_open(struct mailbox_index *ix, const struct mailbox *mailbox)
{
	return index_open(ix, mailbox, EXPUNGE_FILE);
}

void mailbox_index_close(struct mailbox_index *ix)
{
	if (ix->source.ops && !ix->is_static && !ix->was_cached)
		file_forget(ix->source.fd);
	source_close(&ix->source);
}

/* Is the file that is open still the one that its name stands for? -ESTALE: it is not. */
static int index_is_named(const struct mailbox_index *ix, const struct mailbox *mailbox)
{
	struct file_identity named;

	if (ix->is_static)
		return 0;
	int r = file_identify(mailbox->index_dir.fd, ix->leaf, &named);
	if (r)
		return r == -ENOENT ? -ESTALE : r;
	return named.ino == ix->identity.ino && named.dev == ix->identity.dev ? 0 : -ESTALE;
}

int mailbox_index_read(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t first,
		       uint32_t count, uint8_t *buf)
{
	uint32_t generation = ix->header.generation, version = ix->header.version;
	uint64_t len = (uint64_t)count * ix->header.record_size;
	uint64_t n = 0;

	index_lock(ix);
	int r = index_load_header(ix);
	if (r == 0 && (ix->state != INDEX_GOOD || ix->header.generation != generation ||
		       ix->header.version != version))
		r = -ESTALE;
	if (r == 0)
		r = index_is_named(ix, mailbox);
	if (r == 0)
		r = source_read(&ix->source,
				ix->header.start_offset + (uint64_t)first * ix->header.record_size,
				buf, len, &n);
	index_unlock(ix);
	if (r == 0 && n < len)
		r = -ENODATA;
	return r;
}

int mailbox_index_get(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t nr,
		      struct index_record *ret_record)
{
	uint8_t bytes[INDEX_RECORD_MAX];

	if (ix->header.record_size > sizeof(bytes))
		return -EBADMSG;
	int r = mailbox_index_read(ix, mailbox, nr, 1, bytes);
	if (r)
		return r;
	return index_parse_record(&ix->header, span_of(bytes, ix->header.record_size), ret_record);
}

/* Looks at every record, passing over damaged ones: slow, and only where a search is blocked. */
static int index_find_linear(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t uid,
			     struct index_record *ret_record)
{
	struct index_record record;

	for (uint32_t nr = 0; nr < ix->header.nr_records; nr++) {
		int r = mailbox_index_get(ix, mailbox, nr, &record);
		if (r == 0 && record.uid == uid) {
			*ret_record = record;
			return 0;
		}
		if (r && r != -EBADMSG)
			return r;
	}
	return MAILBOX_NO_RECORD;
}

int mailbox_index_find(struct mailbox_index *ix, const struct mailbox *mailbox, uint32_t uid,
		       struct index_record *ret_record)
{
	uint32_t low = 0, high = ix->header.nr_records;

	/* UIDs ascend; wiped slots (uid 0) are stepped over towards the front. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2, at = middle;
		struct index_record record;
		int r;
		do {
			r = mailbox_index_get(ix, mailbox, at, &record);
		} while (r == 0 && record.uid == 0 && at-- > low);
		if (r == -EBADMSG)
			return index_find_linear(ix, mailbox, uid, ret_record);
		if (r)
			return r;
		if (record.uid == uid) {
			*ret_record = record;
			return 0;
		}
		if (record.uid == 0 || record.uid < uid)
			low = middle + 1;
		else
			high = at;
	}
	return MAILBOX_NO_RECORD;
}
