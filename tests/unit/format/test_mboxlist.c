// SPDX-License-Identifier: Apache-2.0
/*
 * The mailbox list: real entries of every kind, what must not be mistaken for one, and the names
 * between database, spool and people.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>

#include "format/cyrus/mboxlist.h"

static int parse(const char *key, const char *value, struct mailbox_entry *entry)
{
	return mboxlist_parse(span_of_str(key), span_of_str(value), entry);
}

/* The result of a parse whose entry nobody looks at. */
static int parse_only(const char *key, const char *value)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	int r = parse(key, value, &entry);

	mailbox_entry_fini(&entry);
	return r;
}

static void reads_a_real_mailbox(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(parse("Nuser\037alice",
			      "%(T e I z2bnsgapj9lwlv3hqyb2ltbx P default V 1795450317 C 1 F 21 "
			      "M 1795450371 A %(alice lrswipkxtecdan b.ob lrs))",
			      &entry),
			0);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "user.alice");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), "z2bnsgapj9lwlv3hqyb2ltbx");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "default");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.acl), "alice lrswipkxtecdan b.ob lrs");
	CU_ASSERT_EQUAL(entry.uidvalidity, 1795450317);
	CU_ASSERT(mailbox_entry_is_live(&entry));
	CU_ASSERT_FALSE(entry.legacy_dirs);
	mailbox_entry_fini(&entry);
	mailbox_entry_fini(&entry);
}

static void reads_a_real_tombstone_and_an_intermediate(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(
		parse("Nuser\037u003\037Archive\0372023",
		      "%(T ed I 1a2k7p6ayl1sg0pso85htlwi V 1795465383 C 1 F 3 M 1795465384)",
		      &entry),
		0);
	CU_ASSERT(entry.deleted);
	CU_ASSERT_FALSE(mailbox_entry_is_live(&entry));
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "user.u003.Archive.2023");

	/* The same entry again: nothing of the last record may stay behind. */
	CU_ASSERT_EQUAL(parse("Nuser\037u003", "%(T ei I by8p4az7d4y6n2o8n3yficxh M 1795465382)",
			      &entry),
			0);
	CU_ASSERT(entry.intermediate);
	CU_ASSERT_FALSE(entry.deleted);
	CU_ASSERT_FALSE(mailbox_entry_is_live(&entry));
	CU_ASSERT_EQUAL(entry.uidvalidity, 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "user.u003");
	mailbox_entry_fini(&entry);
}

static void reads_every_class_and_flag(void)
{
	static const struct {
		const char *type;
		bool deleted, moving, remote, reserved, intermediate, legacy;
	} cases[] = {
		{ "e", false, false, false, false, false, false },
		{ "n", false, false, false, false, false, false },
		{ "b", false, false, false, false, false, false },
		{ "c", false, false, false, false, false, false },
		{ "a", false, false, false, false, false, false },
		{ "s", false, false, false, false, false, false },
		{ "p", false, false, false, false, false, false },
		{ "f", false, false, false, false, false, false },
		{ "j", false, false, false, false, false, false },
		{ "ed", true, false, false, false, false, false },
		{ "em", false, true, false, false, false, false },
		{ "er", false, false, true, false, false, false },
		{ "ez", false, false, false, true, false, false },
		{ "ei", false, false, false, false, true, false },
		{ "el", false, false, false, false, false, true },
		{ "cdl", true, false, false, false, false, true },
		{ "edmrzil", true, true, true, true, true, true },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
		struct buf value = BUF_NULL;
		buf_addf(&value, "%%(T %s I abc P p V 1)", cases[i].type);
		CU_ASSERT_EQUAL(parse("Nx", buf_str(&value), &entry), 0);
		CU_ASSERT_EQUAL(entry.deleted, cases[i].deleted);
		CU_ASSERT_EQUAL(entry.moving, cases[i].moving);
		CU_ASSERT_EQUAL(entry.remote, cases[i].remote);
		CU_ASSERT_EQUAL(entry.reserved, cases[i].reserved);
		CU_ASSERT_EQUAL(entry.intermediate, cases[i].intermediate);
		CU_ASSERT_EQUAL(entry.legacy_dirs, cases[i].legacy);
		CU_ASSERT_EQUAL(mailbox_entry_is_live(&entry),
				!cases[i].deleted && !cases[i].remote && !cases[i].reserved &&
					!cases[i].intermediate);
		buf_fini(&value);
		mailbox_entry_fini(&entry);
	}
}

