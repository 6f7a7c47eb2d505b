// SPDX-License-Identifier: Apache-2.0
/*
 * A value begins with the length of its text as an unsigned long that was turned into network
 * order as 32 bits: how many bytes that takes, and where the 32 bits stand in it, is left to the
 * host that wrote. The record does not say which; but one reading alone makes lengths, NULs and
 * the end of the record meet, but for texts of NULs that nobody writes.
 *
 *   length | text NUL | content type NUL | time, as long as the length | modseq 8 | flags 1
 *
 * The last two came with 3.1. Content type and time are written for older releases; since 2.5
 * nothing reads them.
 */
#include "format/cyrus/annotation.h"

#include <errno.h>
#include <stdio.h>

#include "digest/digest.h"

#define FLAG_DELETED 0x01

/* Where the length stands on a kind of host. */
struct host {
	uint8_t word;	  /* bytes of an unsigned long */
	uint8_t len_at;	  /* where the 32 bits stand in it; the others are zero */
	uint8_t zeros_at; /* the others, where there are any */
};

static const struct host hosts[] = {
	{ 8, 0, 4 }, /* 64 bits, little-endian */
	{ 4, 0, 0 }, /* 32 bits, of either order */
	{ 8, 4, 0 }, /* 64 bits, big-endian */
};

static struct span span_from(struct span s, uint64_t off)
{
	return off < s.len ? span_of(s.data + off, s.len - off) : SPAN_NULL;
}

/* Takes the bytes up to the next NUL, and the NUL, off the front of `s`. */
static bool string_next(struct span *s, struct span *ret_text)
{
	uint64_t len = span_find(*s, '\0');

	if (len == s->len)
		return false;
	*ret_text = span_of(s->data, len);
	*s = span_from(*s, len + 1);
	return true;
}

/* A UID as it is written: no leading zero, no sign. */
static uint32_t uid_of(struct span scope)
{
	uint64_t uid;

	if (scope.len == 0 || scope.data[0] == '0' || span_parse_u64(scope, UINT32_MAX, &uid))
		return 0;
	return (uint32_t)uid;
}

static int key_parse(struct span key, struct annotation *annotation)
{
	if (!string_next(&key, &annotation->scope) || !string_next(&key, &annotation->entry) ||
	    !string_next(&key, &annotation->userid) || key.len || annotation->entry.len == 0)
		return -EBADMSG;
	annotation->uid = uid_of(annotation->scope);
	return 0;
}

/* Modseq and flags, where the record has them. */
static int state_parse(struct span state, struct annotation *annotation)
{
	if (state.len == 0)
		return 0;
	if (state.len != 9 || span_be64(state, 0, &annotation->modseq))
		return -EBADMSG;
	annotation->deleted = state.data[8] & FLAG_DELETED;
	return 0;
}

/* The text at the front of a value, if a host of this kind wrote it. */
static int text_parse(struct span value, const struct host *host, struct span *ret_text)
{
	uint32_t len, zeros = 0;

	if (span_be32(value, host->len_at, &len))
		return -EBADMSG;
	if (host->word == 8 && span_be32(value, host->zeros_at, &zeros))
		return -EBADMSG;
	return zeros || span_sub(value, host->word, len, ret_text) ? -EBADMSG : 0;
}

static int value_parse(struct span value, const struct host *host, struct annotation *annotation)
{
	struct span rest, text, nothing;

	if (text_parse(value, host, &text))
		return -EBADMSG;
	rest = span_from(value, host->word + text.len);
	/* The NUL behind the text is the first that counts: the text may hold some. */
	if (!string_next(&rest, &nothing) || nothing.len ||
	    !string_next(&rest, &annotation->content_type) || rest.len < host->word)
		return -EBADMSG;
	/* Zeros alone would look like an empty text to any host. */
	if (text.len == 0 && annotation->content_type.len == 0)
		return -EBADMSG;
	annotation->value = text;
	return state_parse(span_from(rest, host->word), annotation);
}

int annotation_parse(struct span key, struct span value, struct annotation *ret_annotation)
{
	*ret_annotation = (struct annotation){ 0 };
	if (key_parse(key, ret_annotation))
		return -EBADMSG;
	for (size_t i = 0; i < array_size(hosts); i++)
		if (value_parse(value, &hosts[i], ret_annotation) == 0)
			return 0;
	return -EBADMSG;
}

/* Do records of this version hold the entry themselves, so that it is counted from there? */
static bool entry_is_virtual(struct span entry, uint32_t version)
{
	static const struct {
		const char *name;
		uint32_t since;
	} names[] = {
		{ "/vendor/cmu/cyrus-imapd/thrid", 13 },
		{ "/vendor/cmu/cyrus-imapd/savedate", 15 },
		{ "/vendor/cmu/cyrus-imapd/createdmodseq", 16 },
		{ "/vendor/cmu/cyrus-imapd/internaldate.nsec", 20 },
		{ "/vendor/cmu/cyrus-imapd/basethrid", 20 },
	};

	for (size_t i = 0; i < array_size(names); i++)
		if (version >= names[i].since && span_equals_str(entry, names[i].name))
			return true;
	return false;
}

uint32_t annotation_sync_crc(const struct annotation *annotation, uint32_t version,
			     struct span owner)
{
	bool is_owner = span_equals_str(annotation->userid, ANNOTATION_OWNER);
	char uid[sizeof("4294967295 ")];
	uint32_t crc;

	if (annotation->uid == 0 || annotation->deleted || annotation->value.len == 0 ||
	    entry_is_virtual(annotation->entry, version))
		return 0;
	(void)snprintf(uid, sizeof(uid), "%u ", annotation->uid);
	crc = crc32_of(span_of_str(uid));
	crc = crc32_with(crc, annotation->entry);
	crc = crc32_with(crc, span_of_str(" "));
	crc = crc32_with(crc, is_owner ? owner : annotation->userid);
	crc = crc32_with(crc, span_of_str(" "));
	return crc32_with(crc, annotation->value);
}
