// SPDX-License-Identifier: Apache-2.0
/*
 * assay.conf: every line that is refused says why and where, nothing is cut or guessed silently,
 * and what is left out has its documented default.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/assay/conf.h"
#include "support/room.h"

struct room {
	char dir[ROOM_DIR_SIZE];
	char file[300];
	char said[1024]; /* by the log, last */
	unsigned nr_said;
	struct conf conf;
};

static void on_log(enum log_level level, const char *text, void *ctx)
{
	struct room *room = ctx;

	CU_ASSERT_EQUAL(level, LOG_LEVEL_ERROR);
	(void)snprintf(room->said, sizeof(room->said), "%s", text);
	room->nr_said++;
}

static void room_open(struct room *room)
{
	*room = (struct room){ .nr_said = 0 };
	CU_ASSERT_EQUAL_FATAL(room_make("conf", room->dir), 0);
	(void)snprintf(room->file, sizeof(room->file), "%s/assay.conf", room->dir);
}

static void room_close(struct room *room)
{
	conf_fini(&room->conf);
	conf_fini(&room->conf);
	CU_ASSERT_EQUAL(room_remove(room->dir), 0);
}

/* Writes a file of the room; `leaf` NULL: assay.conf itself. */
static void write_conf(const struct room *room, const char *leaf, const char *text)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/%s", room->dir, leaf ? leaf : "assay.conf");
	CU_ASSERT_EQUAL_FATAL(room_write(path, text), 0);
}

static int read_conf(struct room *room)
{
	struct log log = { on_log, room, LOG_LEVEL_DEBUG };

	conf_fini(&room->conf);
	room->said[0] = '\0';
	room->nr_said = 0;
	return conf_read(&room->conf, room->file, &log);
}

#define STORE "[store s1]\nimapd_conf = /i\nrole = master\n"
#define HOST "[host]\nname = h1\n"

static void has_the_documented_defaults(void)
{
	struct room room;

	room_open(&room);
	write_conf(&room, NULL, "");
	CU_ASSERT_EQUAL(read_conf(&room), 0);
	CU_ASSERT_PTR_NULL(room.conf.host);
	CU_ASSERT_EQUAL(room.conf.nr_copies, 0);
	CU_ASSERT_EQUAL(room.conf.policy.max_lag_ns, 300 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.max_scan_age_ns, 36 * 3600 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.gate_deadline_ns, 10 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.gate_patience_ns, 3 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.settle_ns, 2 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.readers, 8);
	CU_ASSERT_EQUAL(room.conf.policy.scan_bandwidth, 0); /* no ceiling */
	CU_ASSERT_EQUAL(room.conf.policy.scan_iops, 0);
	CU_ASSERT_FALSE(room.conf.policy.scan_polite);
	room_close(&room);
}

