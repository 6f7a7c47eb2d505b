// SPDX-License-Identifier: Apache-2.0
/*
 * One mailbox of a synthetic store: its directory, cyrus.header, the messages, and last
 * cyrus.index, version 17. Records go out through a small buffer while messages come in; the
 * header, whose counters and sync CRCs sum up the records, is written at the end. Until then the
 * index has 160 zero bytes in front and no reader would take it for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "format/cyrus/index.h"
#include "support/mkstore_parts.h"

enum { SEED_BODY = 3 };

#define INDEX_VERSION 17u
#define OPTION_POP3_NEW_UIDL 0x01u /* Cyrus sets it in every mailbox it creates */
#define SYNC_CRC_ANNOT_START 12345678u
#define NR_BUFFERED 512u /* records */
#define MAX_MESSAGE_LEN UINT32_MAX
#define ENTRY_PREFIX "/vendor/cmu/cyrus-imapd/"

/* What every cyrus.header starts with: the same 115 bytes since Cyrus 2.4. CRC-32 8ad11d69. */
static const uint8_t HEADER_MAGIC[115] = {
	0xa1, 0x02, 0x8b, 0x0d, 0x43, 0x79, 0x72, 0x75, 0x73, 0x20, 0x6d, 0x61, 0x69, 0x6c, 0x62,
	0x6f, 0x78, 0x20, 0x68, 0x65, 0x61, 0x64, 0x65, 0x72, 0x0a, 0x22, 0x54, 0x68, 0x65, 0x20,
	0x62, 0x65, 0x73, 0x74, 0x20, 0x74, 0x68, 0x69, 0x6e, 0x67, 0x20, 0x61, 0x62, 0x6f, 0x75,
	0x74, 0x20, 0x74, 0x68, 0x69, 0x73, 0x20, 0x73, 0x79, 0x73, 0x74, 0x65, 0x6d, 0x20, 0x77,
	0x61, 0x73, 0x20, 0x74, 0x68, 0x61, 0x74, 0x20, 0x69, 0x74, 0x20, 0x68, 0x61, 0x64, 0x20,
	0x6c, 0x6f, 0x74, 0x73, 0x20, 0x6f, 0x66, 0x20, 0x67, 0x6f, 0x61, 0x6c, 0x73, 0x2e, 0x22,
	0x0a, 0x09, 0x2d, 0x2d, 0x4a, 0x69, 0x6d, 0x20, 0x4d, 0x6f, 0x72, 0x72, 0x69, 0x73, 0x20,
	0x6f, 0x6e, 0x20, 0x41, 0x6e, 0x64, 0x72, 0x65, 0x77, 0x0a,
};

struct mkstore_mailbox {
	struct mkstore *store; /* borrowed */
	size_t name;	       /* index in store->names */
	int dir_fd;
	int index_fd;
	uint32_t header_file_crc;
	uint32_t next_uid;
	uint32_t nr_records; /* all, of which the last nr_buffered are not yet written */
	uint32_t nr_buffered;
	uint32_t last_date;
	uint32_t exists, answered, flagged, deleted, unseen;
	uint32_t first_expunged; /* seconds; 0: none */
	uint64_t quota_used;	 /* bytes */
	uint64_t modseq;	 /* the highest given out */
	uint32_t crc_basic, crc_annot;
	uint8_t records[NR_BUFFERED * MKSTORE_RECORD_LEN];
};

/* The facts of one message that its record and the sync CRCs are made of. */
struct message {
	uint32_t uid;
	uint32_t date; /* seconds: internaldate, sent date, last_updated and savedate alike */
	uint32_t size;
	uint32_t header_size;
	uint32_t flags;
	uint8_t guid[SHA1_LEN];
};

static const struct mk_name *get_name(const struct mkstore_mailbox *mailbox)
{
	return &mailbox->store->names[mailbox->name];
}

