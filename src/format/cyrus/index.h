/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cyrus.index: a header and one fixed-size record a message. Versions 9 to 20 are read. Since
 * version 12 header and records are each closed by a CRC-32 over all that precedes it; before, a
 * record is believed as it stands. Since version 10 records hold the SHA-1 of their message.
 * Big-endian throughout, 64-bit fields unaligned.
 *
 * Source: offsets confirmed on files written by 3.6.1 (9 to 17), and by the source of 3.6 to 3.13
 * (18 to 20). Version 11 was never released.
 */
#ifndef FORMAT_CYRUS_INDEX_H
#define FORMAT_CYRUS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define INDEX_HEADER_MAX 192 /* bytes, the longest header of the known versions */
#define INDEX_RECORD_MAX 144 /* bytes, the longest record */
#define INDEX_GUID_LEN 20    /* bytes: SHA-1 of the message file */
#define INDEX_USER_FLAGS 128 /* bits of struct index_record.user_flags */

/* Flag bits of a record. */
#define INDEX_FLAG_ANSWERED 0x00000001u
#define INDEX_FLAG_FLAGGED 0x00000002u
#define INDEX_FLAG_DELETED 0x00000004u
#define INDEX_FLAG_DRAFT 0x00000008u
#define INDEX_FLAG_SEEN 0x00000010u
#define INDEX_FLAG_SNOOZED 0x04000000u
#define INDEX_FLAG_SPLIT 0x08000000u
#define INDEX_FLAG_NEEDS_CLEANUP 0x10000000u /* a copy of its file is still to be removed */
#define INDEX_FLAG_ARCHIVED 0x20000000u
#define INDEX_FLAG_UNLINKED 0x40000000u
#define INDEX_FLAG_EXPUNGED 0x80000000u

/* Option bits of the header. */
#define INDEX_OPTION_POP3_NEW_UIDL 0x00000001u
#define INDEX_OPTION_SHARED_SEEN 0x00000004u
#define INDEX_OPTION_DUPLICATE_DELIVERY 0x00000008u
#define INDEX_OPTION_ALARMS 0x00000010u
#define INDEX_OPTION_NEEDS_UNLINK 0x20000000u
#define INDEX_OPTION_NEEDS_REPACK 0x40000000u
#define INDEX_OPTION_DELETED 0x80000000u

/* Times are since the epoch, 0 for never. A field that the version has not is 0. */
struct index_header { /* of each field: since which version */
	uint32_t generation;
	uint32_t format;
	uint32_t version;      /* minor version */
	uint32_t start_offset; /* bytes */
	uint32_t record_size;  /* bytes */
	uint32_t nr_records;
	uint32_t last_uid;
	uint32_t uidvalidity;
	int64_t last_append_ns;
	int64_t pop3_last_login_ns;
	int64_t pop3_show_after_ns; /* 13 */
	uint32_t exists; /* 12; before: nr_records, though 3.6 writes expunged ones there */
	uint32_t answered, flagged, deleted;
	uint32_t unseen; /* 14 */
	uint32_t options;
	uint32_t leaked_cache_records;
	uint64_t quota_used;	      /* bytes of messages that are not expunged */
	uint64_t quota_deleted_used;  /* 18; bytes of those of them that have \Deleted */
	uint64_t quota_expunged_used; /* 18; bytes of expunged ones that are not unlinked */
	uint64_t quota_annot_used;    /* 13 */
	uint64_t highestmodseq;
	uint64_t deletedmodseq;	   /* 12 */
	uint64_t createdmodseq;	   /* 16 */
	int64_t first_expunged_ns; /* 12 */
	int64_t last_repack_ns;	   /* 12 */
	int64_t changes_epoch_ns;  /* 17 */
	uint32_t recentuid;	   /* 12 */
	int64_t recenttime_ns;	   /* 12 */
	uint32_t header_file_crc;  /* 12; of cyrus.header; 0: not recorded */
	uint32_t sync_crc_basic;   /* 12 */
	uint32_t sync_crc_annot;   /* 13 */
};