static void reads_a_whole_one(void)
{
	struct room room;

	room_open(&room);
	write_conf(&room, NULL,
		   "# a comment\n; another\n" HOST
		   "[policy]\nmax_lag = 90s\nmax_scan_age=3d\ngate_deadline = 1min\n"
		   "gate_patience = 0\nsettle = 20ms\nreaders = 64\n"
		   "scan_bandwidth = 100M\nscan_iops = 200\nscan_polite = yes\n"
		   "[store s1]\nimapd_conf = /etc/i1.conf\nrole = master\npeers = h2 h3\n"
		   "[store s1@h2]\nimapd_conf = /mnt/h2/i1.conf\nrole = replica\nchannel = two\n"
		   "[store s2]\nimapd_conf = /etc/i2.conf\nrole = replica\n"
		   "[peer h2]\ncommand = ssh h2 assay serve\nkey = h2.pub\n"
		   "[volume root]\nmount = /\n[volume old-disk]\ndevice = /srv/old.img\n");
	CU_ASSERT_EQUAL_FATAL(read_conf(&room), 0);
	CU_ASSERT_EQUAL(room.nr_said, 0);
	CU_ASSERT_STRING_EQUAL(room.conf.host, "h1");
	CU_ASSERT_EQUAL(room.conf.policy.max_lag_ns, 90 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.max_scan_age_ns, 72 * 3600 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.gate_deadline_ns, 60 * NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.policy.gate_patience_ns, 0);
	CU_ASSERT_EQUAL(room.conf.policy.settle_ns, 20 * NS_PER_MS);
	CU_ASSERT_EQUAL(room.conf.policy.readers, 64);
	CU_ASSERT_EQUAL(room.conf.policy.scan_bandwidth, UINT64_C(100) << 20);
	CU_ASSERT_EQUAL(room.conf.policy.scan_iops, 200);
	CU_ASSERT_TRUE(room.conf.policy.scan_polite);
	CU_ASSERT_EQUAL(room.conf.nr_copies, 3);
	const struct copy *copy = conf_find_copy(&room.conf, "s1", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_STRING_EQUAL(copy->host, "h1");
	CU_ASSERT_STRING_EQUAL(copy->peers, "h2 h3");
	CU_ASSERT_PTR_NULL(copy->channel);
	CU_ASSERT_PTR_EQUAL(conf_find_master(&room.conf, "s1"), copy);
	CU_ASSERT_PTR_EQUAL(conf_find_copy(&room.conf, "s1", "h1"), copy);
	copy = conf_find_copy(&room.conf, "s1", "h2");
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_EQUAL(copy->role, ROLE_REPLICA);
	CU_ASSERT_STRING_EQUAL(copy->channel, "two");
	CU_ASSERT_PTR_NULL(conf_find_copy(&room.conf, "s2", "h2"));
	CU_ASSERT_PTR_NULL(conf_find_copy(&room.conf, "s3", NULL));
	CU_ASSERT_PTR_NULL(conf_find_master(&room.conf, "s2"));
	CU_ASSERT_EQUAL(room.conf.nr_volumes, 2);
	const struct conf_volume *volume = conf_find_volume(&room.conf, "root");
	CU_ASSERT_PTR_NOT_NULL_FATAL(volume);
	CU_ASSERT_STRING_EQUAL(volume->name, "root");
	CU_ASSERT_STRING_EQUAL(volume->mount, "/");
	CU_ASSERT_PTR_NULL(volume->device);
	volume = conf_find_volume(&room.conf, "old-disk");
	CU_ASSERT_PTR_NOT_NULL_FATAL(volume);
	CU_ASSERT_STRING_EQUAL(volume->device, "/srv/old.img");
	CU_ASSERT_PTR_NULL(volume->mount);
	CU_ASSERT_PTR_NULL(conf_find_volume(&room.conf, "s1"));
	room_close(&room);
}

static void refuses_each_wrong_line_with_its_place_and_reason(void)
{
	static const struct {
		const char *text;
		const char *said; /* behind the name of the file */
	} rows[] = {
		{ "[host]\nnme = h1\n", ":2: [host] nme is not known" },
		{ "[host]\nname = h 1\n", ":2: [host] name is not a plain host name" },
		{ "[host]\nname =\n", ":2: [host] name is not a plain host name" },
		{ "[host]\nname = a\nname = b\n", ":3: [host] name is given twice" },
		{ "[policy]\nmax_lagg = 5min\n", ":2: [policy] max_lagg is not known" },
		{ "[policy]\nmax_lag = 5 parsecs\n", ":2: [policy] max_lag is not a duration" },
		{ "[policy]\nmax_lag = -5\n", ":2: [policy] max_lag is not a duration" },
		{ "[policy]\nmax_lag =\n", ":2: [policy] max_lag is not a duration" },
		{ "[policy]\nsettle = 999999999999999999d\n", ":2: [policy] settle is not a dur" },
		{ "[policy]\nreaders = 0\n", ":2: [policy] readers is not a number from 1 to 64" },
		{ "[policy]\nreaders = 65\n", ":2: [policy] readers is not a number from 1 to 64" },
		{ "[policy]\nreaders = many\n", ":2: [policy] readers is not a number" },
		{ "[policy]\nscan_bandwidth = 100MB\n",
		  ":2: [policy] scan_bandwidth is not a number of bytes such as 100M or 1GiB" },
		{ "[policy]\nscan_bandwidth = -1\n", ":2: [policy] scan_bandwidth is not a number" },
		{ "[policy]\nscan_bandwidth = 99999999999T\n",
		  ":2: [policy] scan_bandwidth is not a number" },
		{ "[policy]\nscan_bandwidth =\n", ":2: [policy] scan_bandwidth is not a number" },
		{ "[policy]\nscan_iops = 1K\n", ":2: [policy] scan_iops is not a number" },
		{ "[policy]\nscan_iops = 4294967296\n", ":2: [policy] scan_iops is not a number" },
		{ "[policy]\nscan_polite = maybe\n",
		  ":2: [policy] scan_polite is neither yes nor no" },
		{ "[store s1]\nrole = boss\n",
		  ":2: [store s1] role is neither master nor replica" },
		{ "[store s1]\nrole = master\nrole = master\n",
		  ":3: [store s1] role is given twice" },
		{ "[store s1]\nimapd_conf = i.conf\n",
		  ":2: [store s1] imapd_conf is not an absolute" },
		{ "[store s1]\nimapd_conf = /a\nimapd_conf = /b\n",
		  ":3: [store s1] imapd_conf is giv" },
		{ "[store s1]\npeers =\n", ":2: [store s1] peers is empty" },
		{ "[store s1]\nchannel = a/b\n", ":2: [store s1] channel is not the name" },
		{ "[store s1]\ncolour = red\n", ":2: [store s1] colour is not known" },
		{ "[store ../s]\nrole = master\n", ":2: [store ../s] role has a name with other" },
		{ "[store s1@]\nrole = master\n", ":2: [store s1@] role has a name with other" },
		{ "[store a b]\nrole = master\n", ":2: [store a b] role has a name with other" },
		{ "[storage s1]\nrole = master\n", ":2: [storage s1] role is not known" },
		{ "name = h1\n", ":1: [] name is not known" },
		{ "[peer h2]\nport = 1\n", ":2: [peer h2] port is not known" },
		{ "[volume root]\nmount = srv\n", ":2: [volume root] mount is not an absolute path" },
		{ "[volume root]\nmount =\n", ":2: [volume root] mount is not an absolute path" },
		{ "[volume root]\ndevice = UUID=1-2\n", ":2: [volume root] device is not an absol" },
		{ "[volume root]\nmount = /\nmount = /\n", ":3: [volume root] mount is given twice" },
		{ "[volume root]\nimage = /i\n", ":2: [volume root] image is not known" },
		{ "[volume a/b]\nmount = /\n", ":2: [volume a/b] mount has a name with other" },
		{ "[volume ]\nmount = /\n", ":2: [volume ] mount has a name with other" },
		{ "[host]\nwhat is this\n", ":2: neither [section] nor key = value" },
		{ "[host\nname = h1\n", ":1: neither [section] nor key = value" },
		/* The first wrong line is the one that is named. */
		{ "[host]\njunk\n[policy]\nmax_lagg = 1\n", ":2: neither [section]" },
		{ "[policy]\nmax_lagg = 1\njunk\n", ":2: [policy] max_lagg is not known" },
	};
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(rows); i++) {
		char wanted[512];
		write_conf(&room, NULL, rows[i].text);
		CU_ASSERT_EQUAL(read_conf(&room), -EBADMSG);
		CU_ASSERT_EQUAL(room.nr_said, 1);
		(void)snprintf(wanted, sizeof(wanted), "%s%s", room.file, rows[i].said);
		bool right = strncmp(room.said, wanted, strlen(wanted)) == 0;
		CU_ASSERT_TRUE(right);
		if (!right)
			(void)fprintf(stderr, "wanted %s, got %s\n", rows[i].said, room.said);
		CU_ASSERT_EQUAL(room.conf.nr_copies, 0);
		CU_ASSERT_EQUAL(room.conf.nr_volumes, 0);
		CU_ASSERT_PTR_NULL(room.conf.host);
	}
	room_close(&room);
}