static void takes_a_mailbox_named_with_its_server_for_remote(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(parse("Nx", "%(T e I abc P p S imap7 V 1)", &entry), 0);
	CU_ASSERT(entry.remote);
	/* On its way out it names where it goes, and its files are still here. */
	CU_ASSERT_EQUAL(parse("Nx", "%(T em I abc P p S imap7 V 1)", &entry), 0);
	CU_ASSERT_FALSE(entry.remote);
	CU_ASSERT(mailbox_entry_is_live(&entry));
	CU_ASSERT_EQUAL(parse("Nx", "%(T e I abc P p S NIL V 1)", &entry), 0);
	CU_ASSERT_FALSE(entry.remote);
	mailbox_entry_fini(&entry);
}

static void takes_fields_in_any_order_and_ignores_unknown_ones(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(parse("Nx",
			      "%(Zz (1 %(2 3)) A %() V 4294967295 P \"part 2\" N y TT d J NIL "
			      "I {3+}\r\nabc T e H (%(T d)))",
			      &entry),
			0);
	CU_ASSERT_EQUAL(entry.uidvalidity, UINT32_MAX);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "part 2");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), "abc");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "x");
	CU_ASSERT_FALSE(entry.deleted);
	mailbox_entry_fini(&entry);
}

static void takes_an_entry_without_unique_id(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	static const char *const values[] = { "%(T e P p V 1)", "%(T e I NIL P p V 1)",
					      "%(T e I \"\" P p V 1)" };

	for (size_t i = 0; i < array_size(values); i++) {
		CU_ASSERT_EQUAL(parse("Nx", values[i], &entry), 0);
		CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), "");
		CU_ASSERT(mailbox_entry_is_live(&entry));
	}
	mailbox_entry_fini(&entry);
}

static void passes_over_the_other_indexes(void)
{
	static const struct {
		const char *key, *value;
	} others[] = {
		{ "I7sye93mzzdzl4e6ovpyf2thj",
		  "%(T e N user\037u001\037Sent P default V 1795465383 C 1 F 1 M 1795465382 "
		  "A %(u001 lrswipkxtecdan) H ())" },
		{ "Iby8p4az7d4y6n2o8n3yficxh", "%(T ei N user\037u003 M 1795465382 H ())" },
		{ "J123", "%(T e N user\037x I abc)" },
		{ "AU\036alice\036user\037bob", "" },
		{ "AS\036anyone\036shared", "" },
		{ "AS\036", "" },
		{ "\037VER\037", "2" },
		{ "$RACL$U$alice$user.bob", "" },
		{ "$RUNQ$abc", "user.bob" },
	};

	for (size_t i = 0; i < array_size(others); i++)
		CU_ASSERT_EQUAL(parse_only(others[i].key, others[i].value), MBOXLIST_OTHER);
}

static void refuses_the_records_of_older_releases(void)
{
	static const struct {
		const char *key, *value;
	} old[] = {
		{ "user.joe", "0 default joe\tlrswipcda\t" },
		{ "user.joe", "%(A %(joe lrs) I 12ab P default V 17)" },
		{ "user\037joe", "%(T e I abc P default V 17)" },
		{ "example.com!user.joe", "0 default joe\tlrs\t" },
		{ "News", "0 default anyone\tlrs\t" },
		{ "News", "(uniqueid 12ab specialuse NIL) 0 default anyone\tlrs\t" },
		{ "News", "%(A %(anyone lrs) I 12ab P default V 17)" },
		{ "News", "%(T d I 12ab V 17)" },
		{ "News", "%(T i I 12ab V 17)" },
		{ "Inbox", "0 default joe\tlrs\t" },
		{ "Inbox", "%(A %(anyone lrs) I 12ab P default V 17)" },
		{ "Archive", "0 default joe\tlrs\t" },
		{ "AU", "%(I 12ab)" },
		{ "Jokes", "%(I 12ab P default V 17)" },
		{ "$other", "x" },
		{ "\037VERS", "2" },
	};

	for (size_t i = 0; i < array_size(old); i++)
		CU_ASSERT_EQUAL(parse_only(old[i].key, old[i].value), -EPROTONOSUPPORT);
}

