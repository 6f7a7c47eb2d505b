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
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.acl), "alice\tlrswipkxtecdan\tb.ob\tlrs\t");
	CU_ASSERT_EQUAL(entry.form, MBOXLIST_BY_ID);
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
		  "A %(u001 lrswipkxtecda) H ())" },
		{ "Iby8p4az7d4y6n2o8n3yficxh", "%(T ei N user\037u003 M 1795465382 H ())" },
		{ "Jalice\036J123", "%(T e N user\037x I abc)" },
		{ "J\036J123", "%(T e N x I NIL)" },
		{ "AU\036alice\036user\037bob", "" },
		{ "AS\036anyone\036shared", "" },
		{ "AS\036", "" },
		{ "\037VER\037", "2" },
		{ "$RACL", "" }, /* 3.0 */
		{ "$RACL", "3" },
		{ "$RUNQ", "1" },
		{ "$RACL$U$alice$user.bob", "" },
		{ "$RACL$S$anyone$shared", "" },
		{ "$RUNQ$abc$user.bob", "" },
	};

	for (size_t i = 0; i < array_size(others); i++)
		CU_ASSERT_EQUAL(parse_only(others[i].key, others[i].value), MBOXLIST_OTHER);
}

/* ---- Lists of 2.5 to 3.4 ---- */

static void reads_a_list_of_2_5_to_3_4(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(parse("example.com!user.b^ob.Sub Folder",
			      "%(A %(b.ob@example.com lrswipkxtecda anyone p) I "
			      "4ed2ff9e-15a4-44a5-9a0b-2d1d9bb1ef1e P default V 1420070400 C 5 F 7 "
			      "M 1420070401)",
			      &entry),
			0);
	CU_ASSERT_EQUAL(entry.form, MBOXLIST_DLIST);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "example.com!user.b^ob.Sub Folder");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), "4ed2ff9e-15a4-44a5-9a0b-2d1d9bb1ef1e");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "default");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.acl), "b.ob@example.com\tlrswipkxtecda\tanyone\tp\t");
	CU_ASSERT_EQUAL(entry.uidvalidity, 1420070400);
	CU_ASSERT(entry.legacy_dirs);
	CU_ASSERT(mailbox_entry_is_live(&entry));
	/* A tombstone, into the same entry. */
	CU_ASSERT_EQUAL(parse("user.joe", "%(I 12ab T d V 17 M 1420070401)", &entry), 0);
	CU_ASSERT(entry.deleted);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.acl), "");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "");
	mailbox_entry_fini(&entry);
}

static void reads_the_types_of_2_5_to_3_4(void)
{
	static const struct {
		const char *type;
		bool deleted, moving, remote, reserved, intermediate;
	} cases[] = {
		{ "d", true, false, false, false, false },
		{ "m", false, true, false, false, false },
		{ "r", false, false, true, false, false },
		{ "z", false, false, false, true, false },
		{ "i", false, false, false, false, true },
		{ "n", false, false, false, false, false },
		{ "c", false, false, false, false, false },
		{ "b", false, false, false, false, false },
		{ "a", false, false, false, false, false },
		{ "s", false, false, false, false, false },
		{ "p", false, false, false, false, false },
		{ "dc", true, false, false, false, false },
		{ "dmrzci", true, true, true, true, true },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
		struct buf value = BUF_NULL;
		buf_addf(&value, "%%(A %%() I abc P p T %s V 1)", cases[i].type);
		CU_ASSERT_EQUAL(parse("user.x.#calendars.Default", buf_str(&value), &entry), 0);
		CU_ASSERT_EQUAL(entry.form, MBOXLIST_DLIST);
		CU_ASSERT_EQUAL(entry.deleted, cases[i].deleted);
		CU_ASSERT_EQUAL(entry.moving, cases[i].moving);
		CU_ASSERT_EQUAL(entry.remote, cases[i].remote);
		CU_ASSERT_EQUAL(entry.reserved, cases[i].reserved);
		CU_ASSERT_EQUAL(entry.intermediate, cases[i].intermediate);
		CU_ASSERT(entry.legacy_dirs);
		buf_fini(&value);
		mailbox_entry_fini(&entry);
	}
}

