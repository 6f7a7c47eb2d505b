// SPDX-License-Identifier: Apache-2.0
/*
 * Runs the unit tests: unit [-l] [SUITE[/...]...]
 *
 * Each suite runs in a child of its own, so that a crash, an endless loop or an exit in one costs
 * that suite and no other. What happened goes to stdout, one line a test:
 *
 *   ok SUITE: test_name
 *   not ok SUITE: test_name: file:line: assertion
 *   skip SUITE: test_name: reason
 *
 * and a last line counts them. Nothing passes by default: a test that asserts nothing fails, so
 * does a suite without tests, one that ends before its last test, and a run without any. The exit
 * status is 0 when something passed and nothing failed.
 *
 * The parent learns from a page that it shares with the child, and from how the child ended; the
 * page says which test was running when it died.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "skip.h"

#define SUITE(name) extern const struct test_suite name;
#include "suites.inc"
#undef SUITE

static const struct test_suite *const suites[] = {
#define SUITE(name) &name,
#include "suites.inc"
#undef SUITE
	NULL, /* so that a tree without tests compiles */
};

enum { TIMEOUT_S = 60 }; /* for a whole suite; the slowest takes a few seconds under sanitizers */

/* What a child tells its parent. */
struct progress {
	unsigned passed, failed, skipped;
	bool ended;	   /* the last test was reached and reported */
	char running[256]; /* the test that runs now */
};

static struct progress *progress;

static const char *suite_name;	/* in the child: its suite */
static char skip_reason[512];	/* in the child: of the running test; "" when it was not skipped */
static unsigned asserts_before; /* in the child: the count when the running test began */

void test_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(skip_reason, sizeof(skip_reason), fmt, args);
	va_end(args);
}

static void report_failure(const char *test, const char *why)
{
	printf("not ok %s: %s: %s\n", suite_name, test, why);
	progress->failed++;
}

static void on_test_start(const CU_pTest test, const CU_pSuite suite)
{
	(void)suite;
	(void)snprintf(progress->running, sizeof(progress->running), "%s", test->pName);
	skip_reason[0] = '\0';
	asserts_before = CU_get_number_of_asserts();
	(void)fflush(stdout);
}

static void on_test_complete(const CU_pTest test, const CU_pSuite suite,
			     const CU_pFailureRecord failures)
{
	char why[1024];

	(void)suite;
	if (failures) {
		/* One line a test: the first failure, and how many came with it. */
		unsigned others = 0;
		for (CU_pFailureRecord f = failures->pNext; f; f = f->pNext)
			others++;
		(void)snprintf(why, sizeof(why), "%s:%u: %s", failures->strFileName,
			       failures->uiLineNumber, failures->strCondition);
		if (others)
			(void)snprintf(why + strlen(why), sizeof(why) - strlen(why),
				       " (and %u more)", others);
		report_failure(test->pName, why);
	} else if (skip_reason[0]) {
		printf("skip %s: %s: %s\n", suite_name, test->pName, skip_reason);
		progress->skipped++;
	} else if (CU_get_number_of_asserts() == asserts_before) {
		report_failure(test->pName, "asserts nothing");
	} else {
		printf("ok %s: %s\n", suite_name, test->pName);
		progress->passed++;
	}
	(void)fflush(stdout);
}

/* True when `filter`, a suite, a folder of suites or a suite and a test, selects this test. */
static bool filter_selects(const char *filter, const char *suite, const char *test)
{
	char name[512];
	size_t len = strlen(filter);

	while (len && filter[len - 1] == '/')
		len--;
	(void)snprintf(name, sizeof(name), "%s/%s", suite, test);
	return strncmp(name, filter, len) == 0 && (name[len] == '/' || name[len] == '\0');
}

static bool is_selected(char **filters, const char *suite, const char *test)
{
	for (char **f = filters; *f; f++)
		if (filter_selects(*f, suite, test))
			return true;
	return !*filters;
}

