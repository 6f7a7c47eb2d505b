// SPDX-License-Identifier: Apache-2.0
/*
 * Select: which mailboxes a scan of less than the store goes through, and the words that it is
 * remembered by.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "verify/select.h"

static struct imapd_conf conf_of(const char *text)
{
	struct imapd_conf conf = IMAPD_CONF_NULL;

	CU_ASSERT_EQUAL(imapd_conf_parse(&conf, span_of_str(text), "test", 0, NULL, NULL, NULL), 0);
	return conf;
}

static bool wants(const struct scan_selection *selection, const char *conf_text, const char *name)
{
	struct imapd_conf conf = conf_of(conf_text);
	struct map found = MAP_NULL;
	struct mailbox_row row = { .key = span_of_str(name), .name = span_of_str(name) };

	CU_ASSERT_EQUAL(map_put(&found, span_of_str("user.found"), 0), 0);
	bool wanted = selection_wants(selection, &conf, &found, &row);
	map_fini(&found);
	imapd_conf_fini(&conf);
	return wanted;
}

static void wants_everything_when_nothing_is_selected(void)
{
	struct scan_selection all = { 0 };

	CU_ASSERT_TRUE(selection_is_empty(&all));
	CU_ASSERT_TRUE(wants(&all, "", "user.a"));
	CU_ASSERT_TRUE(wants(&all, "", "shared"));
}

static void knows_a_mailbox_by_either_name(void)
{
	static const struct {
		const char *given, *conf, *name;
		bool wanted;
	} rows[] = {
		{ "user.a.Sent", "", "user.a.Sent", true },
		{ "user/a/Sent", "", "user.a.Sent", true },
		{ "user/a.b/Sent", "", "user.a^b.Sent", true },
		{ "user/zoe/Work@example.com", "", "example.com!user.zoe.Work", true },
		{ "example.com!user.zoe.Work", "", "example.com!user.zoe.Work", true },
		{ "user/a", "", "user.a.Sent", false },
		{ "user.a", "", "user.ab", false },
		{ "user.a.Sent", "unixhierarchysep: no\n", "user.a.Sent", true },
		{ "user/a", "unixhierarchysep: no\n", "user.a", false },
		{ "", "", "user.a", false },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		char *given = strdup(rows[i].given);
		struct scan_selection selection = { .mailboxes = &given, .nr_mailboxes = 1 };
		CU_ASSERT_FALSE(selection_is_empty(&selection));
		CU_ASSERT_EQUAL(wants(&selection, rows[i].conf, rows[i].name), rows[i].wanted);
		free(given);
	}
}

static void takes_all_mailboxes_of_a_user(void)
{
	char users[2][32] = { "a.b", "zoe@example.com" };
	char *list[] = { users[0], users[1] };
	struct scan_selection selection = { .users = list, .nr_users = 2 };

	CU_ASSERT_TRUE(wants(&selection, "", "user.a^b"));
	CU_ASSERT_TRUE(wants(&selection, "", "user.a^b.Sent"));
	CU_ASSERT_TRUE(wants(&selection, "", "DELETED.user.a^b.Old.6B046900"));
	CU_ASSERT_TRUE(wants(&selection, "deletedprefix: GONE\n", "GONE.user.a^b.Old.6B046900"));
	CU_ASSERT_TRUE(wants(&selection, "", "example.com!user.zoe.Work"));
	CU_ASSERT_FALSE(wants(&selection, "", "user.a"));
	CU_ASSERT_FALSE(wants(&selection, "", "user.zoe"));
	CU_ASSERT_FALSE(wants(&selection, "", "shared"));
}

static void narrows_to_mailboxes_with_findings(void)
{
	char user[] = "found";
	char *users[] = { user };
	struct scan_selection selection = { .only_findings = true };

	CU_ASSERT_TRUE(wants(&selection, "", "user.found"));
	CU_ASSERT_FALSE(wants(&selection, "", "user.other"));
	selection.users = users;
	selection.nr_users = 1;
	CU_ASSERT_TRUE(wants(&selection, "", "user.found"));
	CU_ASSERT_FALSE(wants(&selection, "", "user.found.Sent"));
}

static void names_its_scope_in_words(void)
{
	char mailbox[] = "user.a", user[] = "b";
	char *mailboxes[] = { mailbox }, *users[] = { user };
	struct scan_selection selection = { 0 };
	struct buf scope = BUF_NULL;

	selection_add_scope(&scope, &selection, false, 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&scope), "");
	selection_add_scope(&scope, &selection, true, 0);
	CU_ASSERT_STRING_EQUAL(buf_str(&scope), "quick");
	buf_clear(&scope);
	selection = (struct scan_selection){ mailboxes, 1, users, 1, true };
	selection_add_scope(&scope, &selection, false, 1764000000 * NS_PER_S);
	CU_ASSERT_STRING_EQUAL(buf_str(&scope),
			       "mailbox user.a user b only-findings since 2025-11-24T16:00:00Z");
	buf_fini(&scope);
}

static const struct test_case cases[] = {
	CASE(wants_everything_when_nothing_is_selected),
	CASE(knows_a_mailbox_by_either_name),
	CASE(takes_all_mailboxes_of_a_user),
	CASE(narrows_to_mailboxes_with_findings),
	CASE(names_its_scope_in_words),
};

const struct test_suite suite_verify_select = { "verify/select", cases, array_size(cases) };