/* The letters that mark a key in 3.6 begin names in older lists, and none of these may vanish. */
static void tells_the_forms_apart(void)
{
	static const char text[] = "0 default joe\tlrs\t";
	static const char plain[] = "%(A %(joe lrs) I 12ab P default V 17)";
	static const char calendar[] = "%(A %(joe lrs) I 12ab P default T c V 17)";
	static const char new_mail[] = "%(T e I 12ab P default V 17)";
	static const char new_calendar[] = "%(T c I 12ab P default V 17)";
	static const struct {
		const char *key, *value;
		enum mboxlist_form form;
		const char *name; /* NULL: refused */
	} cases[] = {
		{ "News", text, MBOXLIST_TEXT, "News" },
		{ "News", plain, MBOXLIST_DLIST, "News" },
		{ "News", calendar, MBOXLIST_DLIST, "News" },
		{ "News", new_mail, MBOXLIST_BY_ID, "ews" },
		{ "News", new_calendar, MBOXLIST_BY_ID, "ews" },
		{ "News", "%(I 12ab P default V 17 T e)", MBOXLIST_BY_ID, "ews" },
		{ "News.x", "%(I 12ab T d V 17)", MBOXLIST_DLIST, "News.x" },
		{ "News", "%(T d I 12ab V 17)", MBOXLIST_DLIST, "News" },
		{ "News", "%(T i I 12ab V 17)", MBOXLIST_DLIST, "News" },
		{ "N", text, MBOXLIST_TEXT, "N" },
		{ "N", plain, MBOXLIST_DLIST, "N" },
		{ "N", new_mail, 0, NULL },
		{ "Nuser\037joe", text, 0, NULL },
		{ "Nuser\037joe", plain, 0, NULL },
		{ "Nuser\037joe", calendar, 0, NULL },
		{ "Inbox", text, MBOXLIST_TEXT, "Inbox" },
		{ "Inbox", plain, MBOXLIST_DLIST, "Inbox" },
		{ "Inbox", calendar, MBOXLIST_DLIST, "Inbox" },
		{ "Inbox", new_mail, 0, NULL },
		{ "Jokes", text, MBOXLIST_TEXT, "Jokes" },
		{ "Jokes", plain, MBOXLIST_DLIST, "Jokes" },
		{ "J\036x", plain, 0, NULL },
		{ "Archive", text, MBOXLIST_TEXT, "Archive" },
		{ "Archive", plain, MBOXLIST_DLIST, "Archive" },
		{ "AU", plain, MBOXLIST_DLIST, "AU" },
		{ "AX\036", plain, 0, NULL },
		{ "Archive", new_mail, 0, NULL },
		{ "Xarchive", new_mail, 0, NULL },
		{ "user\037joe", new_mail, 0, NULL },
		{ "user.joe", new_mail, 0, NULL },
		{ "$other", text, MBOXLIST_TEXT, "$other" },
		{ "$other", "x", 0, NULL },
		{ "$other", "", 0, NULL },
		{ "$RACL", text, MBOXLIST_TEXT, "$RACL" },
		{ "$RACLs", plain, MBOXLIST_DLIST, "$RACLs" },
		{ "$RACLs", "3", 0, NULL },
		{ "$RACL", "3 4", 0, NULL },
		{ "$RAC", "", 0, NULL },
		{ "\037VERS", "2", 0, NULL },
		{ "\037VERS", text, 0, NULL },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
		int r = parse(cases[i].key, cases[i].value, &entry);
		if (!cases[i].name) {
			CU_ASSERT_EQUAL(r, -EBADMSG);
		} else {
			CU_ASSERT_EQUAL(r, 0);
			CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), cases[i].name);
			CU_ASSERT_EQUAL(entry.form, cases[i].form);
			CU_ASSERT_EQUAL(entry.legacy_dirs, cases[i].form != MBOXLIST_BY_ID);
		}
		mailbox_entry_fini(&entry);
	}
}

static void refuses_damaged_lists_of_2_5_to_3_4(void)
{
	static const char *const wrong[] = {
		"%(A %(joe lrs) I 12ab P p V 17",
		"%(A %(joe lrs) I 12ab P p V 17) x",
		"%(A %(joe lrs) I 12ab V 17)", /* live, and on no partition */
		"%(A %(joe) I 12ab P p V 17)",
		"%(A (joe lrs) I 12ab P p V 17)",
		"%(A %(joe \"l\ts\") I 12ab P p V 17)",
		"%(A %(joe lrs) I (12ab) P p V 17)",
		"%(A %(joe lrs) I 12ab P (p) V 17)",
		"%(A %(joe lrs) I 12ab P p V x)",
		"%(A %(joe lrs) I 12ab P p V 4294967296)",
		"%(A %(joe lrs) I 12ab P p S (x) V 17)",
		"%(A %(joe lrs) I 12ab P p T l V 17)", /* only 3.6 says so */
		"%(A %(joe lrs) I 12ab P p T cl V 17)",
		"%(A %(joe lrs) I 12ab P p T x V 17)",
		"%(A %(joe lrs) I 12ab P p T e V 17)",
		"%(A %(joe lrs) I 12ab P p T \"\" V 17)",
		"%(A %(joe lrs) I 12ab P p T NIL V 17)",
		"%(A %(joe lrs) I 12ab P p T (d) V 17)",
		"%(A %(joe lrs) A %() I 12ab P p V 17)",
		"%(A %(joe lrs) I 12ab I 12ab P p V 17)",
		"%(A %(joe lrs) I 12ab P p P p V 17)",
		"%(A %(joe lrs) I 12ab P p V 17 V 17)",
	};

	for (size_t i = 0; i < array_size(wrong); i++)
		(void)CU_assertImplementation(parse_only("user.joe", wrong[i]) == -EBADMSG,
					      __LINE__, wrong[i], __FILE__, "", CU_FALSE);
}