/*
 * Bytes of the header that a reader needs before it knows the version: INDEX_HEADER_MAX, or fewer
 * at the end of a short file. 0; INDEX_UNKNOWN_VERSION: plausible but not one of ours
 * (ret_header->version is set); -ERANGE: shorter than its own header; -EBADMSG: the CRC or a size
 * is wrong. Unless the result is 0, ret_header holds what could be read, for a message, and zeros;
 * none of it may be relied on.
 *
 * A header without a CRC (9, 10) is believed when its lengths are those of its version, as Cyrus
 * believes it; a format other than 0 makes it INDEX_UNKNOWN_VERSION. One of version 19 before
 * records of version 20, which development versions wrote, is INDEX_UNKNOWN_VERSION too.
 */
enum { INDEX_UNKNOWN_VERSION = 1 };
int index_parse_header(struct span bytes, struct index_header *ret_header) must_check;

/* What a version can prove. */
static inline bool index_has_crcs(const struct index_header *header)
{
	return header->version >= 12;
}

static inline bool index_has_guids(const struct index_header *header)
{
	return header->version >= 10;
}

struct index_record {
	uint32_t uid;	      /* 0: a slot wiped by reconstruct */
	uint32_t header_size; /* bytes of the message up to and with the empty line */
	uint64_t size;	      /* bytes of the message file */
	int64_t internaldate_ns;
	int64_t sentdate_ns;
	int64_t gmtime_ns;	 /* since 12 */
	uint32_t content_offset; /* before 12: header_size again */
	int64_t last_updated_ns;
	int64_t savedate_ns;	/* since 15 */
	uint32_t content_lines; /* before 15 */
	uint32_t flags;		/* INDEX_FLAG_* */
	uint32_t user_flags[4]; /* flag i is bit i % 32 of word i / 32 */
	uint64_t cache_offset;	/* bytes; 0: no cache record */
	uint32_t cache_version;
	uint32_t cache_crc;	      /* since 12; 0: not recorded */
	uint8_t guid[INDEX_GUID_LEN]; /* since 10; zeros: never computed */
	uint64_t modseq;
	uint64_t createdmodseq; /* since 16 */
	uint64_t cid;		/* since 13 */
	uint64_t basecid;	/* since 20 */
};

/*
 * One record: `bytes` is exactly header->record_size long. 0; -EBADMSG: the CRC is wrong
 * (*ret_record holds the fields as read, none of which may be trusted); -ERANGE: of another length,
 * or under a header that was not parsed with result 0. Without CRCs (index_has_crcs) the result is
 * 0 for any content.
 */
int index_parse_record(const struct index_header *header, struct span bytes,
		       struct index_record *ret_record) must_check;

/*
 * Looks for the one flipped bit that explains a failed record CRC: true when flipping bit
 * *ret_bit (0 = lowest) of byte *ret_byte makes the CRC right. Among records of this length a
 * single-bit error is always found and never ambiguous (the CRC has distance 4 there). False for
 * any record without a CRC.
 */
bool index_find_flipped_bit(const struct index_header *header, struct span bytes,
			    uint32_t *ret_byte, uint32_t *ret_bit);

/* ---- every field of every version, for people, and for tests that damage each ---- */

enum index_field_kind {
	INDEX_FIELD_NUMBER,
	INDEX_FIELD_TIME,    /* seconds since the epoch */
	INDEX_FIELD_TIME_NS, /* nanoseconds since the epoch */
	INDEX_FIELD_BITS,
	INDEX_FIELD_GUID,
	INDEX_FIELD_CRC,
	INDEX_FIELD_OPAQUE, /* bytes that nobody reads any more */
	INDEX_FIELD_SPARE,  /* written as zeros */
};

struct index_field {
	const char *name; /* as in the structures above, without the unit */
	uint16_t off;	  /* bytes */
	uint16_t len;	  /* bytes */
	enum index_field_kind kind;
	uint16_t member;     /* where in the structure above it is kept: offset and */
	uint16_t member_len; /* length in bytes; 0: it is not kept */
};

/*
 * The fields of a header or record of `version` in the order of their offsets, without a hole and
 * without overlap. NULL and 0 for a version that is not read.
 */
const struct index_field *index_header_fields(uint32_t version, size_t *ret_nr);
const struct index_field *index_record_fields(uint32_t version, size_t *ret_nr);

/*
 * The name of the record field at a byte offset, for messages: "uid", "size", "guid", "crc"...
 * "outside" beyond the record, and of a version that is not read.
 */
const char *index_field_name(const struct index_header *header, uint32_t byte);

#endif