static void refuses_copies_that_do_not_fit_together(void)
{
	static const struct {
		const char *text;
		const char *said;
	} rows[] = {
		{ STORE, "needs [host] name" },
		{ HOST "[store s1]\nrole = master\n", "has no imapd_conf" },
		{ HOST "[store s1]\nimapd_conf = /i\n", "has no role" },
		{ HOST STORE "[store s1@h1]\nimapd_conf = /j\nrole = replica\n", "is given twice" },
		{ HOST STORE "[store s1@h2]\nimapd_conf = /j\nrole = master\n", "has two masters" },
	};
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(rows); i++) {
		write_conf(&room, NULL, rows[i].text);
		CU_ASSERT_EQUAL(read_conf(&room), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(room.said, rows[i].said));
		CU_ASSERT_EQUAL(room.conf.nr_copies, 0);
	}
	write_conf(&room, NULL, HOST STORE "[store s2@h2]\nimapd_conf = /j\nrole = master\n");
	CU_ASSERT_EQUAL(read_conf(&room), 0); /* another store has a master of its own */
	room_close(&room);
}

static void refuses_volumes_that_are_not_one_thing(void)
{
	static const struct {
		const char *text;
		const char *said;
	} rows[] = {
		{ "[volume v]\nmount = /\ndevice = /dev/sda1\n", "has both a mount and a device" },
		{ HOST STORE "[volume s1]\nmount = /\n", "has the name of a store" },
		{ HOST "[volume s2]\nmount = /\n[store s2@h2]\nimapd_conf = /j\nrole = master\n",
		  "has the name of a store" },
		{ "[volume a]\nmount = /\n[volume b]\nmount = /\n",
		  "[volume a] and [volume b] are the same" },
		{ "[volume a]\ndevice = /i\n[volume b]\ndevice = /i\n",
		  "[volume a] and [volume b] are the same" },
	};
	struct room room;

	room_open(&room);
	for (size_t i = 0; i < array_size(rows); i++) {
		write_conf(&room, NULL, rows[i].text);
		CU_ASSERT_EQUAL(read_conf(&room), -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(room.said, rows[i].said));
		CU_ASSERT_EQUAL(room.conf.nr_volumes, 0);
	}
	/* A host is no target. */
	write_conf(&room, NULL, HOST STORE "[volume h1]\nmount = /\n[volume b]\ndevice = /\n");
	CU_ASSERT_EQUAL(read_conf(&room), 0);
	CU_ASSERT_EQUAL(room.conf.nr_volumes, 2);
	room_close(&room);
}