/* ---- Text ---- */

static void reads_the_text_of_2_4_and_before(void)
{
	static const struct {
		const char *value, *id, *partition, *acl;
		bool live, remote, moving, deleted, reserved, intermediate;
	} cases[] = {
		{ "0 default joe\tlrswipcda\tanyone\tp\t", "", "default",
		  "joe\tlrswipcda\tanyone\tp\t", .live = true },
		{ "0 default ", "", "default", "", .live = true },
		{ "(uniqueid 12ab specialuse \\Sent) 0 default joe\tlrs\t", "12ab", "default",
		  "joe\tlrs\t", .live = true },
		{ "(specialuse \\Sent uniqueid 12ab) 0 default joe\tlrs\t", "12ab", "default",
		  "joe\tlrs\t", .live = true },
		{ "(uniqueid 12ab) 0 default ", "12ab", "default", "", .live = true },
		{ "(specialuse \\Sent) 0 default ", "", "default", "", .live = true },
		{ "(later x) 0 default ", "", "default", "", .live = true },
		{ "4 default ", "", "default", "", .live = true }, /* netnews */
		{ "32 default ", "", "default", "", .live = true },
		{ "64 default ", "", "default", "", .live = true },
		{ "128 default ", "", "default", "", .live = true },
		{ "512 default ", "", "default", "", .live = true },
		{ "1024 default ", "", "default", "", .live = true },
		{ "1 imap7 joe\tlrs\t", "", "imap7", "joe\tlrs\t", .remote = true },
		{ "1 imap7!default ", "", "default", "", .remote = true },
		{ "0 imap7!default ", "", "default", "", .remote = true },
		{ "1  ", "", "", "", .remote = true },
		{ "2 default ", "", "default", "", .reserved = true },
		{ "8 imap7!default ", "", "default", "", .live = true, .moving = true },
		{ "8 default ", "", "default", "", .live = true, .moving = true },
		{ "9 imap7!default ", "", "default", "", .remote = true, .moving = true },
		{ "256  ", "", "", "", .intermediate = true },
		{ "16 default joe\tlrs\t", "", "", "", .deleted = true },
		{ "16", "", "", "", .deleted = true },
		{ "16 ", "", "", "", .deleted = true },
		{ "16 (null)", "", "", "", .deleted = true },
		{ "(uniqueid 12ab) 16  ", "12ab", "", "", .deleted = true },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
		CU_ASSERT_EQUAL(parse("user.b^ob", cases[i].value, &entry), 0);
		CU_ASSERT_EQUAL(entry.form, MBOXLIST_TEXT);
		CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "user.b^ob");
		CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), cases[i].id);
		CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), cases[i].partition);
		CU_ASSERT_STRING_EQUAL(buf_str(&entry.acl), cases[i].acl);
		CU_ASSERT_EQUAL(mailbox_entry_is_live(&entry), cases[i].live);
		CU_ASSERT_EQUAL(entry.remote, cases[i].remote);
		CU_ASSERT_EQUAL(entry.moving, cases[i].moving);
		CU_ASSERT_EQUAL(entry.deleted, cases[i].deleted);
		CU_ASSERT_EQUAL(entry.reserved, cases[i].reserved);
		CU_ASSERT_EQUAL(entry.intermediate, cases[i].intermediate);
		CU_ASSERT(entry.legacy_dirs);
		CU_ASSERT_EQUAL(entry.uidvalidity, 0);
		mailbox_entry_fini(&entry);
	}
}

