/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the state database, version 3. `application_id` says that the file is ours,
 * `user_version` which schema it has. Times are nanoseconds since the epoch. Names and paths are
 * blobs: they may hold any bytes.
 */
#ifndef STATE_SCHEMA_H
#define STATE_SCHEMA_H

#define SCHEMA_APPLICATION_ID 0x61737379 /* "assy" */
#define SCHEMA_VERSION 3

static const char schema_sql[] =
	"CREATE TABLE target("
	" id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE,"
	" store TEXT NOT NULL, host TEXT NOT NULL, imapd_conf BLOB NOT NULL);"

	"CREATE TABLE run("
	" id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target(id),"
	" status INTEGER NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL DEFAULT 0,"
	" mailboxes INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0,"
	" bytes INTEGER NOT NULL DEFAULT 0, expunged INTEGER NOT NULL DEFAULT 0,"
	" findings INTEGER NOT NULL DEFAULT 0,"
	" in_flight INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0,"
	" buffered INTEGER NOT NULL DEFAULT 0, round INTEGER NOT NULL DEFAULT 0,"
	" carried INTEGER NOT NULL DEFAULT 0, resumable INTEGER NOT NULL DEFAULT 0,"
	" notices INTEGER NOT NULL DEFAULT 0, scope TEXT NOT NULL DEFAULT '');"
	"CREATE INDEX run_by_target ON run(target, id);"

	"CREATE TABLE mailbox("
	" target INTEGER NOT NULL REFERENCES target(id), key BLOB NOT NULL,"
	" name BLOB NOT NULL, partition BLOB NOT NULL, legacy_dirs INTEGER NOT NULL,"
	" has_unique_id INTEGER NOT NULL, listed_run INTEGER NOT NULL,"
	" verified_ns INTEGER NOT NULL DEFAULT 0, verified_run INTEGER NOT NULL DEFAULT 0,"
	" messages INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
	" uidvalidity INTEGER NOT NULL DEFAULT 0, acl BLOB NOT NULL DEFAULT x'',"
	" partial_listed INTEGER NOT NULL DEFAULT 0,"
	" partial_verified INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY(target, key)) WITHOUT ROWID;"
	"CREATE INDEX mailbox_by_name ON mailbox(target, name);"

	"CREATE TABLE finding("
	" id INTEGER PRIMARY KEY, target INTEGER NOT NULL REFERENCES target(id),"
	" verdict INTEGER NOT NULL, code TEXT NOT NULL,"
	" mailbox_key BLOB NOT NULL, mailbox BLOB NOT NULL, object TEXT NOT NULL,"
	" uid INTEGER NOT NULL, record INTEGER NOT NULL, path BLOB NOT NULL,"
	" recorded TEXT, observed TEXT, detail TEXT,"
	" first_seen_ns INTEGER NOT NULL, last_seen_ns INTEGER NOT NULL,"
	" first_run INTEGER NOT NULL, last_run INTEGER NOT NULL,"
	" closed_ns INTEGER NOT NULL DEFAULT 0, closed_run INTEGER NOT NULL DEFAULT 0,"
	" resolution TEXT, sectors TEXT, severity INTEGER NOT NULL DEFAULT 0);"
	"CREATE UNIQUE INDEX finding_open ON finding(target, mailbox_key, object, code)"
	" WHERE closed_ns = 0;"

	"CREATE TABLE sighting("
	" finding INTEGER NOT NULL REFERENCES finding(id), run INTEGER NOT NULL,"
	" seen_ns INTEGER NOT NULL, verdict INTEGER NOT NULL, observed TEXT, detail TEXT,"
	" PRIMARY KEY(finding, run)) WITHOUT ROWID;"

	"CREATE TABLE gap("
	" run INTEGER NOT NULL, mailbox BLOB NOT NULL, path BLOB NOT NULL, why TEXT NOT NULL,"
	" mailbox_key BLOB NOT NULL DEFAULT x'');"
	"CREATE INDEX gap_by_run ON gap(run);"

	"CREATE TABLE marker("
	" target INTEGER NOT NULL REFERENCES target(id), volume BLOB NOT NULL,"
	" round INTEGER NOT NULL, first_key BLOB NOT NULL, last_key BLOB NOT NULL,"
	" distance INTEGER NOT NULL, since_ns INTEGER NOT NULL,"
	" PRIMARY KEY(target, volume)) WITHOUT ROWID;";

/* By the version that is there: what the next one has more. */
static const char *const schema_upgrades[SCHEMA_VERSION] = {
	[1] =
		"ALTER TABLE run ADD COLUMN round INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE run ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE run ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE finding ADD COLUMN sectors TEXT;"
		"ALTER TABLE gap ADD COLUMN mailbox_key BLOB NOT NULL DEFAULT x'';"
		"CREATE TABLE marker("
		" target INTEGER NOT NULL REFERENCES target(id), volume BLOB NOT NULL,"
		" round INTEGER NOT NULL, first_key BLOB NOT NULL, last_key BLOB NOT NULL,"
		" distance INTEGER NOT NULL, since_ns INTEGER NOT NULL,"
		" PRIMARY KEY(target, volume)) WITHOUT ROWID;",
	/* No finding of version 2 is a notice, and one code alone a warning. */
	[2] =
		"ALTER TABLE run ADD COLUMN notices INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE run ADD COLUMN scope TEXT NOT NULL DEFAULT '';"
		"ALTER TABLE mailbox ADD COLUMN uidvalidity INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE mailbox ADD COLUMN acl BLOB NOT NULL DEFAULT x'';"
		"ALTER TABLE mailbox ADD COLUMN partial_listed INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE mailbox ADD COLUMN partial_verified INTEGER NOT NULL DEFAULT 0;"
		"ALTER TABLE finding ADD COLUMN severity INTEGER NOT NULL DEFAULT 0;"
		"UPDATE finding SET severity = 1 WHERE code = 'message.extra';"
		"CREATE INDEX mailbox_by_name ON mailbox(target, name);",
};

#endif
