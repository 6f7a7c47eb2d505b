// SPDX-License-Identifier: Apache-2.0
/*
 * The command line of every campaign. A count of nothing is refused: it would prove nothing.
 */
#include "campaign/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/span.h"

static int parse_number(const char *program, const char *text, uint64_t max, uint64_t *ret)
{
	int r = span_parse_u64(span_of_str(text), max, ret);

	if (r)
		fprintf(stderr, "%s: not a number up to %" PRIu64 ": %s\n", program, max, text);
	return r;
}

int arguments_parse(const char *program, uint64_t count_max, int argc, char **argv,
		    struct arguments *ret_arguments)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int option, r = 0;

	*ret_arguments = (struct arguments){ .dir = NULL };
	while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			r = parse_number(program, optarg, UINT64_MAX, &ret_arguments->seed);
		else if (option == 'n')
			r = parse_number(program, optarg, count_max, &ret_arguments->count);
		else
			r = -EINVAL;
	}
	if (r == 0 && (optind + 1 != argc || ret_arguments->count == 0))
		r = -EINVAL;
	if (r == 0)
		ret_arguments->dir = argv[optind];
	else
		fprintf(stderr, "usage: %s DIR --seed S --count N   (N from 1)\n", program);
	return r;
}
