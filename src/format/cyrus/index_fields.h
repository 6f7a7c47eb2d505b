/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of each version of cyrus.index, for the parser: how long headers and records are, and
 * which fields they have. Whoever only wants the fields asks index_header_fields() and
 * index_record_fields().
 */
#ifndef FORMAT_CYRUS_INDEX_FIELDS_H
#define FORMAT_CYRUS_INDEX_FIELDS_H

#include "format/cyrus/index.h"

struct index_shape {
	uint32_t header_len;		  /* bytes */
	uint32_t record_len;		  /* bytes */
	const struct index_field *header; /* NULL: this version is recognised and not read */
	const struct index_field *record;
	size_t nr_header, nr_record;
};

/* NULL for a version that never was, or is not known yet. */
const struct index_shape *index_shape_of(uint32_t version);

#endif