static void refuses_damaged_text(void)
{
	static const char *const wrong[] = {
		"",
		" ",
		"0",
		"0 ",
		"0 default",	     /* cut before the rights */
		"0  joe\tlrs\t",     /* live, and on no partition */
		"8 imap7! joe\tl\t", /* moving, and from no partition */
		"default joe\tlrs\t",
		"-1 default joe\tlrs\t",
		"x default joe\tlrs\t",
		" 0 default joe\tlrs\t",
		"0x default joe\tlrs\t",
		"2048 default joe\tlrs\t", /* nobody knows where it is */
		"4294967296 default joe\tlrs\t",
		"2064", /* as a tombstone, too */
		"0 default joe\tlrs",
		"0 default joe",
		"0 default \tlrs\t",
		"0 default joe\tlrs\t\n",
		"(uniqueid 12ab",
		"(uniqueid 12ab)",
		"(uniqueid 12ab)0 default joe\tlrs\t",
		"(uniqueid 12ab) ",
		"(uniqueid 12ab) default joe\tlrs\t",
		"() 0 default joe\tlrs\t",
		"( ) 0 default joe\tlrs\t",
		"(uniqueid) 0 default joe\tlrs\t",
		"(uniqueid ) 0 default joe\tlrs\t",
		"( 12ab) 0 default joe\tlrs\t",
		"(uniqueid  12ab) 0 default joe\tlrs\t",
		"(uniqueid 12ab ) 0 default joe\tlrs\t",
		"(uniqueid 12ab specialuse) 0 default joe\tlrs\t",
		"(uniqueid 12ab uniqueid 12ab) 0 default joe\tlrs\t",
	};
	static const char in_rights[] = "0 default joe\tl\0s\t";
	static const char in_partition[] = "0 de\0ault ";
	static const char in_id[] = "(uniqueid 1\0ab) 0 default ";
	struct span nuls[] = { span_of(in_rights, sizeof(in_rights) - 1),
			       span_of(in_partition, sizeof(in_partition) - 1),
			       span_of(in_id, sizeof(in_id) - 1) };
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	for (size_t i = 0; i < array_size(wrong); i++)
		(void)CU_assertImplementation(parse_only("user.joe", wrong[i]) == -EBADMSG,
					      __LINE__, wrong[i], __FILE__, "", CU_FALSE);
	for (size_t i = 0; i < array_size(nuls); i++)
		CU_ASSERT_EQUAL(mboxlist_parse(span_of_str("x"), nuls[i], &entry), -EBADMSG);
	static const char *const names[] = { "a/b", "/", "a\035b", "a\036", "\037" };
	for (size_t i = 0; i < array_size(names); i++)
		CU_ASSERT_EQUAL(parse(names[i], "0 default ", &entry), -EBADMSG);
	CU_ASSERT_EQUAL(mboxlist_parse(span_of("a\0b", 3), span_of_str("0 default "), &entry),
			-EBADMSG);
	mailbox_entry_fini(&entry);
}

/* Text has no end of its own: only where an entry of the rights ends is it whole. */
static void refuses_text_cut_anywhere_within_its_parts(void)
{
	static const char value[] = "(uniqueid 12ab) 0 default joe\tlrs\tbob\tl\t";
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	unsigned good = 0;

	for (size_t len = 0; len < sizeof(value); len++) {
		char *copy = malloc(len ? len : 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, value, len);
		int r = mboxlist_parse(span_of_str("x"), span_of(copy, len), &entry);
		CU_ASSERT(r == 0 || r == -EBADMSG);
		if (r == 0)
			CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "default");
		good += r == 0;
		free(copy);
	}
	CU_ASSERT_EQUAL(good, 3); /* without rights, with those of joe, with all */
	mailbox_entry_fini(&entry);
}

/* ---- The way back from an id ---- */

static int parse_id(const char *key, const char *value, struct mailbox_entry *entry)
{
	return mboxlist_parse_id(span_of_str(key), span_of_str(value), entry);
}

static void reads_where_an_id_points(void)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	CU_ASSERT_EQUAL(parse_id("I7sye93mzzdzl4e6ovpyf2thj",
				 "%(T el N \"example.com\035user\037z.oe\037Sent\" P default V "
				 "1795465383 C 1 F 1 M 1795465382 A %(zoe lrs) H (%(N user\037old "
				 "T e P other)))",
				 &entry),
			0);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), "7sye93mzzdzl4e6ovpyf2thj");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "example.com!user.z^oe.Sent");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.partition), "default");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.acl), "zoe\tlrs\t");
	CU_ASSERT_EQUAL(entry.uidvalidity, 1795465383);
	CU_ASSERT_EQUAL(entry.form, MBOXLIST_BY_ID);
	CU_ASSERT(entry.legacy_dirs);
	CU_ASSERT(mailbox_entry_is_live(&entry));
	CU_ASSERT_EQUAL(parse_id("Ix", "%(T ei N user\037u003 M 1795465382 H ())", &entry), 0);
	CU_ASSERT(entry.intermediate);
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.name), "user.u003");
	CU_ASSERT_STRING_EQUAL(buf_str(&entry.unique_id), "x");
	mailbox_entry_fini(&entry);
}