static void refuses_damaged_values(void)
{
	static const char *const wrong[] = {
		"",
		"x",
		"%(",
		"NIL",
		"%(T e I abc P p V 1",
		"%(T e I abc P p V 1))",
		"%(T e I abc P p V 1) x",
		"%(T e I abc P p V)",
		"%(T x I abc P p V 1)",	 /* no such class */
		"%(T ex I abc P p V 1)", /* no such flag */
		"%(T \"\" I abc P p V 1)",
		"%(T NIL I abc P p V 1)",
		"%(T (e) I abc P p V 1)",
		"%(T e I (abc) P p V 1)",
		"%(T e I {9}\r\nabc P p V 1)", /* the literal swallows the next fields */
		"%(T e I abc P (p) V 1)",
		"%(T e I abc P p V -1)",
		"%(T e I abc P p V 4294967296)",
		"%(T e I abc P p V NIL)",
		"%(T e I abc P p V 1 S (x))",
		"%(T e I abc P p V 1 A (x))",
		"%(T e I abc P p V 1 A x)",
		"%(T e I abc V 1)", /* live, and on no partition */
		"%(T e I abc P \"\" V 1)",
		"%(T e I abc P p V 1 T e)", /* twice */
		"%(T e I abc P p V 1 I abc)",
		"%(T e I abc P p V 1 P q)",
		"%(T e I abc P p V 1 V 2)",
		"%(T e I abc P p V 1 A %() A %())",
	};

	/* What CU_ASSERT does, with the text in place of the condition. */
	for (size_t i = 0; i < array_size(wrong); i++)
		(void)CU_assertImplementation(parse_only("Nx", wrong[i]) == -EBADMSG, __LINE__,
					      wrong[i], __FILE__, "", CU_FALSE);
	CU_ASSERT_EQUAL(parse_only("Iabc", "%(N x"), -EBADMSG);
	CU_ASSERT_EQUAL(parse_only("Iabc", "%(N x)x"), -EBADMSG);
	CU_ASSERT_EQUAL(parse_only("Iabc", ""), -EBADMSG);
}

static void refuses_names_that_cannot_be(void)
{
	static const char value[] = "%(T e I abc P p V 1)";
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(parse("", value, &entry), -EBADMSG);
	CU_ASSERT_EQUAL(parse("N", value, &entry), -EBADMSG);
	CU_ASSERT_EQUAL(parse("Nuser\037a/b", value, &entry), -EBADMSG);
	CU_ASSERT_EQUAL(parse("N/etc", value, &entry), -EBADMSG);
	CU_ASSERT_EQUAL(mboxlist_parse(span_of("Na\0b", 4), span_of_str(value), &entry), -EBADMSG);
	CU_ASSERT_EQUAL(mboxlist_parse(SPAN_NULL, SPAN_NULL, &entry), -EBADMSG);
	mailbox_entry_fini(&entry);
}

static void refuses_ids_and_partitions_with_a_nul(void)
{
	static const char id[] = "%(T e I {3}\r\na\0c P p V 1)";
	static const char partition[] = "%(T e I abc P {3}\r\na\0c V 1)";
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(mboxlist_parse(span_of_str("Nx"), span_of(id, sizeof(id) - 1), &entry),
			-EBADMSG);
	CU_ASSERT_EQUAL(mboxlist_parse(span_of_str("Nx"), span_of(partition, sizeof(partition) - 1),
				       &entry),
			-EBADMSG);
	mailbox_entry_fini(&entry);
}

