// SPDX-License-Identifier: Apache-2.0
/*
 * dbread: databases of Cyrus, read.
 *
 *	dbread make FILE RECORDS	writes a twoskip of that many mailboxes, as if repacked
 *	dbread list FILE [TIMES]	walks it; the records and seconds of the fastest walk
 *	dbread check FILE [TIMES]	checks it; the seconds of the fastest check
 *	dbread watch FILE SECONDS	checks it over and over, while others write to it
 *
 * The last line on stdout says what came out. FILE is opened anew for each walk or check. Exit
 * status 0; 1 when something is wrong, of `watch` when any check called the file damaged; 3 for
 * wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "format/cyrus/db.h"
#include "support/twoskip_writer.h"

static int make(const char *path, unsigned long nr)
{
	struct twoskip_writer *writer;
	char key[128], value[256];
	int r = twoskip_writer_new(path, 1, &writer);

	if (r)
		return r;
	for (unsigned long i = 0; r == 0 && i < nr; i++) {
		(void)snprintf(key, sizeof(key),
			       "Nuser\x1fuser%07lu\x1f"
			       "Archive",
			       i);
		(void)snprintf(value, sizeof(value),
			       "%%(T e I %024lx P default V 1795450317 C 1 F 21 M 1795450371 "
			       "A %%(user%07lu lrswipkxtecdan anyone p))",
			       i * 2654435761ul, i);
		r = twoskip_writer_add(writer, span_of_str(key), span_of_str(value));
	}
	if (r == 0)
		r = twoskip_writer_commit(writer);
	twoskip_writer_free(writer);
	return r;
}

static int list(struct source *src, uint64_t *ret_nr)
{
	struct db db = DB_NULL;
	struct span key, value;
	int r = db_begin(&db, src);

	for (*ret_nr = 0; r == 0; *ret_nr += r == 0)
		r = db_next(&db, &key, &value);
	db_fini(&db);
	return r == DB_END ? 0 : r;
}

static int read_once(const char *path, bool is_list, uint64_t *ret)
{
	struct source src;
	int r = source_open_file(&src, AT_FDCWD, path);

	if (r)
		return r;
	r = is_list ? list(&src, ret) : db_check(&src, DB_ORDER_BYTES, ret);
	source_close(&src);
	return r;
}

static int measure(const char *path, bool is_list, unsigned long times)
{
	int64_t best = INT64_MAX;
	uint64_t nr = 0;

	for (unsigned long i = 0; i < times; i++) {
		int64_t begin = clock_mono_ns();
		int r = read_once(path, is_list, &nr);
		if (r)
			return r;
		best = min_of(best, clock_mono_ns() - begin);
	}
	printf("%s: %llu records, %.6f s\n", is_list ? "list" : "check", (unsigned long long)nr,
	       (double)best / 1e9);
	return 0;
}

/* What came of reading it so often, one way. */
struct tally {
	unsigned long good, again, gone, bad;
};

static int watch_once(const char *path, bool is_list, struct tally *tally)
{
	uint64_t value = 0;
	int r = read_once(path, is_list, &value);

	tally->good += r == 0;
	tally->again += r == -EAGAIN;
	tally->gone += r == -ENOENT;
	tally->bad += r == -EBADMSG;
	if (r == -EBADMSG && tally->bad <= 5)
		printf("%s: damaged at or behind %llu\n", is_list ? "list" : "check",
		       (unsigned long long)value);
	return r == -EAGAIN || r == -ENOENT || r == -EBADMSG ? 0 : r;
}

static int watch(const char *path, unsigned long seconds)
{
	int64_t end = clock_mono_ns() + (int64_t)seconds * NS_PER_S;
	struct tally checks = { 0 }, lists = { 0 };
	int r = 0;

	while (r == 0 && clock_mono_ns() < end) {
		r = watch_once(path, false, &checks);
		if (r == 0)
			r = watch_once(path, true, &lists);
	}
	printf("watch: checks %lu good, %lu again, %lu gone, %lu bad; lists %lu good, %lu again, "
	       "%lu gone, %lu bad\n",
	       checks.good, checks.again, checks.gone, checks.bad, lists.good, lists.again,
	       lists.gone, lists.bad);
	return r ? r : checks.bad || lists.bad ? -EBADMSG : 0;
}

static int run(const char *what, const char *path, unsigned long nr)
{
	if (strcmp(what, "make") == 0)
		return make(path, nr);
	if (strcmp(what, "list") == 0)
		return measure(path, true, nr);
	if (strcmp(what, "check") == 0)
		return measure(path, false, nr);
	if (strcmp(what, "watch") == 0)
		return watch(path, nr);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	unsigned long nr = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;

	if (argc < 3 || argc > 4 || nr == 0)
		return 3;
	int r = run(argv[1], argv[2], nr);
	if (r)
		(void)fprintf(stderr, "dbread: %s\n", strerror(-r));
	return r == -EINVAL ? 3 : r != 0;
}
