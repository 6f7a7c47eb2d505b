// SPDX-License-Identifier: Apache-2.0
/*
 * An entry comes out whole or not at all: whatever in a record could change which files a mailbox
 * has (its type, its partition, its ids) must be understood, or the record is refused. What only
 * describes the mailbox (modseqs, history) is skipped.
 *
 * Each form is told by what its writers never differed in. Text begins with a digit or a bracket,
 * lists with `%(`. Lists of 3.6 always have a type that begins with the class of the mailbox, and
 * it stands first; older ones begin with rights, id or partition, and plain mail has no type. A
 * class other than mail could stand in either, so there the place of the type decides.
 */
#include "format/cyrus/mboxlist.h"

#include <errno.h>
#include <string.h>

#include "format/cyrus/acl.h"
#include "format/cyrus/dlist.h"

#define DB_DOMAIN_END 0x1d
#define DB_FIELD_END 0x1e
#define DB_SEPARATOR 0x1f

/*
 * The classes (mail, notification, Sieve; netnews, collection, calendar, addressbook, submission,
 * push subscription) make no difference here: all keep their files alike. Those of the first group
 * are younger than the lists that old names stand in.
 */
#define CLASSES_NEW "ejf"
#define CLASSES_OLD "nbcasp"
#define CLASSES_ALL CLASSES_NEW CLASSES_OLD

/* The type of a text record is a sum of these. */
enum {
	TEXT_REMOTE = 1,
	TEXT_RESERVED = 2,
	TEXT_MOVING = 8,
	TEXT_DELETED = 16,
	TEXT_INTERMEDIATE = 256,
	/* Netnews, calendar, addressbook, collection, submission, push subscription. */
	TEXT_CLASSES = 4 | 32 | 64 | 128 | 512 | 1024,
	TEXT_KNOWN = TEXT_REMOTE | TEXT_RESERVED | TEXT_MOVING | TEXT_DELETED | TEXT_INTERMEDIATE |
		     TEXT_CLASSES,
};

/* The fields of a list that are looked at. */
enum {
	FIELD_TYPE,
	FIELD_NAME,
	FIELD_ID,
	FIELD_PARTITION,
	FIELD_SERVER,
	FIELD_VALIDITY,
	FIELD_ACL,
	FIELD_COUNT_,
};
static const char field_keys[] = "TNIPSVA";

struct record {
	struct dlist_value fields[FIELD_COUNT_]; /* NIL where it has none */
	bool has[FIELD_COUNT_];
	bool type_leads; /* the type is its first field */
};

#define RECORD_NULL ((struct record){ .type_leads = false })

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

/* What holds for every form, once all of a record was read. */
static int entry_finish(const struct mailbox_entry *entry)
{
	if (mailbox_entry_is_live(entry) && entry->partition.len == 0)
		return -EBADMSG;
	if (buf_error(&entry->name) || buf_error(&entry->unique_id) ||
	    buf_error(&entry->partition) || buf_error(&entry->acl))
		return -ENOMEM;
	return 0;
}

static bool byte_is_one_of(uint8_t c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

static struct span span_from(struct span s, uint64_t off)
{
	return off < s.len ? span_of(s.data + off, s.len - off) : SPAN_NULL;
}

static int entry_set_name(struct mailbox_entry *entry, struct span name, enum mboxlist_form form)
{
	if (name.len == 0)
		return -EBADMSG;
	for (uint64_t i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];
		/* What separates names in 3.6 stands in no older one. */
		if (c == '\0' || c == '/' ||
		    (form != MBOXLIST_BY_ID && c >= DB_DOMAIN_END && c <= DB_SEPARATOR))
			return -EBADMSG;
	}
	entry->form = form;
	if (form == MBOXLIST_BY_ID) {
		mboxlist_add_internal_name(&entry->name, name);
	} else {
		buf_add_span(&entry->name, name);
		entry->legacy_dirs = true;
	}
	return 0;
}

/* ---- Lists ---- */

/* Each field is read once: two that disagree would leave the choice to chance. */
static int record_read(struct record *record, struct span value)
{
	struct dlist_cursor cursor = { value };
	struct dlist_value list, field;
	struct span key;
	int r = dlist_next(&cursor, &list);

	if (r)
		return r == DLIST_END ? -EBADMSG : r;
	if (list.kind != DLIST_KVLIST || dlist_next(&cursor, &field) != DLIST_END)
		return -EBADMSG;
	cursor = dlist_enter(list);
	for (unsigned nr = 0; (r = dlist_next_pair(&cursor, &key, &field)) == 0; nr++) {
		if (key.len != 1 || !byte_is_one_of(key.data[0], field_keys))
			continue;
		size_t at = (size_t)(strchr(field_keys, key.data[0]) - field_keys);
		if (record->has[at])
			return -EBADMSG;
		record->has[at] = true;
		record->fields[at] = field;
		if (at == FIELD_TYPE)
			record->type_leads = nr == 0;
	}
	return r == DLIST_END ? 0 : r;
}

