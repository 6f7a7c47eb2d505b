/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of an annotation database: of messages (cyrus.annotations of a mailbox, key UID), or
 * of mailboxes and the server (annotations.db, key unique id, before 3.6 name, "" for the
 * server). Source: real files of 3.6.1 on 64-bit hosts; other word sizes and older records by the
 * source of 2.3 to 3.13.
 */
#ifndef FORMAT_CYRUS_ANNOTATION_H
#define FORMAT_CYRUS_ANNOTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

/* Stands for the owner of the mailbox in keys, since 3.6. */
#define ANNOTATION_OWNER "[.OwNeR.]"

struct annotation {
	struct span scope; /* borrowed, as all: UID, unique id, name or "" */
	uint32_t uid; /* 0: the scope is no UID (but the name of a mailbox may look like one) */
	struct span entry;  /* "/comment" */
	struct span userid; /* empty: shared */
	struct span value;
	struct span content_type; /* may be empty */
	uint64_t modseq;	  /* 0 where there is none */
	bool deleted;		  /* a tombstone */
};

/*
 * 0, or -EBADMSG: key or value are outside the format. Records of hosts of 32 or 64 bits and of
 * either byte order are read, and those of before 3.1, which end without modseq and flags.
 */
int annotation_parse(struct span key, struct span value,
		     struct annotation *ret_annotation) must_check;

/*
 * What the annotation adds to the sync CRC of its mailbox: 0 where it adds nothing (a tombstone,
 * an empty value, no message, an entry that index `version` holds itself). `owner` stands for
 * ANNOTATION_OWNER. Version 12 stores no such CRC.
 */
uint32_t annotation_sync_crc(const struct annotation *annotation, uint32_t version,
			     struct span owner);

#endif
