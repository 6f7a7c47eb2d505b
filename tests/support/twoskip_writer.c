// SPDX-License-Identifier: Apache-2.0
/*
 * A twoskip file is a skip list laid out in a log. Each record has pointers to records behind it;
 * since keys come in order, those are all still to be written. A head is therefore kept in memory
 * until every list it is the tail of has moved on, and is then written into the hole left for it:
 *
 *	[file header][dummy][+ key value][+ key value]...[$]
 *	                 `----->`------------>		level 0
 *	                 `------------------->		level 1
 *
 * The invariant: tails[i] is the last record of list i, and a head is on disk exactly when it is
 * the tail of no list.
 */
#include "support/twoskip_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "support/mkstore_parts.h"

#define HEADER_LEN 64u
#define MAX_LEVEL 31u	       /* of the dummy record */
#define NR_LISTS MAX_LEVEL     /* level L takes part in lists 0..L-1 and has L + 1 pointers */
#define BLOCK_LEN 512u	       /* no head may lie across a multiple of this */
#define MAX_KEY_LEN 0xfffeu    /* bytes; 0xffff would announce a long length */
#define MAX_VALUE_LEN 0x1000000u

static const uint8_t MAGIC[20] = "\xa1\x02\x8b\x0dtwoskip file";
static const uint8_t BLANK[8] = " BLANK\x07\xa0";

struct head {
	uint64_t off;
	uint64_t next[MAX_LEVEL + 1];
	uint32_t value_len;
	uint32_t tail_crc;
	uint16_t key_len;
	uint8_t level;
	char type;
	unsigned nr_lists; /* how many lists it is the tail of; 0: slot is free */
};

struct twoskip_writer {
	int fd;
	uint64_t random;
	enum db_order order;
	uint64_t end; /* where the next record goes */
	uint64_t nr_records;
	struct head *tails[NR_LISTS];
	struct head heads[NR_LISTS + 1]; /* one for each list, one for the newcomer */
	struct buf last_key;
	struct buf body; /* key, value and padding of the newcomer */
};

static uint64_t head_len(const struct head *head)
{
	return 8 + 8 * ((uint64_t)head->level + 1) + 8;
}

static int write_head(struct twoskip_writer *writer, const struct head *head)
{
	uint8_t bytes[8 + 8 * (MAX_LEVEL + 1) + 8];
	size_t len = 8;

	bytes[0] = (uint8_t)head->type;
	bytes[1] = head->level;
	bytes[2] = (uint8_t)(head->key_len >> 8);
	bytes[3] = (uint8_t)head->key_len;
	mk_put32(bytes + 4, head->value_len);
	for (unsigned i = 0; i <= head->level; i++, len += 8)
		mk_put64(bytes + len, head->next[i]);
	mk_put32(bytes + len, crc32_of(span_of(bytes, len)));
	mk_put32(bytes + len + 4, head->tail_crc);
	return mk_write(writer->fd, bytes, len + 8, head->off);
}

/* Fills up to the next block with blanks when the head would lie across its edge. */
static int reserve_head(struct twoskip_writer *writer, struct head *head)
{
	uint64_t left = BLOCK_LEN - writer->end % BLOCK_LEN;

	if (head_len(head) > left) {
		for (; left; left -= sizeof(BLANK), writer->end += sizeof(BLANK)) {
			int r = mk_write(writer->fd, BLANK, sizeof(BLANK), writer->end);
			if (r)
				return r;
		}
	}
	head->off = writer->end;
	writer->end += head_len(head);
	return 0;
}

/* List `list` ends: its tail is written if that was the last list to hold it back. */
static int release_tail(struct twoskip_writer *writer, unsigned list)
{
	struct head *head = take(writer->tails[list]);

	if (--head->nr_lists)
		return 0;
	return write_head(writer, head);
}

/* Makes `head` the tail of the lists of its level. */
static int link_head(struct twoskip_writer *writer, struct head *head)
{
	for (unsigned i = 0; i < head->level; i++) {
		if (writer->tails[i]) {
			/* List 0 has two slots; Cyrus writes now the one, now the other. */
			unsigned slot = i ? i + 1 : (unsigned)(mk_random(&writer->random) & 1);
			writer->tails[i]->next[slot] = head->off;
			int r = release_tail(writer, i);
			if (r)
				return r;
		}
		writer->tails[i] = head;
		head->nr_lists++;
	}
	return 0;
}