/* Every cut of a value is refused: the closing bracket is its last byte. */
static void refuses_a_value_cut_anywhere(void)
{
	static const char value[] = "%(T e I abc P default V 17 C 1 A %(joe lrs \"x y\" p))";
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	unsigned wrong = 0;

	for (size_t len = 0; len < sizeof(value) - 1; len++) {
		char *copy = malloc(len ? len : 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, value, len);
		wrong += mboxlist_parse(span_of_str("Nx"), span_of(copy, len), &entry) != -EBADMSG;
		free(copy);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(parse("Nx", value, &entry), 0);
	mailbox_entry_fini(&entry);
}

static void turns_database_names_into_internal_ones(void)
{
	static const struct {
		const char *dbname, *name;
	} cases[] = {
		{ "user\037alice", "user.alice" },
		{ "user\037b.ob\037Sub Folder.x", "user.b^ob.Sub Folder^x" },
		{ "shared", "shared" },
		{ "a.b", "a^b" },
		{ "example.com\035user\037zoe\037Work", "example.com!user.zoe.Work" },
		{ "example.com\035user\037z.oe", "example.com!user.z^oe" },
		{ "DELETED\037user\037u003\037Archive\0376B04A0A8",
		  "DELETED.user.u003.Archive.6B04A0A8" },
		{ "user\037x\037Caf&AOk-", "user.x.Caf&AOk-" },
		{ "", "" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct buf b = BUF_NULL;
		mboxlist_add_internal_name(&b, span_of_str(cases[i].dbname));
		CU_ASSERT_STRING_EQUAL(buf_str(&b), cases[i].name);
		buf_fini(&b);
	}
}

static void finds_the_user_of_a_mailbox(void)
{
	static const struct {
		const char *name, *prefix, *user; /* NULL: nobody's */
	} cases[] = {
		{ "user.joe", "DELETED", "joe" },
		{ "user.joe.Sub.Sub", "DELETED", "joe" },
		{ "user.joe^smith.Sub", "DELETED", "joe.smith" },
		{ "example.com!user.zoe", "DELETED", "zoe@example.com" },
		{ "example.com!user.z^oe.Work", "DELETED", "z.oe@example.com" },
		{ "DELETED.user.joe.6B046900", "DELETED", "joe" },
		{ "DELETED.user.joe.Sub.6B046900", "DELETED", "joe" },
		{ "DELETED.user.joe.Sub", "DELETED", "joe" },
		{ "DELETED.user.deadbeef", "DELETED", "deadbeef" }, /* no stamp: lower case */
		{ "DELETED.user.6B0469000", "DELETED", "6B0469000" },
		{ "example.com!DELETED.user.zoe.W.6B046900", "DELETED", "zoe@example.com" },
		{ "GONE.user.joe.6B046900", "GONE", "joe" },
		{ "user.joe.6B046900", "DELETED", "joe" },
		{ "user.6B046900", "DELETED", "6B046900" },
		{ "DELETED.user.6B046900", "DELETED", NULL }, /* the shared mailbox "user" */
		{ "DELETED.user.joe.6B046900", "GONE", NULL },
		{ "DELETED.user.joe.6B046900", NULL, NULL },
		{ "DELETED.shared.6B046900", "DELETED", NULL },
		{ "DELETED", "DELETED", NULL },
		{ "DELETED.", "DELETED", NULL },
		{ "user", "DELETED", NULL },
		{ "user.", "DELETED", NULL },
		{ "user..x", "DELETED", NULL },
		{ "username.x", "DELETED", NULL },
		{ "shared.user.joe", "DELETED", NULL },
		{ "example.com!shared", "DELETED", NULL },
		{ "", "DELETED", NULL },
		{ "!", "DELETED", NULL },
		{ "user.joe", "", "joe" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct buf b = BUF_NULL;
		bool found = mailbox_name_add_user(&b, span_of_str(cases[i].name), cases[i].prefix);
		CU_ASSERT_EQUAL(found, cases[i].user != NULL);
		CU_ASSERT_STRING_EQUAL(buf_str(&b), cases[i].user ? cases[i].user : "");
		buf_fini(&b);
	}
}

static void tells_deleted_mailboxes_from_others(void)
{
	static const struct {
		const char *name, *prefix;
		bool deleted;
	} cases[] = {
		{ "DELETED.user.joe.6B046900", "DELETED", true },
		{ "example.com!DELETED.user.zoe.W.6B046900", "DELETED", true },
		{ "GONE.shared.6B046900", "GONE", true },
		{ "DELETED.user.joe.6B046900", "GONE", false },
		{ "DELETED", "DELETED", false },
		{ "DELETEDX.user", "DELETED", false },
		{ "deleted.user.joe", "DELETED", false },
		{ "user.DELETED.x", "DELETED", false },
		{ "DELETED.user.joe", NULL, false },
		{ "DELETED.user.joe", "", false },
		{ "", "DELETED", false },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_EQUAL(mailbox_name_is_deleted(span_of_str(cases[i].name),
							cases[i].prefix),
				cases[i].deleted);
}

static const struct test_case cases[] = {
	{ "reads_a_real_mailbox", reads_a_real_mailbox },
	{ "reads_a_real_tombstone_and_an_intermediate",
	  reads_a_real_tombstone_and_an_intermediate },
	{ "reads_every_class_and_flag", reads_every_class_and_flag },
	{ "takes_a_mailbox_named_with_its_server_for_remote",
	  takes_a_mailbox_named_with_its_server_for_remote },
	{ "takes_fields_in_any_order_and_ignores_unknown_ones",
	  takes_fields_in_any_order_and_ignores_unknown_ones },
	{ "takes_an_entry_without_unique_id", takes_an_entry_without_unique_id },
	{ "passes_over_the_other_indexes", passes_over_the_other_indexes },
	{ "refuses_the_records_of_older_releases", refuses_the_records_of_older_releases },
	{ "refuses_damaged_values", refuses_damaged_values },
	{ "refuses_names_that_cannot_be", refuses_names_that_cannot_be },
	{ "refuses_ids_and_partitions_with_a_nul", refuses_ids_and_partitions_with_a_nul },
	{ "refuses_a_value_cut_anywhere", refuses_a_value_cut_anywhere },
	{ "turns_database_names_into_internal_ones", turns_database_names_into_internal_ones },
	{ "finds_the_user_of_a_mailbox", finds_the_user_of_a_mailbox },
	{ "tells_deleted_mailboxes_from_others", tells_deleted_mailboxes_from_others },
};

const struct test_suite suite_format_mboxlist = { "format/mboxlist", cases, array_size(cases) };