static void reads_no_id_from_other_records(void)
{
	static const struct {
		const char *key, *value;
	} others[] = {
		{ "Nuser\037x", "%(T e I abc P p V 1)" },
		{ "J\036x", "%(T e N x I abc P p V 1)" },
		{ "AU\036alice\036user\037bob", "" },
		{ "Inbox", "0 default joe\tlrs\t" },
		{ "Inbox", "%(A %(anyone lrs) I 12ab P default V 17)" },
		{ "Inbox", "" },
		{ "\037VER\037", "2" },
	};
	static const char *const wrong[] = {
		"%(T e N x P p V 1",	    "%(T e N x P p V 1)x",    "%(T e N x V 1)",
		"%(T x N x P p V 1)",	    "%(T d N x P p V 1)",     "%(N x P p V 1)",
		"%(T e N NIL P p V 1)",	    "%(T e N \"\" P p V 1)",  "%(T e N (x) P p V 1)",
		"%(T e N x/y P p V 1)",	    "%(T e N x N x P p V 1)", "%(T e N {1}\r\n/ P p V 1)",
		"%(T e N x P p V x)",	    "%(T e N x P (p) V 1)",   "%(T e N x P p V 1 S ())",
		"%(T e N x P p V 1 A (x))",
	};
	static const char nul[] = "%(T e N {3}\r\na\0b P p V 1)";
	static const char good[] = "%(T e N x P p V 1)";
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;

	for (size_t i = 0; i < array_size(others); i++)
		CU_ASSERT_EQUAL(parse_id(others[i].key, others[i].value, &entry), MBOXLIST_OTHER);
	for (size_t i = 0; i < array_size(wrong); i++)
		(void)CU_assertImplementation(parse_id("Iabc", wrong[i], &entry) == -EBADMSG,
					      __LINE__, wrong[i], __FILE__, "", CU_FALSE);
	CU_ASSERT_EQUAL(mboxlist_parse_id(span_of_str("Ix"), span_of(nul, sizeof(nul) - 1), &entry),
			-EBADMSG);
	CU_ASSERT_EQUAL(parse_id("", good, &entry), -EBADMSG);
	CU_ASSERT_EQUAL(parse_id("I", good, &entry), -EBADMSG);
	CU_ASSERT_EQUAL(mboxlist_parse_id(span_of("Ia\0b", 4), span_of_str(good), &entry),
			-EBADMSG);
	CU_ASSERT_EQUAL(parse_id("Iabc", good, &entry), 0);
	mailbox_entry_fini(&entry);
}

/* ---- Damage ---- */

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
		"%(T e I abc P p V 1 A %(x))",
		"%(T e I abc P p V 1 A %(x (l)))",
		"%(T e I abc P p V 1 A %(x \"l\ts\"))",
		"%(T \"l\" I abc P p V 1)",
		"%(T el1 I abc P p V 1)",
		"%(T ee I abc P p V 1)",
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
	CASE(reads_a_real_mailbox),
	CASE(reads_a_real_tombstone_and_an_intermediate),
	CASE(reads_every_class_and_flag),
	CASE(takes_a_mailbox_named_with_its_server_for_remote),
	CASE(takes_fields_in_any_order_and_ignores_unknown_ones),
	CASE(takes_an_entry_without_unique_id),
	CASE(passes_over_the_other_indexes),
	CASE(reads_a_list_of_2_5_to_3_4),
	CASE(reads_the_types_of_2_5_to_3_4),
	CASE(tells_the_forms_apart),
	CASE(refuses_damaged_lists_of_2_5_to_3_4),
	CASE(reads_the_text_of_2_4_and_before),
	CASE(refuses_damaged_text),
	CASE(refuses_text_cut_anywhere_within_its_parts),
	CASE(reads_where_an_id_points),
	CASE(reads_no_id_from_other_records),
	CASE(refuses_damaged_values),
	CASE(refuses_names_that_cannot_be),
	CASE(refuses_ids_and_partitions_with_a_nul),
	CASE(refuses_a_value_cut_anywhere),
	CASE(turns_database_names_into_internal_ones),
	CASE(finds_the_user_of_a_mailbox),
	CASE(tells_deleted_mailboxes_from_others),
};

const struct test_suite suite_format_mboxlist = { "format/mboxlist", cases, array_size(cases) };
