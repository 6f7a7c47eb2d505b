// SPDX-License-Identifier: Apache-2.0
/*
 * An entry comes out whole or not at all: whatever in a record could change which files a mailbox
 * has (its type, its partition, its ids) must be understood, or the record is refused. What only
 * describes the mailbox (modseqs, history, rights) is skipped or kept as text.
 *
 * Records of releases before 3.6 carry their name as the whole key. They are told by what 3.6
 * always writes and those never did: a key letter with its payload, and a type that begins with
 * the class of the mailbox.
 */
#include "format/cyrus/mboxlist.h"

#include <errno.h>
#include <string.h>

#include "format/cyrus/dlist.h"

#define DB_DOMAIN_END 0x1d
#define DB_FIELD_END 0x1e
#define DB_SEPARATOR 0x1f

#define STAMP_LEN 8 /* hex digits: the time of a deletion, as a mailbox name ends in it */

static bool byte_is_one_of(uint8_t c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

void mailbox_entry_fini(struct mailbox_entry *entry)
{
	buf_fini(&entry->name);
	buf_fini(&entry->unique_id);
	buf_fini(&entry->partition);
	buf_fini(&entry->acl);
	*entry = MAILBOX_ENTRY_NULL;
}

/* Forgets the content and keeps the memory of the four buffers. */
static void entry_clear(struct mailbox_entry *entry)
{
	struct mailbox_entry empty = {
		.name = entry->name,
		.unique_id = entry->unique_id,
		.partition = entry->partition,
		.acl = entry->acl,
	};

	*entry = empty;
	buf_clear(&entry->name);
	buf_clear(&entry->unique_id);
	buf_clear(&entry->partition);
	buf_clear(&entry->acl);
}

/*
 * The `T` field: one letter for the class of the mailbox, then one a flag. The classes (mail,
 * netnews, collection, calendar, addressbook, submission, push subscription, sieve, notification)
 * make no difference here: all keep their files alike. Before 3.6 the field held flags only.
 */
static int entry_parse_type(struct mailbox_entry *entry, struct dlist_value value)
{
	struct span type = value.text;

	if (value.kind != DLIST_ATOM || type.len == 0)
		return -EBADMSG;
	if (!byte_is_one_of(type.data[0], "enbcaspfj"))
		return byte_is_one_of(type.data[0], "dmrzil") ? -EPROTONOSUPPORT : -EBADMSG;
	for (uint64_t i = 1; i < type.len; i++) {
		switch (type.data[i]) {
		case 'd':
			entry->deleted = true;
			break;
		case 'm':
			entry->moving = true;
			break;
		case 'r':
			entry->remote = true;
			break;
		case 'z':
			entry->reserved = true;
			break;
		case 'i':
			entry->intermediate = true;
			break;
		case 'l':
			entry->legacy_dirs = true;
			break;
		default: /* a flag nobody knows may say that the files are elsewhere */
			return -EBADMSG;
		}
	}
	return 0;
}

/* Copies an atom; NIL is the empty text. */
static int entry_parse_text(struct dlist_value value, struct buf *b)
{
	if (value.kind == DLIST_NIL)
		return 0;
	if (value.kind != DLIST_ATOM)
		return -EBADMSG;
	dlist_add_text(b, value);
	/* Ids and partitions become file and option names, which are C strings. */
	return memchr(buf_str(b), '\0', b->len) ? -EBADMSG : 0;
}

/* One field of the record. `server` says whether another host was named. */
static int entry_parse_field(struct mailbox_entry *entry, uint8_t key, struct dlist_value value,
			     bool *server)
{
	uint64_t number;

	switch (key) {
	case 'T':
		return entry_parse_type(entry, value);
	case 'I':
		return entry_parse_text(value, &entry->unique_id);
	case 'P':
		return entry_parse_text(value, &entry->partition);
	case 'S':
		*server = value.kind == DLIST_ATOM && value.text.len > 0;
		return value.kind == DLIST_ATOM || value.kind == DLIST_NIL ? 0 : -EBADMSG;
	case 'V':
		if (value.kind != DLIST_ATOM || span_parse_u64(value.text, UINT32_MAX, &number))
			return -EBADMSG;
		entry->uidvalidity = (uint32_t)number;
		return 0;
	case 'A':
		/* Rights decide nothing here, so the list is checked no further. */
		if (value.kind == DLIST_KVLIST)
			buf_add_span(&entry->acl, value.text);
		return value.kind == DLIST_KVLIST || value.kind == DLIST_NIL ? 0 : -EBADMSG;
	default:
		return 0;
	}
}

/* The list that every record of 3.6 is. -EPROTONOSUPPORT for the text of older ones. */
static int value_enter(struct span value, struct dlist_cursor *ret_inside)
{
	struct dlist_cursor cursor = { value };
	struct dlist_value list, more;
	int r;

	if (value.len && (value.data[0] == '(' || (value.data[0] >= '0' && value.data[0] <= '9')))
		return -EPROTONOSUPPORT;
	r = dlist_next(&cursor, &list);
	if (r)
		return r == DLIST_END ? -EBADMSG : r;
	if (list.kind != DLIST_KVLIST || dlist_next(&cursor, &more) != DLIST_END)
		return -EBADMSG;
	*ret_inside = dlist_enter(list);
	return 0;
}

/* Each field is read once: two that disagree would leave the choice to chance. */
static int entry_parse_value(struct mailbox_entry *entry, struct span value)
{
	static const char known[] = "TIPSVA";
	struct dlist_cursor inside;
	struct dlist_value field;
	struct span key;
	bool server = false;
	unsigned seen = 0;
	int r = value_enter(value, &inside);

	if (r)
		return r;
	while ((r = dlist_next_pair(&inside, &key, &field)) == 0) {
		if (key.len != 1 || !byte_is_one_of(key.data[0], known))
			continue;
		unsigned bit = 1u << (strchr(known, key.data[0]) - known);
		if (seen & bit)
			return -EBADMSG;
		seen |= bit;
		r = entry_parse_field(entry, key.data[0], field, &server);
		if (r)
			return r;
	}
	if (r != DLIST_END)
		return r;
	if (!(seen & 1u))
		return -EPROTONOSUPPORT; /* without a type: written before 3.6 */
	/* A mailbox on its way to another server names that server and still lives here. */
	if (server && !entry->moving)
		entry->remote = true;
	if (mailbox_entry_is_live(entry) && entry->partition.len == 0)
		return -EBADMSG;
	return 0;
}

/* `I` and `J` records name their mailbox; a mailbox called "Inbox" in an old list does not. */
static int other_parse_value(struct span value)
{
	struct dlist_cursor inside;
	struct dlist_value field;
	struct span key;
	bool named = false;
	int r = value_enter(value, &inside);

	if (r)
		return r;
	while ((r = dlist_next_pair(&inside, &key, &field)) == 0)
		named = named || span_equals_str(key, "N");
	if (r != DLIST_END)
		return r;
	return named ? MBOXLIST_OTHER : -EPROTONOSUPPORT;
}

/* 0 for a key that holds a mailbox, else the result of mboxlist_parse. */
static int key_classify(struct span key, struct span value)
{
	if (key.len == 0)
		return -EBADMSG;
	/* Any of these letters may begin a name in an old list, so each must prove itself. */
	switch (key.data[0]) {
	case 'N':
		return 0;
	case 'I':
	case 'J':
		return other_parse_value(value);
	case 'A':
		if (key.len >= 3 && (key.data[1] == 'U' || key.data[1] == 'S') &&
		    key.data[2] == DB_FIELD_END)
			return MBOXLIST_OTHER;
		return -EPROTONOSUPPORT;
	case DB_SEPARATOR:
		return span_equals_str(key, "\x1fVER\x1f") ? MBOXLIST_OTHER : -EPROTONOSUPPORT;
	case '$':
		if (span_starts_with(key, "$RACL") || span_starts_with(key, "$RUNQ"))
			return MBOXLIST_OTHER;
		return -EPROTONOSUPPORT;
	default:
		return -EPROTONOSUPPORT;
	}
}

int mboxlist_parse(struct span key, struct span value, struct mailbox_entry *entry)
{
	int r = key_classify(key, value);

	entry_clear(entry);
	if (r)
		return r;
	r = entry_parse_value(entry, value);
	if (r)
		return r;
	struct span dbname = span_of(key.data + 1, key.len - 1);
	if (dbname.len == 0 || span_find(dbname, '\0') < dbname.len ||
	    span_find(dbname, '/') < dbname.len)
		return -EBADMSG;
	mboxlist_add_internal_name(&entry->name, dbname);
	if (buf_error(&entry->name) || buf_error(&entry->unique_id) ||
	    buf_error(&entry->partition) || buf_error(&entry->acl))
		return -ENOMEM;
	return 0;
}

void mboxlist_add_internal_name(struct buf *b, struct span dbname)
{
	uint64_t off = span_find(dbname, DB_DOMAIN_END);

	/* The domain keeps its dots; only what follows it is a path of parts. */
	if (off < dbname.len) {
		buf_add(b, dbname.data, off);
		buf_add_char(b, '!');
		off++;
	} else {
		off = 0;
	}
	for (; off < dbname.len; off++) {
		uint8_t c = dbname.data[off];
		buf_add_char(b, c == DB_SEPARATOR ? '.' : c == '.' ? '^' : (char)c);
	}
}

/* Takes `prefix` and the separator behind it off the front of `s`, where they stand. */
static bool name_strip_prefix(struct span *s, const char *prefix)
{
	uint64_t len = strlen(prefix);

	if (len == 0 || !span_starts_with(*s, prefix) || s->len <= len || s->data[len] != '.')
		return false;
	*s = span_of(s->data + len + 1, s->len - len - 1);
	return true;
}

/* Splits `domain!rest`; an empty domain when there is none. */
static struct span name_split_domain(struct span *name)
{
	uint64_t len = span_find(*name, '!');
	struct span domain = SPAN_NULL;

	if (len < name->len) {
		domain = span_of(name->data, len);
		*name = span_of(name->data + len + 1, name->len - len - 1);
	}
	return domain;
}

/* Takes the stamp of its deletion off the end of a deleted name, where it has one. */
static void name_strip_stamp(struct span *s)
{
	if (s->len <= STAMP_LEN || s->data[s->len - STAMP_LEN - 1] != '.')
		return;
	for (uint64_t i = s->len - STAMP_LEN; i < s->len; i++)
		if (!byte_is_one_of(s->data[i], "0123456789ABCDEF"))
			return;
	s->len -= STAMP_LEN + 1;
}

/*
 * Cyrus takes the last part of a deleted name for the stamp whatever it looks like. Here it must
 * look like one, so that a name given without it (`DELETED.user.joe`) still finds its owner.
 */
bool mailbox_name_add_user(struct buf *b, struct span name, const char *deleted_prefix)
{
	struct span domain = name_split_domain(&name);

	if (deleted_prefix && name_strip_prefix(&name, deleted_prefix))
		name_strip_stamp(&name);
	if (!name_strip_prefix(&name, "user"))
		return false;
	uint64_t len = span_find(name, '.');
	if (len == 0)
		return false;
	for (uint64_t i = 0; i < len; i++)
		buf_add_char(b, name.data[i] == '^' ? '.' : (char)name.data[i]);
	if (domain.len) {
		buf_add_char(b, '@');
		buf_add_span(b, domain);
	}
	return true;
}

bool mailbox_name_is_deleted(struct span name, const char *deleted_prefix)
{
	(void)name_split_domain(&name);
	return deleted_prefix && name_strip_prefix(&name, deleted_prefix);
}
