/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cyrus.index: a header and one fixed-size record a message, each closed by a CRC-32 over all that
 * precedes it. Versions 12 to 19 are known here, which have that shape; the fields read are those
 * that say which message files must exist and what is in them. Big-endian throughout, 64-bit
 * fields unaligned. Source: offsets confirmed on files written by 3.6.1 (12-17), and by the source
 * of 3.6 to 3.12 (18, 19).
 */
#ifndef FORMAT_CYRUS_INDEX_H
#define FORMAT_CYRUS_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define INDEX_HEADER_MAX 160 /* bytes, the longest header of the known versions */
#define INDEX_RECORD_MAX 112 /* bytes, the longest record */
#define INDEX_GUID_LEN 20    /* bytes: SHA-1 of the message file */

/* Flag bits of a record. */
#define INDEX_FLAG_ARCHIVED 0x20000000u
#define INDEX_FLAG_UNLINKED 0x40000000u
#define INDEX_FLAG_EXPUNGED 0x80000000u

/* Option bits of the header. */
#define INDEX_OPTION_DELETED 0x80000000u

struct index_header {
	uint32_t generation;
	uint32_t version; /* minor version */
	uint32_t start_offset; /* bytes */
	uint32_t record_size;  /* bytes */
	uint32_t nr_records;
	uint32_t last_uid;
	uint32_t uidvalidity;
	uint32_t exists;
	uint32_t options;
	uint64_t quota_used; /* bytes of messages that are not expunged */
	uint64_t highestmodseq;
	uint64_t deletedmodseq;
	uint32_t header_file_crc; /* of cyrus.header; 0: not recorded */
	uint32_t sync_crc_basic;
	uint32_t sync_crc_annot;
};

/*
 * Bytes of the header that a reader needs before it knows the version: INDEX_HEADER_MAX, or fewer
 * at the end of a short file. 0; INDEX_UNKNOWN_VERSION: plausible but not one of ours
 * (ret_header->version is set); -ERANGE: shorter than its own header; -EBADMSG: the CRC or a size
 * is wrong. Unless the result is 0, ret_header holds what could be read, for a message, and zeros;
 * none of it may be relied on.
 */
enum { INDEX_UNKNOWN_VERSION = 1 };
int index_parse_header(struct span bytes, struct index_header *ret_header) must_check;

struct index_record {
	uint32_t uid; /* 0: a slot wiped by reconstruct */
	uint32_t internaldate; /* seconds since the epoch */
	uint32_t size;	       /* bytes of the message file */
	uint32_t flags;	       /* INDEX_FLAG_* and the system flags */
	uint8_t guid[INDEX_GUID_LEN];
	uint64_t modseq;
};

/*
 * One record: `bytes` is exactly header->record_size long. 0; -EBADMSG: the CRC is wrong
 * (*ret_record holds the fields as read, none of which may be trusted); -ERANGE: of another length,
 * or under a header that was not parsed with result 0.
 */
int index_parse_record(const struct index_header *header, struct span bytes,
		       struct index_record *ret_record) must_check;

/*
 * Looks for the one flipped bit that explains a failed record CRC: true when flipping bit
 * *ret_bit (0 = lowest) of byte *ret_byte makes the CRC right. Among records of this length a
 * single-bit error is always found and never ambiguous (the CRC has distance 4 there).
 */
bool index_find_flipped_bit(const struct index_header *header, struct span bytes,
			    uint32_t *ret_byte, uint32_t *ret_bit);

/* The name of the record field at a byte offset, for messages: "uid", "size", "guid", "crc"... */
const char *index_field_name(const struct index_header *header, uint32_t byte);

#endif
