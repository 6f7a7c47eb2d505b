// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes annotations: one byte for the length of the key, the key, the value. What comes out lies
 * in order inside what went in, and says all of the key; the sync CRC follows from it alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "digest/digest.h"
#include "format/cyrus/annotation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_key(struct span key, const struct annotation *a)
{
	require(a->scope.data == key.data);
	require(a->entry.data == a->scope.data + a->scope.len + 1 && a->entry.len > 0);
	require(a->userid.data == a->entry.data + a->entry.len + 1);
	require(a->scope.len + a->entry.len + a->userid.len + 3 == key.len);
	if (a->uid) {
		struct buf uid = BUF_NULL;
		buf_addf(&uid, "%u", a->uid);
		require(span_equals(buf_span(&uid), a->scope));
		buf_fini(&uid);
	}
}

static void check_value(struct span value, const struct annotation *a)
{
	/* An empty text is nowhere, a content type is always somewhere. */
	uint64_t word = (uint64_t)(a->content_type.data - value.data) - 1 - a->value.len;
	uint64_t used = word + a->value.len + 1 + a->content_type.len + 1 + word;

	require(word == 4 || word == 8);
	require(a->value.len == 0 || a->value.data == value.data + word);
	require(used == value.len || used + 9 == value.len);
	require(span_find(a->content_type, '\0') == a->content_type.len);
	if (used == value.len)
		require(a->modseq == 0 && !a->deleted);
}

static void check_crc(const struct annotation *a)
{
	struct span owner = span_of_str("o w");
	uint32_t crc = annotation_sync_crc(a, 12, owner);
	struct buf text = BUF_NULL;
	bool is_owner = span_equals_str(a->userid, ANNOTATION_OWNER);

	buf_addf(&text, "%u ", a->uid);
	buf_add_span(&text, a->entry);
	buf_add_char(&text, ' ');
	buf_add_span(&text, is_owner ? owner : a->userid);
	buf_add_char(&text, ' ');
	buf_add_span(&text, a->value);
	if (a->uid == 0 || a->deleted || a->value.len == 0)
		require(crc == 0);
	else
		require(crc == crc32_of(buf_span(&text)));
	for (uint32_t version = 13; version <= 20; version++) {
		uint32_t other = annotation_sync_crc(a, version, owner);
		require(other == crc || other == 0);
	}
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct annotation a;

	if (size == 0)
		return 0;
	size_t key_len = data[0] < size ? data[0] : size - 1;
	struct span key = span_of(data + 1, key_len);
	struct span value = span_of(data + 1 + key_len, size - 1 - key_len);
	int r = annotation_parse(key, value, &a);
	require(r == 0 || r == -EBADMSG);
	if (r)
		return 0;
	check_key(key, &a);
	check_value(value, &a);
	check_crc(&a);
	return 0;
}