/* Does the type begin with one of these? */
static bool record_begins_with(const struct record *record, const char *classes)
{
	const struct dlist_value *type = &record->fields[FIELD_TYPE];

	return type->kind == DLIST_ATOM && type->text.len > 0 &&
	       byte_is_one_of(type->text.data[0], classes);
}

static bool record_is_by_id(const struct record *record)
{
	return record_begins_with(record, CLASSES_NEW) ||
	       (record->type_leads && record_begins_with(record, CLASSES_ALL));
}

static int entry_add_flag(struct mailbox_entry *entry, uint8_t flag)
{
	switch (flag) {
	case 'd':
		entry->deleted = true;
		return 0;
	case 'm':
		entry->moving = true;
		return 0;
	case 'r':
		entry->remote = true;
		return 0;
	case 'z':
		entry->reserved = true;
		return 0;
	case 'i':
		entry->intermediate = true;
		return 0;
	default: /* a flag nobody knows may say that the files are elsewhere */
		return -EBADMSG;
	}
}

/* From 3.6 on one letter for the class, then one a flag; before, both in any order, or no type. */
static int entry_parse_type(struct mailbox_entry *entry, const struct record *record,
			    enum mboxlist_form form)
{
	struct dlist_value value = record->fields[FIELD_TYPE];
	struct span type = value.text;
	int r = 0;

	if (!record->has[FIELD_TYPE] && form == MBOXLIST_DLIST)
		return 0;
	if (value.kind != DLIST_ATOM || type.len == 0)
		return -EBADMSG;
	for (uint64_t i = 0; r == 0 && i < type.len; i++) {
		bool by_id = form == MBOXLIST_BY_ID;
		uint8_t c = type.data[i];
		if (by_id && i > 0 && c == 'l')
			entry->legacy_dirs = true;
		else if (by_id && i == 0)
			r = byte_is_one_of(c, CLASSES_ALL) ? 0 : -EBADMSG;
		else if (by_id || !byte_is_one_of(c, CLASSES_OLD))
			r = entry_add_flag(entry, c);
	}
	return r;
}

/* Copies an atom; NIL, and a field that is not there, are the empty text. */
static int field_add_text(struct buf *b, struct dlist_value value)
{
	if (value.kind == DLIST_NIL)
		return 0;
	if (value.kind != DLIST_ATOM)
		return -EBADMSG;
	dlist_add_text(b, value);
	/* Ids and partitions become file and option names, which are C strings. */
	return span_find(buf_span(b), '\0') < b->len ? -EBADMSG : 0;
}

/* Everything but the two ids of a record, its name and the unique id. */
static int entry_parse_record(struct mailbox_entry *entry, const struct record *record,
			      enum mboxlist_form form)
{
	const struct dlist_value *server = &record->fields[FIELD_SERVER];
	const struct dlist_value *validity = &record->fields[FIELD_VALIDITY];
	uint64_t number = 0;
	int r = entry_parse_type(entry, record, form);

	if (r == 0)
		r = field_add_text(&entry->partition, record->fields[FIELD_PARTITION]);
	if (r == 0)
		r = acl_add_dlist(&entry->acl, record->fields[FIELD_ACL]);
	if (r)
		return r;
	if (server->kind != DLIST_ATOM && server->kind != DLIST_NIL)
		return -EBADMSG;
	/* A mailbox on its way to another server names that server and still lives here. */
	if (server->kind == DLIST_ATOM && server->text.len > 0 && !entry->moving)
		entry->remote = true;
	if (record->has[FIELD_VALIDITY] &&
	    (validity->kind != DLIST_ATOM || span_parse_u64(validity->text, UINT32_MAX, &number)))
		return -EBADMSG;
	entry->uidvalidity = (uint32_t)number;
	return 0;
}

static int entry_parse_list(struct mailbox_entry *entry, struct span key, struct span value)
{
	struct record record = RECORD_NULL;
	int r = record_read(&record, value);

	if (r)
		return r;
	/* Indexes name their mailbox; a mailbox called "Inbox" in an old list does not. */
	if ((key.data[0] == 'I' || key.data[0] == 'J') && record.has[FIELD_NAME])
		return MBOXLIST_OTHER;
	bool by_id = key.data[0] == 'N' && record_is_by_id(&record);
	enum mboxlist_form form = by_id ? MBOXLIST_BY_ID : MBOXLIST_DLIST;
	r = entry_parse_record(entry, &record, form);
	if (r == 0)
		r = field_add_text(&entry->unique_id, record.fields[FIELD_ID]);
	if (r == 0)
		r = entry_set_name(entry, by_id ? span_from(key, 1) : key, form);
	return r ? r : entry_finish(entry);
}

/* ---- Text ---- */

/* Takes the next word, and the space behind it, off the front of `s`. False without a space. */
static bool word_next(struct span *s, struct span *ret_word)
{
	uint64_t len = span_find(*s, ' ');

	if (len == s->len)
		return false;
	*ret_word = span_of(s->data, len);
	*s = span_from(*s, len + 1);
	return true;
}

