/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the walk and the check of twoskip share: records as they stand in the file. Not for others.
 */
#ifndef FORMAT_CYRUS_TWOSKIP_RECORD_H
#define FORMAT_CYRUS_TWOSKIP_RECORD_H

#include "format/cyrus/twoskip.h"

#define TWOSKIP_DUMMY_OFF 64 /* bytes; the record that all pointers start from */
#define TWOSKIP_DATA_OFF 336 /* bytes; behind the dummy and its 32 pointers */
#define TWOSKIP_LEVEL_MAX 31 /* of the dummy, and of any record */

enum twoskip_type {
	TWOSKIP_DUMMY = '=',
	TWOSKIP_PAIR = '+',
	TWOSKIP_DELETE = '-',
	TWOSKIP_COMMIT = '$',
	TWOSKIP_BLANK = ' ', /* a word of filler */
};

struct twoskip_head {
	uint8_t type;
	uint8_t level;
	uint64_t key_len;
	uint64_t value_len;
	uint64_t len;	   /* bytes of the head, with its CRCs; 0: it could not be parsed */
	uint64_t tail_len; /* bytes of key, value and padding */
	/*
	 * Two candidates for the successor, then one pointer a level; DELETE and COMMIT have one.
	 */
	uint64_t next[TWOSKIP_LEVEL_MAX + 1];
	uint32_t tail_crc;
};

/*
 * Reads the record at `off`, its key and value to db->record; what looks wrong is read again.
 * -EBADMSG: it stays wrong, and nobody has yet asked whether the file changed; or the errno of a
 * read.
 */
int twoskip_read_record(struct twoskip *db, uint64_t off, struct twoskip_head *ret_head) must_check;

/* The header as it is now. A torn read is tried again. Errors as twoskip_parse_header. */
int twoskip_read_header(struct source *src, struct twoskip_header *ret_header) must_check;

/* Any transaction, begun, committed or undone since, shows. */
bool twoskip_header_equals(const struct twoskip_header *a, const struct twoskip_header *b);

/* What something wrong in the file means: -EBADMSG, -EAGAIN or the errno of a read. */
int twoskip_judge(struct twoskip *db) must_check;

/* As twoskip_next; *ret_head and *ret_off are of the record that was handed out. */
int twoskip_next_head(struct twoskip *db, struct twoskip_head *ret_head,
		      uint64_t *ret_off) must_check;

/* As twoskip_check, but what looks wrong is not checked again, and nothing is waited for. */
int twoskip_check_once(struct source *src, enum db_order order, uint64_t *ret_off) must_check;

#endif
