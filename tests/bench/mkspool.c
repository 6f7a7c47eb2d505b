// SPDX-License-Identifier: Apache-2.0
/*
 * mkspool: builds a synthetic Cyrus store of any size, for benches and for trying things out.
 *
 *	mkspool DIR --messages N --mailboxes M [--seed S] [--size fixed:BYTES|lognormal] [--edges]
 *
 * Makes users user.u00001, user.u00002 ... and deals the messages out evenly, mailbox after
 * mailbox. With --edges the first mailbox begins with nine messages more, of sizes at which readers
 * turn: none, one byte, around a block, and more than a mebibyte. The last line on stdout says what was made: files, bytes, mailboxes, seconds. Nothing
 * is synced to the disk. Exit status 0, 1 when it could not, 3 for wrong usage.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/span.h"
#include "support/mkstore.h"

#define MAX_MESSAGES UINT64_C(1000000000) /* the clock of the store must fit 32 bits */
#define MAX_MAILBOXES UINT64_C(1000000)
#define MAX_FIXED_SIZE UINT64_C(0x7fffffff)

struct request {
	const char *dir;
	uint64_t messages;
	uint64_t mailboxes;
	bool edges;
	struct mkstore_options options;
};

static void print_usage(FILE *out)
{
	fputs("usage: mkspool DIR --messages N --mailboxes M [--seed S] "
	      "[--size fixed:BYTES|lognormal] [--edges]\n",
	      out);
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	int r = span_parse_u64(span_of_str(text), max, ret);

	if (r)
		fprintf(stderr, "mkspool: not a number up to %llu: %s\n", (unsigned long long)max,
			text);
	return r;
}

static int parse_size(const char *text, struct mkstore_options *options)
{
	if (!strcmp(text, "lognormal")) {
		options->size = MKSTORE_SIZE_LOGNORMAL;
		return 0;
	}
	if (strncmp(text, "fixed:", 6) != 0) {
		fprintf(stderr, "mkspool: neither fixed:BYTES nor lognormal: %s\n", text);
		return -EINVAL;
	}
	options->size = MKSTORE_SIZE_FIXED;
	return parse_number(text + 6, MAX_FIXED_SIZE, &options->fixed_size);
}

static int parse_arguments(int argc, char **argv, struct request *request)
{
	static const struct option OPTIONS[] = {
		{ "messages", required_argument, NULL, 'n' },
		{ "mailboxes", required_argument, NULL, 'm' },
		{ "seed", required_argument, NULL, 's' },
		{ "size", required_argument, NULL, 'z' },
		{ "edges", no_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	int r = 0;
	int option;

	while (!r && (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		if (option == 'n')
			r = parse_number(optarg, MAX_MESSAGES, &request->messages);
		else if (option == 'm')
			r = parse_number(optarg, MAX_MAILBOXES, &request->mailboxes);
		else if (option == 's')
			r = parse_number(optarg, UINT64_MAX, &request->options.seed);
		else if (option == 'z')
			r = parse_size(optarg, &request->options);
		else if (option == 'e')
			request->edges = true;
		else
			r = -EINVAL;
	}
	if (!r && (optind + 1 != argc || !request->messages || !request->mailboxes))
		r = -EINVAL;
	if (!r)
		request->dir = argv[optind];
	return r;
}

static int add_edges(struct mkstore_mailbox *mailbox)
{
	static const uint64_t sizes[] = { 0,	 1,	      4095,	       4096,   4097,
					  65536, 1u << 20, (1u << 20) + 1, 3u << 20 };
	int r = 0;

	for (size_t i = 0; i < array_size(sizes) && !r; i++)
		r = mkstore_message(mailbox, 0, sizes[i], NULL);
	return r;
}

/* Mailbox `i` of all, with its share of the messages. */
static int build_mailbox(struct mkstore *store, const struct request *request, uint64_t i)
{
	struct mkstore_mailbox *mailbox;
	char name[32];
	uint64_t share = request->messages / request->mailboxes +
			 (i < request->messages % request->mailboxes);

	snprintf(name, sizeof(name), "user.u%05llu", (unsigned long long)i + 1);
	int r = mkstore_mailbox_begin(store, name, &mailbox);
	if (r)
		return r;
	if (i == 0 && request->edges)
		r = add_edges(mailbox);
	for (; share && !r; share--)
		r = mkstore_message(mailbox, 0, MKSTORE_SIZE_DRAWN, NULL);
	int end = mkstore_mailbox_end(mailbox);
	return r ? r : end;
}

static int build_spool(struct mkstore *store, const struct request *request)
{
	int r = 0;

	for (uint64_t i = 0; i < request->mailboxes && !r; i++)
		r = build_mailbox(store, request, i);
	return r ? r : mkstore_finish(store);
}

int main(int argc, char **argv)
{
	struct request request = { .dir = NULL };
	struct mkstore *store;

	if (parse_arguments(argc, argv, &request)) {
		print_usage(stderr);
		return 3;
	}
	int64_t start = clock_mono_ns();
	int r = mkstore_new(request.dir, &request.options, &store);
	if (!r) {
		r = build_spool(store, &request);
		struct mkstore_totals totals = mkstore_get_totals(store);
		if (!r)
			printf("%llu files, %llu bytes, %llu mailboxes, %.1f s\n",
			       (unsigned long long)totals.files, (unsigned long long)totals.bytes,
			       (unsigned long long)totals.mailboxes,
			       (double)(clock_mono_ns() - start) / (double)NS_PER_S);
		mkstore_free(store);
	}
	if (r) {
		fprintf(stderr, "mkspool: %s: %s\n", request.dir, strerror(-r));
		return 1;
	}
	return 0;
}