static struct head *find_free_head(struct twoskip_writer *writer)
{
	for (size_t i = 0; i < array_size(writer->heads); i++) {
		if (!writer->heads[i].nr_lists)
			return &writer->heads[i];
	}
	return NULL; /* cannot be: each of NR_LISTS lists holds one at most */
}

static uint8_t draw_level(struct twoskip_writer *writer)
{
	uint64_t bits = mk_random(&writer->random) | UINT64_C(1) << (MAX_LEVEL - 1);

	return (uint8_t)(1 + __builtin_ctzll(bits));
}

int twoskip_writer_new(const char *path, uint64_t seed, struct twoskip_writer **ret_writer)
{
	struct twoskip_writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	writer->random = seed;
	writer->end = HEADER_LEN;
	writer->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (writer->fd < 0) {
		r = -errno;
	} else {
		struct head *dummy = &writer->heads[0];
		dummy->type = '=';
		dummy->level = MAX_LEVEL;
		r = reserve_head(writer, dummy);
		if (!r)
			r = link_head(writer, dummy);
	}
	if (r) {
		twoskip_writer_free(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

void twoskip_writer_set_order(struct twoskip_writer *writer, enum db_order order)
{
	writer->order = order;
}

int twoskip_writer_add(struct twoskip_writer *writer, struct span key, struct span value)
{
	if (key.len > MAX_KEY_LEN || value.len > MAX_VALUE_LEN)
		return -EFBIG;
	if (writer->nr_records) {
		int order = db_order_compare(writer->order, buf_span(&writer->last_key), key);
		if (order >= 0)
			return order ? -EINVAL : -EEXIST;
	}

	buf_clear(&writer->body);
	buf_add_span(&writer->body, key);
	buf_add_span(&writer->body, value);
	while (writer->body.len % 8 && !writer->body.failed)
		buf_add_char(&writer->body, '\0');
	buf_clear(&writer->last_key);
	buf_add_span(&writer->last_key, key);
	if (buf_error(&writer->body) || buf_error(&writer->last_key))
		return -ENOMEM;

	struct head *head = find_free_head(writer);
	if (!head)
		return -ENOSPC;
	*head = (struct head){
		.type = '+',
		.level = draw_level(writer),
		.key_len = (uint16_t)key.len,
		.value_len = (uint32_t)value.len,
		.tail_crc = writer->body.len ? crc32_of(buf_span(&writer->body)) : 0,
	};
	int r = reserve_head(writer, head);
	if (!r)
		r = mk_write(writer->fd, buf_str(&writer->body), writer->body.len, writer->end);
	if (r)
		return r;
	writer->end += writer->body.len;
	writer->nr_records++;
	return link_head(writer, head);
}

int twoskip_writer_commit(struct twoskip_writer *writer)
{
	uint8_t header[HEADER_LEN] = { 0 };
	struct head commit = { .type = '$' };
	int r;

	for (unsigned i = 0; i < NR_LISTS; i++) {
		r = release_tail(writer, i);
		if (r)
			return r;
	}

	struct head dummy = { .level = MAX_LEVEL };
	commit.next[0] = HEADER_LEN + head_len(&dummy);
	r = reserve_head(writer, &commit);
	if (!r)
		r = write_head(writer, &commit);
	if (r)
		return r;

	memcpy(header, MAGIC, sizeof(MAGIC));
	mk_put32(header + 20, 1);		    /* version */
	mk_put64(header + 24, 2);		    /* generation: repacked once */
	mk_put64(header + 32, writer->nr_records);
	mk_put64(header + 40, commit.off);	    /* size after the last repack */
	mk_put64(header + 48, writer->end);	    /* current size */
	mk_put32(header + 56, 0);		    /* flags: clean */
	mk_put32(header + 60, crc32_of(span_of(header, 60)));
	return mk_write(writer->fd, header, sizeof(header), 0);
}

void twoskip_writer_free(struct twoskip_writer *writer)
{
	if (!writer)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	buf_fini(&writer->last_key);
	buf_fini(&writer->body);
	free(writer);
}