/* Makes all directories of `path`, relative to `root_fd`, and opens the last. */
static int open_directory(int root_fd, struct buf *path, int *ret_fd)
{
	for (char *p = path->data; p;) {
		p = strchr(p, '/');
		if (p)
			*p = '\0';
		if (mkdirat(root_fd, path->data, 0700) && errno != EEXIST)
			return -errno;
		if (p)
			*p++ = '/';
	}
	*ret_fd = openat(root_fd, path->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

/* Creates a file in one write, with the time of the store's clock as its mtime. */
static int create_file(int dir_fd, const char *leaf, const void *data, uint64_t len, int64_t date)
{
	int fd = openat(dir_fd, leaf, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct timespec times[2] = { { .tv_sec = date }, { .tv_sec = date } };

	if (fd < 0)
		return -errno;
	int r = mk_write(fd, data, len, 0);
	if (!r && futimens(fd, times))
		r = -errno;
	if (close(fd) && !r)
		r = -errno;
	return r;
}

static int create_header(struct mkstore_mailbox *mailbox)
{
	const struct mk_name *name = get_name(mailbox);
	struct buf b cleanup(buf_fini) = BUF_NULL;

	buf_add(&b, HEADER_MAGIC, sizeof(HEADER_MAGIC));
	buf_addf(&b, "%%(T %s N ", mailbox->store->options.legacy_dirs ? "el" : "e");
	mk_add_dlist_string(&b, name->internal);
	buf_addf(&b, " I %s A ", name->unique_id);
	mk_add_acl(&b, name->internal);
	buf_add_str(&b, ")\n");
	int r = buf_error(&b);
	if (r)
		return r;
	mailbox->header_file_crc = crc32_of(buf_span(&b));
	return create_file(mailbox->dir_fd, "cyrus.header", b.data, b.len, name->uidvalidity);
}

static int open_files(struct mkstore_mailbox *mailbox)
{
	struct buf path cleanup(buf_fini) = BUF_NULL;

	mk_add_mailbox_dir(&path, mailbox->store, get_name(mailbox));
	int r = buf_error(&path);
	if (!r)
		r = open_directory(mailbox->store->spool_fd, &path, &mailbox->dir_fd);
	if (!r)
		r = create_header(mailbox);
	if (r)
		return r;
	mailbox->index_fd = openat(mailbox->dir_fd, "cyrus.index",
				   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return mailbox->index_fd < 0 ? -errno : 0;
}

int mkstore_mailbox_begin(struct mkstore *store, const char *name,
			  struct mkstore_mailbox **ret_mailbox)
{
	struct mk_name *added;

	if (store->open)
		return -EBUSY;
	struct mkstore_mailbox *mailbox = calloc(1, sizeof(*mailbox));
	if (!mailbox)
		return -ENOMEM;
	mailbox->store = store;
	mailbox->dir_fd = -1;
	mailbox->index_fd = -1;
	mailbox->next_uid = 1;
	mailbox->modseq = 1;
	mailbox->crc_annot = SYNC_CRC_ANNOT_START;
	int r = mk_names_add(store, name, MK_MAILBOX, &added);
	if (!r) {
		mailbox->name = (size_t)(added - store->names);
		mailbox->last_date = added->uidvalidity;
		r = open_files(mailbox);
	}
	if (r) {
		mk_mailbox_drop(mailbox);
		return r;
	}
	store->open = mailbox;
	*ret_mailbox = mailbox;
	return 0;
}

void mk_mailbox_drop(struct mkstore_mailbox *mailbox)
{
	if (!mailbox)
		return;
	if (mailbox->index_fd >= 0)
		close(mailbox->index_fd);
	if (mailbox->dir_fd >= 0)
		close(mailbox->dir_fd);
	if (mailbox->store->open == mailbox)
		mailbox->store->open = NULL;
	free(mailbox);
}

static int flush_records(struct mkstore_mailbox *mailbox)
{
	uint32_t first = mailbox->nr_records - mailbox->nr_buffered;
	uint64_t len = (uint64_t)mailbox->nr_buffered * MKSTORE_RECORD_LEN;

	mailbox->nr_buffered = 0;
	return mk_write(mailbox->index_fd, mailbox->records, len, mkstore_record_offset(first));
}

/* Field offsets: src/format/cyrus/index.h and its sources; what is not set here is 0. */
static int append_record(struct mkstore_mailbox *mailbox, const struct message *message)
{
	if (mailbox->nr_buffered == NR_BUFFERED) {
		int r = flush_records(mailbox);
		if (r)
			return r;
	}

	uint8_t *p = mailbox->records + (size_t)mailbox->nr_buffered * MKSTORE_RECORD_LEN;
	memset(p, 0, MKSTORE_RECORD_LEN);
	mk_put32(p + MKSTORE_RECORD_UID, message->uid);
	mk_put32(p + MKSTORE_RECORD_INTERNALDATE, message->date);
	mk_put32(p + 8, message->date - message->date % 86400); /* sent, its day */
	mk_put32(p + MKSTORE_RECORD_SIZE, message->size);
	mk_put32(p + 16, message->header_size);
	mk_put32(p + 20, message->date); /* sent */
	mk_put32(p + 28, message->date); /* last updated */
	mk_put32(p + MKSTORE_RECORD_FLAGS, message->flags);
	mk_put32(p + 52, message->date); /* saved */
	memcpy(p + MKSTORE_RECORD_GUID, message->guid, SHA1_LEN);
	mk_put64(p + MKSTORE_RECORD_MODSEQ, mailbox->modseq);
	mk_put64(p + 96, mailbox->modseq); /* modseq of its creation */
	mk_put32(p + MKSTORE_RECORD_CRC, crc32_of(span_of(p, MKSTORE_RECORD_CRC)));
	mailbox->nr_buffered++;
	mailbox->nr_records++;
	return 0;
}

static uint32_t text_crc(const char *text)
{
	return crc32_of(span_of_str(text));
}

/*
 * Takes a message into the sync CRCs, with which Cyrus compares master and replica: sums of CRCs
 * of texts, over flags and GUID for the one, over virtual annotations for the other.
 */
static void add_sync_crcs(struct mkstore_mailbox *mailbox, const struct message *message)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} FLAGS[] = {
		{ MKSTORE_ANSWERED, "\\answered" }, { MKSTORE_FLAGGED, "\\flagged" },
		{ MKSTORE_DELETED, "\\deleted" },   { MKSTORE_DRAFT, "\\draft" },
		{ MKSTORE_SEEN, "\\seen" },
	};
	uint32_t flag_crc = 0;
	char guid[2 * SHA1_LEN + 1];
	char text[192];

	for (size_t i = 0; i < array_size(FLAGS); i++) {
		if (message->flags & FLAGS[i].bit)
			flag_crc ^= text_crc(FLAGS[i].name);
	}
	text_hex(message->guid, SHA1_LEN, guid);
	snprintf(text, sizeof(text), "%u %llu %u (%u) %u %s", message->uid,
		 (unsigned long long)mailbox->modseq, message->date, flag_crc, message->date, guid);
	mailbox->crc_basic ^= text_crc(text);

	snprintf(text, sizeof(text), "%u " ENTRY_PREFIX "savedate  %u", message->uid,
		 message->date);
	mailbox->crc_annot ^= text_crc(text);
	snprintf(text, sizeof(text), "%u " ENTRY_PREFIX "createdmodseq  %llu", message->uid,
		 (unsigned long long)mailbox->modseq);
	mailbox->crc_annot ^= text_crc(text);
}

static void count_message(struct mkstore_mailbox *mailbox, const struct message *message)
{
	if (message->flags & INDEX_FLAG_EXPUNGED) {
		if (!mailbox->first_expunged)
			mailbox->first_expunged = message->date;
		return;
	}
	mailbox->exists++;
	mailbox->quota_used += message->size;
	mailbox->answered += !!(message->flags & MKSTORE_ANSWERED);
	mailbox->flagged += !!(message->flags & MKSTORE_FLAGGED);
	mailbox->deleted += !!(message->flags & MKSTORE_DELETED);
	mailbox->unseen += !(message->flags & MKSTORE_SEEN);
	add_sync_crcs(mailbox, message);
}

static int reserve_text(struct mkstore *store, uint64_t size)
{
	if (size <= store->text_cap)
		return 0;
	uint64_t cap = max_of(size, store->text_cap * 2);
	free(store->text);
	store->text = malloc(cap);
	store->text_cap = store->text ? cap : 0;
	return store->text ? 0 : -ENOMEM;
}

/* Composes the text in store->text, and the message's sizes and GUID from it. */
static int compose_message(struct mkstore_mailbox *mailbox, uint64_t size,
			   struct message *message)
{
	struct mkstore *store = mailbox->store;
	struct mk_letter letter = {
		.seed = mk_seed(store->options.seed, SEED_BODY, store->nr_messages),
		.number = store->nr_messages,
		.date = message->date,
		.to = get_name(mailbox)->internal,
	};
	int r = reserve_text(store, size);

	if (r)
		return r;
	mk_letter_write(&letter, store->text, size, &message->header_size);
	message->size = (uint32_t)size;
	r = sha1_begin(store->sha1);
	if (!r)
		r = sha1_update(store->sha1, store->text, size);
	return r ? r : sha1_end(store->sha1, message->guid);
}

int mkstore_message(struct mkstore_mailbox *mailbox, uint32_t flags, uint64_t size,
		    uint32_t *ret_uid)
{
	struct mkstore *store = mailbox->store;
	struct message message = {
		.uid = mailbox->next_uid,
		.date = (uint32_t)(store->options.epoch + (int64_t)store->nr_messages),
		.flags = flags,
	};
	char leaf[16];

	if (size == MKSTORE_SIZE_DRAWN)
		size = mk_letter_draw_size(&store->options, &store->size_random);
	if (size > MAX_MESSAGE_LEN)
		return -EFBIG;
	if (mailbox->next_uid == UINT32_MAX)
		return -EOVERFLOW;
	int r = compose_message(mailbox, size, &message);
	if (r)
		return r;
	if (!(flags & INDEX_FLAG_UNLINKED)) {
		snprintf(leaf, sizeof(leaf), "%u.", message.uid);
		r = create_file(mailbox->dir_fd, leaf, store->text, size, message.date);
		if (r)
			return r;
		store->totals.files++;
		store->totals.bytes += size;
	}

	mailbox->modseq++;
	r = append_record(mailbox, &message);
	if (r)
		return r;
	count_message(mailbox, &message);
	mailbox->last_date = message.date;
	mailbox->next_uid++;
	store->nr_messages++;
	if (ret_uid)
		*ret_uid = message.uid;
	return 0;
}

void mkstore_skip_uids(struct mkstore_mailbox *mailbox, uint32_t count)
{
	mailbox->next_uid += min_of(count, UINT32_MAX - mailbox->next_uid);
}

static int write_index_header(struct mkstore_mailbox *mailbox)
{
	uint32_t created = get_name(mailbox)->uidvalidity;
	uint8_t p[MKSTORE_HEADER_LEN] = { 0 };

	mk_put32(p + MKSTORE_HEADER_GENERATION, 1);
	mk_put32(p + MKSTORE_HEADER_VERSION, INDEX_VERSION);
	mk_put32(p + MKSTORE_HEADER_START_OFFSET, MKSTORE_HEADER_LEN);
	mk_put32(p + MKSTORE_HEADER_RECORD_SIZE, MKSTORE_RECORD_LEN);
	mk_put32(p + MKSTORE_HEADER_NR_RECORDS, mailbox->nr_records);
	mk_put32(p + 24, mailbox->last_date); /* last append */
	mk_put32(p + MKSTORE_HEADER_LAST_UID, mailbox->next_uid - 1);
	mk_put64(p + 32, mailbox->quota_used);
	mk_put32(p + MKSTORE_HEADER_UIDVALIDITY, created);
	mk_put32(p + 48, mailbox->deleted);
	mk_put32(p + 52, mailbox->answered);
	mk_put32(p + 56, mailbox->flagged);
	mk_put32(p + MKSTORE_HEADER_OPTIONS, OPTION_POP3_NEW_UIDL);
	mk_put64(p + 68, mailbox->modseq); /* highest */
	mk_put32(p + MKSTORE_HEADER_EXISTS, mailbox->exists);
	mk_put32(p + 88, mailbox->first_expunged);
	mk_put32(p + 92, created); /* last repack */
	mk_put32(p + MKSTORE_HEADER_FILE_CRC, mailbox->header_file_crc);
	mk_put32(p + MKSTORE_HEADER_SYNC_BASIC, mailbox->crc_basic);
	mk_put32(p + 120, mailbox->crc_annot);
	mk_put32(p + 124, mailbox->unseen);
	mk_put64(p + 128, 1);	    /* modseq of its creation */
	mk_put32(p + 136, created); /* epoch of changes */
	mk_put32(p + MKSTORE_HEADER_CRC, crc32_of(span_of(p, MKSTORE_HEADER_CRC)));
	return mk_write(mailbox->index_fd, p, sizeof(p), 0);
}

int mkstore_mailbox_end(struct mkstore_mailbox *mailbox)
{
	struct timespec times[2] = { { .tv_sec = mailbox->last_date },
				     { .tv_sec = mailbox->last_date } };
	int r = flush_records(mailbox);

	if (!r)
		r = write_index_header(mailbox);
	if (!r && futimens(mailbox->index_fd, times))
		r = -errno;
	if (!r)
		mailbox->store->totals.mailboxes++;
	mk_mailbox_drop(mailbox);
	return r;
}
