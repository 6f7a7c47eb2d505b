// SPDX-License-Identifier: Apache-2.0
/*
 * The names of a store: what mailboxes.db lists, how it spells it, and where the files of a name
 * lie. Nothing here uses the parsers of src/format: a store that both agree on proves both.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "support/mkstore_parts.h"
#include "support/twoskip_writer.h"

#define MAX_NAME_LEN 490u /* bytes, as in Cyrus */
#define OWNER_RIGHTS "lrswipkxtecdan"

enum { SEED_UNIQUE_ID = 1, SEED_LEVELS = 2 };

/* Bytes that may stand in an atom of a dlist. */
static bool is_atom_char(unsigned char c)
{
	return c >= 0x1f && c < 0x7f && !strchr(" {()\"%*\\", c);
}

void mk_add_dlist_string(struct buf *b, const char *str)
{
	bool atom = *str != '\0' && strcmp(str, "NIL") != 0;
	bool quotable = true;

	for (const char *p = str; *p; p++) {
		unsigned char c = (unsigned char)*p;
		/* 0x1d, behind a domain, is no atom character: such a name is quoted. */
		atom = atom && is_atom_char(c);
		quotable = quotable && c < 0x80 && c != '"' && c != '\\' && c != '\r' && c != '\n';
	}
	if (atom)
		buf_add_str(b, str);
	else if (quotable)
		buf_addf(b, "\"%s\"", str);
	else
		buf_addf(b, "{%zu}\r\n%s", strlen(str), str);
}

/* Appends the user who owns a mailbox; nothing for a shared one. */
static void add_owner(struct buf *b, const char *internal)
{
	const char *bang = strchr(internal, '!');
	const char *local = bang ? bang + 1 : internal;

	if (strncmp(local, "user.", 5) != 0)
		return;
	local += 5;
	for (; *local && *local != '.'; local++)
		buf_add_char(b, *local == '^' ? '.' : *local);
	if (bang) {
		buf_add_char(b, '@');
		buf_add(b, internal, (size_t)(bang - internal));
	}
}

void mk_add_acl(struct buf *b, const char *internal)
{
	struct buf owner cleanup(buf_fini) = BUF_NULL;

	add_owner(&owner, internal);
	buf_add_str(b, "%(");
	mk_add_dlist_string(b, owner.len ? buf_str(&owner) : "anyone");
	buf_add_str(b, " " OWNER_RIGHTS ")");
	b->failed = b->failed || owner.failed;
}

/* The one character that spreads directories when `hashimapspool` is on and `fulldirhash` off. */
static char hash_char(char first)
{
	char c = (char)tolower((unsigned char)first);

	return c >= 'a' && c <= 'z' ? c : 'q';
}

void mk_add_mailbox_dir(struct buf *b, const struct mkstore *store, const struct mk_name *name)
{
	if (!store->options.legacy_dirs) {
		buf_addf(b, "uuid/%c/%c/%s", name->unique_id[0], name->unique_id[1],
			 name->unique_id);
		return;
	}

	const char *bang = strchr(name->internal, '!');
	const char *local = bang ? bang + 1 : name->internal;
	const char *dot = strchr(local, '.');
	if (bang) {
		int len = (int)(bang - name->internal);
		buf_addf(b, "domain/%c/%.*s/", hash_char(name->internal[0]), len, name->internal);
	}
	buf_addf(b, "%c/", hash_char(dot ? dot[1] : local[0]));
	for (const char *p = local; *p; p++)
		buf_add_char(b, *p == '.' ? '/' : *p);
}

static int check_name(const char *name)
{
	bool start = true; /* of a component */

	if (strlen(name) > MAX_NAME_LEN)
		return -ENAMETOOLONG;
	for (const char *p = name; *p; p++) {
		bool separator = *p == '.' || *p == '!';
		if (*p == '/' || (unsigned char)*p < 0x20 || (separator && start))
			return -EINVAL;
		start = separator;
	}
	return start ? -EINVAL : 0;
}