static void reads_the_folder_in_the_order_of_names(void)
{
	char folder[400];
	struct room room;

	room_open(&room);
	(void)snprintf(folder, sizeof(folder), "%s/conf.d", room.dir);
	CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
	write_conf(&room, NULL, HOST "[policy]\nreaders = 1\nmax_lag = 1s\n");
	write_conf(&room, "conf.d/20-b.conf", "[policy]\nreaders = 3\n");
	write_conf(&room, "conf.d/10-a.conf", "[policy]\nreaders = 2\n" STORE);
	write_conf(&room, "conf.d/30-c.conf.bak", "[policy]\nreaders = 4\n");
	write_conf(&room, "conf.d/.hidden.conf", "[policy]\nreaders = 5\n");
	write_conf(&room, "conf.d/README", "not read\n");
	CU_ASSERT_EQUAL(read_conf(&room), 0);
	CU_ASSERT_EQUAL(room.conf.policy.readers, 3);
	CU_ASSERT_EQUAL(room.conf.policy.max_lag_ns, NS_PER_S);
	CU_ASSERT_EQUAL(room.conf.nr_copies, 1);
	write_conf(&room, "conf.d/20-b.conf", "[store s1]\nchannel = x\n");
	CU_ASSERT_EQUAL(read_conf(&room), 0); /* the same copy, continued */
	CU_ASSERT_EQUAL(room.conf.nr_copies, 1);
	CU_ASSERT_STRING_EQUAL(conf_find_copy(&room.conf, "s1", "h1")->channel, "x");
	write_conf(&room, "conf.d/20-b.conf", "\n[policy]\nreader = 3\n");
	CU_ASSERT_EQUAL(read_conf(&room), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(room.said, "conf.d/20-b.conf:3: "));
	room_close(&room);
}

/* A path of 300 bytes whose tail, alone on a line, would be a comment. */
static void never_cuts_a_long_line_silently(void)
{
	struct room room;

	room_open(&room);
	for (unsigned at = 150; at < 290; at++) {
		char path[301], text[600];
		memset(path, 'a', sizeof(path));
		path[0] = '/';
		path[at] = '#';
		path[300] = '\0';
		(void)snprintf(text, sizeof(text),
			       HOST "[store s1]\nimapd_conf = %s\nrole = master\n", path);
		write_conf(&room, NULL, text);
		int r = read_conf(&room);
		CU_ASSERT_TRUE(r == 0 || r == -EBADMSG);
		if (r == 0)
			CU_ASSERT_STRING_EQUAL(room.conf.copies[0].imapd_conf, path);
	}
	room_close(&room);
}

static void says_what_it_cannot_read(void)
{
	struct room room;

	room_open(&room);
	CU_ASSERT_EQUAL(read_conf(&room), -ENOENT);
	CU_ASSERT_EQUAL(room.nr_said, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(room.said, "assay.conf"));
	CU_ASSERT_EQUAL(mkdir(room.file, 0700), 0);
	CU_ASSERT_TRUE(read_conf(&room) < 0);
	CU_ASSERT_EQUAL(rmdir(room.file), 0);
	write_conf(&room, NULL, HOST);
	write_conf(&room, "conf.d", "not a folder");
	CU_ASSERT_EQUAL(read_conf(&room), -ENOTDIR);
	room_close(&room);
}

static void names_every_role(void)
{
	CU_ASSERT_STRING_EQUAL(role_name(ROLE_MASTER), "master");
	CU_ASSERT_STRING_EQUAL(role_name(ROLE_REPLICA), "replica");
	CU_ASSERT_STRING_EQUAL(role_name(ROLE_UNKNOWN), "unknown");
	CU_ASSERT_PTR_NULL(role_name(ROLE_COUNT_));
}

static const struct test_case cases[] = {
	CASE(has_the_documented_defaults),
	CASE(reads_a_whole_one),
	CASE(refuses_each_wrong_line_with_its_place_and_reason),
	CASE(refuses_copies_that_do_not_fit_together),
	CASE(refuses_volumes_that_are_not_one_thing),
	CASE(reads_the_folder_in_the_order_of_names),
	CASE(never_cuts_a_long_line_silently),
	CASE(says_what_it_cannot_read),
	CASE(names_every_role),
};

const struct test_suite suite_format_conf = { "format/conf", cases, array_size(cases) };
