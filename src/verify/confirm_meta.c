/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second look at metadata: all of it once more, under the entry that the list has now. A
 * problem stands when both looks saw it; one between files that do not change at one moment only if
 * both saw the same. What the first look did not see is looked at a third time.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "verify/scanning.h"

/* Opens the mailbox as it is listed now. Results as confirm(): LOOK_AGAIN + 1 when it is open. */
enum { IS_OPEN = 2 };
static int reopen(struct scanning *s, struct suspicion *what, struct relook *again)
{
	*again = (struct relook){ NULL, MAILBOX_INDEX_NULL };
	int r = survey_refresh(s, what->mailbox, &what->report, &again->mailbox);

	if (r == SURVEY_GONE)
		return tell_in_flight(s, what);
	if (r)
		return r == -ENOMEM
			       ? r
			       : tell_gap(s, what, "cannot tell what the list says of the mailbox");
	r = mailbox_open_dirs(again->mailbox);
	if (r == 0)
		r = mailbox_index_open(&again->ix, again->mailbox);
	if (r)
		return confirm_unopenable(s, what, r);
	if (again->ix.state == INDEX_GONE)
		return tell_in_flight(s, what);
	return again->ix.state == INDEX_GOOD ? IS_OPEN : LOOK_AGAIN;
}

/* What only the first look saw has gone. */
static int tell_gone(struct scanning *s, const struct suspicion *what, const struct report *now)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < what->report.nr; i++)
		if (!report_find(now, &what->report.problems[i]))
			r = tell_problem_in_flight(s, what->mailbox,
						   what->report.problems[i].object);
	return r;
}

/* Says what stands and takes it out of `now`; what remains there is to be looked at again. */
static int tell_standing(struct scanning *s, const struct suspicion *what, struct mailbox *mailbox,
			 struct report *now)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < now->nr; i++) {
		const struct problem *before = report_find(&what->report, &now->problems[i]);
		if (before && problem_stands(before, &now->problems[i]))
			r = tell_problem(s, mailbox, &now->problems[i]);
		else
			now->problems[kept++] = now->problems[i];
	}
	now->nr = kept;
	return r;
}

int confirm_meta(struct scanning *s, struct suspicion *what)
{
	struct meta_options options;
	struct report now = REPORT_NULL;
	struct relook again;
	int r = reopen(s, what, &again);

	if (r == IS_OPEN) {
		pass_get_meta_options(s, &options);
		r = meta_look(again.mailbox, &again.ix, &options, &now);
		if (r == -ESTALE || r == -ENODATA)
			r = LOOK_AGAIN;
		else if (r)
			r = r == -ENOMEM ? r : tell_gap(s, what, strerror(-r));
		else if (now.has_failed)
			r = -ENOMEM;
		else
			r = tell_gone(s, what, &now);
		if (r == RESOLVED && again.mailbox) {
			uint64_t unnamed = now.nr_left_out;
			/* The key by which coverage knows it is that of the pass. */
			r = tell_standing(s, what, what->mailbox, &now);
			if (r == 0 && unnamed && now.nr == 0)
				r = tell_gap(s, what,
					     "more is wrong with this mailbox than can be told");
			if (r == 0 && (now.nr || now.is_unsettled)) {
				report_fini(&what->report);
				what->report = now;
				now = REPORT_NULL;
				r = LOOK_AGAIN;
			}
		}
	}
	report_fini(&now);
	relook_close(&again);
	return r;
}