/* `(uniqueid ID specialuse USE) `, in any order; takes it off the front of `s`. */
static int entry_parse_attributes(struct mailbox_entry *entry, struct span *s)
{
	uint64_t close = span_find(*s, ')');
	struct span word, name, behind;

	if (span_sub(*s, close, 2, &behind) || !span_equals_str(behind, ") "))
		return -EBADMSG;
	/* The last value ends at the bracket; a space there instead ends it as all others. */
	struct span inside = span_of(s->data + 1, close - 1);
	*s = span_from(*s, close + 2);
	for (bool more = true; more;) {
		if (!word_next(&inside, &name) || name.len == 0)
			return -EBADMSG;
		more = word_next(&inside, &word);
		if (!more)
			word = inside;
		if (word.len == 0)
			return -EBADMSG;
		if (!span_equals_str(name, "uniqueid"))
			continue;
		if (entry->unique_id.len)
			return -EBADMSG;
		buf_add_span(&entry->unique_id, word);
	}
	return 0;
}

static int entry_parse_text_type(struct mailbox_entry *entry, struct span word)
{
	uint64_t type;

	if (span_parse_u64(word, UINT32_MAX, &type) || (type & ~(uint64_t)TEXT_KNOWN))
		return -EBADMSG;
	entry->remote = type & TEXT_REMOTE;
	entry->reserved = type & TEXT_RESERVED;
	entry->moving = type & TEXT_MOVING;
	entry->deleted = type & TEXT_DELETED;
	entry->intermediate = type & TEXT_INTERMEDIATE;
	return 0;
}

static int entry_parse_text(struct mailbox_entry *entry, struct span key, struct span value)
{
	struct span rest = value, word, place;
	int r = 0;

	if (span_find(value, '\0') < value.len)
		return -EBADMSG;
	if (span_starts_with(value, "("))
		r = entry_parse_attributes(entry, &rest);
	if (r)
		return r;
	bool more = word_next(&rest, &word);
	r = entry_parse_text_type(entry, more ? word : rest);
	if (r == 0)
		r = entry_set_name(entry, key, MBOXLIST_TEXT);
	/* The rest of a tombstone means nothing; "16 (null)" was seen. */
	if (r || entry->deleted)
		return r ? r : entry_finish(entry);
	if (!more || !word_next(&rest, &place))
		return -EBADMSG;
	uint64_t bang = span_find(place, '!');
	if (bang < place.len && !entry->moving)
		entry->remote = true;
	buf_add_span(&entry->partition, bang < place.len ? span_from(place, bang + 1) : place);
	r = acl_add_text(&entry->acl, rest);
	return r ? r : entry_finish(entry);
}

/* ---- Keys ---- */

/*
 * The indexes of 3.0 to 3.4, and their versions. A mailbox may be called the same, so the value
 * must not be that of one.
 */
static bool record_is_old_index(struct span key, struct span value)
{
	uint64_t version;

	if (!span_starts_with(key, "$RACL") && !span_starts_with(key, "$RUNQ"))
		return false;
	return value.len == 0 ||
	       (key.len == strlen("$RACL") && span_parse_u64(value, UINT32_MAX, &version) == 0);
}

/* True for what the key alone, or with an empty value, proves to be no mailbox. */
static bool record_is_other(struct span key, struct span value)
{
	if (span_equals_str(key, "\x1fVER\x1f"))
		return true;
	if (key.len >= 3 && key.data[0] == 'A' && byte_is_one_of(key.data[1], "US") &&
	    key.data[2] == DB_FIELD_END)
		return true;
	return record_is_old_index(key, value);
}

int mboxlist_parse(struct span key, struct span value, struct mailbox_entry *entry)
{
	entry_clear(entry);
	if (key.len == 0)
		return -EBADMSG;
	if (record_is_other(key, value))
		return MBOXLIST_OTHER;
	return span_starts_with(value, "%") ? entry_parse_list(entry, key, value)
					    : entry_parse_text(entry, key, value);
}

int mboxlist_parse_id(struct span key, struct span value, struct mailbox_entry *entry)
{
	cleanup(buf_fini) struct buf name = BUF_NULL;
	struct record record = RECORD_NULL;

	entry_clear(entry);
	if (key.len == 0)
		return -EBADMSG;
	/* Both begin records of mailboxes called "Inbox" in old lists as well. */
	if (key.data[0] != 'I' || !span_starts_with(value, "%"))
		return MBOXLIST_OTHER;
	int r = record_read(&record, value);
	if (r)
		return r;
	if (!record.has[FIELD_NAME])
		return MBOXLIST_OTHER;
	if (key.len == 1 || span_find(key, '\0') < key.len)
		return -EBADMSG;
	buf_add_span(&entry->unique_id, span_from(key, 1));
	r = entry_parse_record(entry, &record, MBOXLIST_BY_ID);
	if (r == 0)
		r = field_add_text(&name, record.fields[FIELD_NAME]);
	if (r == 0)
		r = buf_error(&name);
	if (r == 0)
		r = entry_set_name(entry, buf_span(&name), MBOXLIST_BY_ID);
	return r ? r : entry_finish(entry);
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