static unsigned count_selected(char **filters, const struct test_suite *suite)
{
	unsigned count = 0;

	for (size_t i = 0; i < suite->nr_cases; i++)
		count += is_selected(filters, suite->name, suite->cases[i].name);
	return count;
}

/* The child: hands the suite to CUnit and lets the handlers report. */
static int suite_run(const struct test_suite *suite, char **filters)
{
	suite_name = suite->name;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0);
	(void)alarm(TIMEOUT_S);

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	CU_pSuite registered = CU_add_suite(suite->name, NULL, NULL);
	if (!registered)
		return 2;
	for (size_t i = 0; i < suite->nr_cases; i++) {
		const struct test_case *c = &suite->cases[i];
		if (!is_selected(filters, suite->name, c->name))
			continue;
		/* A second test of the same name counts as an error too. */
		if (!CU_add_test(registered, c->name, c->run) || CU_get_error() != CUE_SUCCESS) {
			report_failure(c->name, CU_get_error_msg());
			return 0;
		}
	}
	CU_set_test_start_handler(on_test_start);
	CU_set_test_complete_handler(on_test_complete);
	if (CU_run_all_tests() != CUE_SUCCESS)
		report_failure("(suite)", CU_get_error_msg());
	progress->ended = true;
	progress->running[0] = '\0';
	CU_cleanup_registry();
	return 0;
}

/* Says how a child died, or NULL when it ended as it should. */
static const char *child_failure(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		(void)snprintf(out, size, "not done after %d s", TIMEOUT_S);
	else if (WIFSIGNALED(status))
		(void)snprintf(out, size, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		(void)snprintf(out, size, "exit status %d", WEXITSTATUS(status));
	else
		return NULL;
	return out;
}

/* Runs one suite in a child and adds its counts to *total. */
static void suite_fork(const struct test_suite *suite, char **filters, struct progress *total)
{
	char buf[128];
	const char *why = NULL;

	memset(progress, 0, sizeof(*progress));
	suite_name = suite->name;
	(void)fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		exit(suite_run(suite, filters));
	if (child < 0) {
		why = strerror(errno);
	} else {
		int status;
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		(void)kill(-child, SIGKILL); /* what its tests may have left running */
		why = child_failure(status, buf, sizeof(buf));
		if (!why && !progress->ended && !progress->failed)
			why = "exited before the last test";
		if (!why && progress->passed + progress->failed + progress->skipped == 0)
			why = "has no tests";
	}
	if (why)
		report_failure(progress->running[0] ? progress->running : "(suite)", why);
	total->passed += progress->passed;
	total->failed += progress->failed;
	total->skipped += progress->skipped;
}

static void suite_list(const struct test_suite *suite, char **filters)
{
	for (size_t i = 0; i < suite->nr_cases; i++)
		if (is_selected(filters, suite->name, suite->cases[i].name))
			printf("%s/%s\n", suite->name, suite->cases[i].name);
}

int main(int argc, char **argv)
{
	struct progress total = { 0 };
	bool list = false;
	int opt;

	while ((opt = getopt(argc, argv, "l")) != -1) {
		if (opt != 'l') {
			(void)fprintf(stderr, "usage: unit [-l] [SUITE[/...]...]\n");
			return 3;
		}
		list = true;
	}
	char **filters = argv + optind;
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (progress == MAP_FAILED) {
		perror("unit: mmap");
		return 2;
	}
	for (size_t i = 0; i + 1 < array_size(suites); i++) {
		/* Without filters a suite that has no tests is run too, and fails. */
		if (*filters && count_selected(filters, suites[i]) == 0)
			continue;
		if (list)
			suite_list(suites[i], filters);
		else
			suite_fork(suites[i], filters, &total);
	}
	if (list)
		return 0;
	printf("%u passed, %u failed, %u skipped\n", total.passed, total.failed, total.skipped);
	if (total.passed + total.failed + total.skipped == 0)
		(void)fprintf(stderr, "unit: there is no such test\n");
	return total.passed > 0 && total.failed == 0 ? 0 : 1;
}