static void draw_unique_id(const struct mkstore *store, char *unique_id)
{
	static const char DIGITS[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint64_t random = mk_seed(store->options.seed, SEED_UNIQUE_ID, store->nr_names);

	for (unsigned i = 0; i < MK_UNIQUE_ID_LEN; i++)
		unique_id[i] = DIGITS[mk_random(&random) % 36];
	unique_id[MK_UNIQUE_ID_LEN] = '\0';
}

/* Internal to database spelling, in place. The dots of a domain stay dots. */
static void spell_for_db(char *name)
{
	char *bang = strchr(name, '!');

	if (bang)
		*bang = '\x1d';
	for (char *p = bang ? bang + 1 : name; *p; p++) {
		if (*p == '.')
			*p = '\x1f';
		else if (*p == '^')
			*p = '.';
	}
}

int mk_names_add(struct mkstore *store, const char *internal, enum mk_kind kind,
		 struct mk_name **ret_name)
{
	int r = check_name(internal);

	if (r)
		return r;
	if (store->nr_names == store->cap_names) {
		size_t cap = max_of(store->cap_names * 2, (size_t)64);
		struct mk_name *names = reallocarray(store->names, cap, sizeof(*names));
		if (!names)
			return -ENOMEM;
		store->names = names;
		store->cap_names = cap;
	}

	struct mk_name *name = &store->names[store->nr_names];
	*name = (struct mk_name){ .internal = strdup(internal), .db = strdup(internal) };
	if (!name->internal || !name->db) {
		free(name->internal);
		free(name->db);
		return -ENOMEM;
	}
	spell_for_db(name->db);
	name->kind = kind;
	name->uidvalidity = (uint32_t)(store->options.epoch + (int64_t)store->nr_names);
	draw_unique_id(store, name->unique_id);
	store->nr_names++;
	*ret_name = name;
	return 0;
}

const struct mk_name *mk_names_find(const struct mkstore *store, const char *internal)
{
	for (size_t i = 0; i < store->nr_names; i++) {
		const struct mk_name *name = &store->names[i];
		if (name->kind == MK_MAILBOX && !strcmp(name->internal, internal))
			return name;
	}
	return NULL;
}

void mk_names_free(struct mkstore *store)
{
	for (size_t i = 0; i < store->nr_names; i++) {
		free(store->names[i].internal);
		free(store->names[i].db);
	}
	free(take(store->names));
	store->nr_names = 0;
}

static int compare_unique_ids(const void *a, const void *b)
{
	const struct mk_name *x = a, *y = b;

	return strcmp(x->unique_id, y->unique_id);
}

static int compare_db_names(const void *a, const void *b)
{
	const struct mk_name *x = a, *y = b;

	return strcmp(x->db, y->db);
}

/*
 * The value of an `N` or an `I` record on a partition; the `I` record has the name and its (empty)
 * history.
 */
static void add_value(struct buf *b, const struct mkstore *store, const struct mk_name *name,
		      bool by_id, const char *partition)
{
	static const char *const TYPES[MK_KIND_COUNT_] = {
		[MK_MAILBOX] = "e",
		[MK_TOMBSTONE] = "ed",
		[MK_INTERMEDIATE] = "ei",
	};
	bool legacy = store->options.legacy_dirs && name->kind == MK_MAILBOX;

	buf_addf(b, "%%(T %s%s %c ", TYPES[name->kind], legacy ? "l" : "", by_id ? 'N' : 'I');
	mk_add_dlist_string(b, by_id ? name->db : name->unique_id);
	if (name->kind == MK_MAILBOX)
		buf_addf(b, " P %s", partition);
	if (name->kind != MK_INTERMEDIATE)
		buf_addf(b, " V %u C 1 F 1", name->uidvalidity);
	buf_addf(b, " M %u", name->uidvalidity);
	if (name->kind == MK_MAILBOX) {
		buf_add_str(b, " A ");
		mk_add_acl(b, name->internal);
	}
	buf_add_str(b, by_id ? " H ())" : ")");
}

int mkstore_add_entry(struct buf *b, const struct mkstore *store, const char *name,
		      const char *partition)
{
	const struct mk_name *found = mk_names_find(store, name);

	if (!found)
		return -ENOENT;
	add_value(b, store, found, false, partition);
	return buf_error(b);
}

/* Writes one index of the names, which are in its order. */
static int write_records(struct mkstore *store, struct twoskip_writer *writer, bool by_id)
{
	struct buf key cleanup(buf_fini) = BUF_NULL;
	struct buf value cleanup(buf_fini) = BUF_NULL;

	for (size_t i = 0; i < store->nr_names; i++) {
		const struct mk_name *name = &store->names[i];
		if (by_id && name->kind == MK_TOMBSTONE)
			continue;
		buf_clear(&key);
		buf_clear(&value);
		buf_add_char(&key, by_id ? 'I' : 'N');
		buf_add_str(&key, by_id ? name->unique_id : name->db);
		add_value(&value, store, name, by_id, "default");
		int r = buf_error(&key);
		if (!r)
			r = buf_error(&value);
		if (!r)
			r = twoskip_writer_add(writer, buf_span(&key), buf_span(&value));
		if (r)
			return r;
	}
	return 0;
}

int mk_names_write(struct mkstore *store, const char *path)
{
	struct twoskip_writer *writer;
	int r = twoskip_writer_new(path, mk_seed(store->options.seed, SEED_LEVELS, 0), &writer);

	if (r)
		return r;
	/* An empty store has no array to sort. */
	if (store->nr_names)
		qsort(store->names, store->nr_names, sizeof(*store->names), compare_unique_ids);
	r = write_records(store, writer, true);
	if (!r && store->nr_names)
		qsort(store->names, store->nr_names, sizeof(*store->names), compare_db_names);
	if (!r)
		r = write_records(store, writer, false);
	if (!r)
		r = twoskip_writer_commit(writer);
	twoskip_writer_free(writer);
	return r;
}
