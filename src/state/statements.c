/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every statement of the state database, written once.
 */
#include "state/sql.h"

#define RUN_COLUMNS                                                                                \
	"id, target, status, started_ns, ended_ns, mailboxes, messages, bytes, expunged, findings,"  \
	" in_flight, gaps, buffered, iif(round = 0, id, round), carried, resumable, notices, scope"

/* Of a mailbox; what is lent comes first. */
#define MAILBOX_COLUMNS                                                                            \
	"key, name, partition, acl, legacy_dirs, has_unique_id, verified_run, messages, bytes,"       \
	" uidvalidity"

/* By any run, of the whole store or of a part. */
#define LISTED_BY(run) "(listed_run = " run " OR partial_listed = " run ")"

/* One that is not known is taken for the worst. */
#define SEVERITY_KNOWN "iif(severity BETWEEN 0 AND 2, severity, 0)"

const char *const sql[SQL_COUNT_] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_TARGET_PUT] = "INSERT INTO target(key, store, host, imapd_conf) VALUES(?1, ?2, ?3, ?4)"
			   " ON CONFLICT(key) DO UPDATE SET imapd_conf = ?4,"
			   " store = iif(?5, ?2, store), host = iif(?5, ?3, host) RETURNING id",
	[SQL_TARGET_NAMED] = "SELECT id FROM target WHERE store = ?1 AND (?2 IS NULL OR host = ?2)"
			     " LIMIT 1",
	[SQL_TARGET_FIND] = "SELECT id FROM target WHERE key = ?1",
	[SQL_RUN_ABANDON] = "UPDATE run SET status = ?2, ended_ns = ?3 WHERE target = ?1 AND"
			    " status = ?4",
	[SQL_RUN_BEGIN] = "INSERT INTO run(target, status, started_ns, scope)"
			  " VALUES(?1, ?2, ?3, ?4)"
			  " RETURNING id",
	[SQL_RUN_UPDATE] = "UPDATE run SET status = ?2, ended_ns = ?3, mailboxes = ?4,"
			   " messages = ?5, bytes = ?6, expunged = ?7, findings = ?8,"
			   " in_flight = ?9, gaps = ?10, buffered = ?11, round = ?12, carried = ?13,"
			   " notices = ?14 WHERE id = ?1",
	/* A run of a part of the store says nothing about the rest: it is passed over where it is
	 * decided how old what is verified is, how good that is, and where to go on. */
	[SQL_RUN_COUNT] = "SELECT count(*) FROM run WHERE status <> ?1 AND status <> ?2 AND"
			  " scope = ''",
	[SQL_RUN_ENDED] = "SELECT " RUN_COLUMNS " FROM run WHERE target = ?1 AND status <> ?2 AND"
			  " status <> ?3 AND scope = '' ORDER BY id DESC LIMIT 1",
	[SQL_RUN_COMPLETE] = "SELECT " RUN_COLUMNS " FROM run WHERE target = ?1 AND status = ?2"
			     " AND scope = '' ORDER BY id DESC LIMIT 1",
	[SQL_MAILBOX_PUT] =
		/* ?8: the run is of the whole store. What whole runs have said is not touched by one
		 * of a part: it has columns of its own. */
		"INSERT INTO mailbox(target, key, name, partition, legacy_dirs, has_unique_id,"
		" listed_run, partial_listed, uidvalidity, acl) VALUES(?1, ?2, ?3, ?4, ?5, ?6,"
		" iif(?8, ?7, 0), iif(?8, 0, ?7), ?9, ?10) ON CONFLICT(target, key) DO UPDATE"
		" SET name = ?3, partition = ?4, legacy_dirs = ?5, has_unique_id = ?6,"
		" listed_run = iif(?8, ?7, listed_run),"
		" partial_listed = iif(?8, partial_listed, ?7), uidvalidity = ?9, acl = ?10",
	[SQL_MAILBOX_NEXT] = "SELECT " MAILBOX_COLUMNS " FROM mailbox WHERE target = ?1 AND key > ?3"
			     " AND " LISTED_BY("?2") " ORDER BY key LIMIT 1",
	[SQL_MAILBOX_BY_KEY] = "SELECT " MAILBOX_COLUMNS " FROM mailbox WHERE target = ?1 AND"
			       " key = ?3 AND " LISTED_BY("?2"),
	/* Left alone, SQLite would rather go through all keys of the target. */
	[SQL_MAILBOX_BY_NAME] = "SELECT " MAILBOX_COLUMNS " FROM mailbox INDEXED BY mailbox_by_name"
				" WHERE target = ?1 AND name = ?3 AND " LISTED_BY("?2") " LIMIT 1",
	[SQL_MAILBOX_VERIFIED] =
		"UPDATE mailbox SET verified_ns = iif(?7, ?4, verified_ns),"
		" verified_run = iif(?7, ?2, verified_run), messages = iif(?7, ?5, messages),"
		" bytes = iif(?7, ?6, bytes), partial_verified = iif(?7, partial_verified, ?2)"
		" WHERE target = ?1 AND key = ?3",
	[SQL_MAILBOX_FORGET] = "DELETE FROM mailbox WHERE target = ?1 AND key = ?2",
	[SQL_MAILBOX_UNLIST] = "UPDATE mailbox SET partial_listed = 0 WHERE target = ?1 AND key = ?2",
	[SQL_MAILBOX_PRUNE] = "DELETE FROM mailbox WHERE target = ?1 AND listed_run <> ?2",
	[SQL_MAILBOX_GET] = "SELECT " LISTED_BY("?3") ", verified_run = ?3 OR partial_verified = ?3"
			    " FROM mailbox WHERE target = ?1 AND key = ?2",
	/* What a later run says of itself counts only once it is complete: until then a mailbox that
	 * it has gone over is as old as the beginning of the complete run; of its round, where that
	 * run went on with an earlier one. */
	[SQL_COVERAGE] =
		"SELECT min(iif(m.verified_run BETWEEN f.id AND r.id, m.verified_ns, f.started_ns)),"
		" total(m.bytes) FROM run r JOIN run f ON f.id = iif(r.round = 0, r.id, r.round)"
		" JOIN mailbox m ON m.target = ?1 AND m.verified_run >= f.id WHERE r.id = ?2 AND"
		" r.scope = ''",
	[SQL_UNVERIFIED] = "SELECT count(*) FROM mailbox WHERE target = ?1 AND (listed_run = ?2 AND"
			   " verified_run < (SELECT iif(round = 0, id, round) FROM run WHERE id = ?2)"
			   " OR partial_listed = ?2 AND partial_verified <> ?2)",
	[SQL_FINDING_FIND] = "SELECT id, first_seen_ns, " SEVERITY_KNOWN " FROM finding WHERE"
			     " target = ?1 AND mailbox_key = ?2 AND object = ?3 AND code = ?4 AND"
			     " closed_ns = 0",
	[SQL_FINDING_NEW] =
		"INSERT INTO finding(target, verdict, code, mailbox_key, mailbox, object, uid,"
		" record, path, recorded, observed, detail, first_seen_ns, last_seen_ns, first_run,"
		" last_run, sectors, severity) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
		" ?12, ?13, ?13, ?14, ?14, ?15, ?16) RETURNING id",
	[SQL_FINDING_AGAIN] = "UPDATE finding SET last_seen_ns = ?2, last_run = ?3, severity = ?4"
			      " WHERE id = ?1",
	[SQL_SIGHTING] = "INSERT INTO sighting(finding, run, seen_ns, verdict, observed, detail)"
			 " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
	[SQL_FINDING_CLOSE] = "UPDATE finding SET closed_ns = ?2, closed_run = ?3, resolution = ?4"
			      " WHERE id = ?1 AND closed_ns = 0",
	[SQL_FINDING_EACH] =
		"SELECT f.id, f.target, f.verdict, f.code, t.store, t.host, f.mailbox_key,"
		" f.mailbox, f.object, f.uid, f.record, f.path, f.recorded, f.observed, f.detail,"
		" f.first_seen_ns, f.last_seen_ns, f.closed_ns, f.resolution, f.sectors,"
		" " SEVERITY_KNOWN
		" FROM finding f JOIN target t ON t.id = f.target"
		" WHERE (?1 = 0 OR f.target = ?1) AND (?2 = 0 OR f.id = ?2)"
		" AND (?3 = 0 OR f.closed_ns = 0) AND (?4 = 0 OR f.last_run <> ?4)"
		" AND (?5 = 0 OR f.severity <> ?6)"
		" ORDER BY f.id",
	[SQL_FINDING_COUNT] = "SELECT count(*) FROM finding WHERE target = ?1 AND closed_ns = 0 AND "
			      SEVERITY_KNOWN " BETWEEN ?2 AND ?3",
	[SQL_FINDING_MAILBOXES] = "SELECT DISTINCT mailbox_key FROM finding WHERE target = ?1 AND"
				  " closed_ns = 0 ORDER BY mailbox_key",
	[SQL_GAP_PUT] = "INSERT INTO gap(run, mailbox, path, why, mailbox_key)"
			" VALUES(?1, ?2, ?3, ?4, ?5)",
	[SQL_TARGET_EACH] = "SELECT id, key, store, host FROM target ORDER BY store, host, id",
	[SQL_RUN_LAST] = "SELECT " RUN_COLUMNS " FROM run WHERE target = ?1 ORDER BY id DESC LIMIT 1",
	[SQL_RUN_LAST_WHOLE] = "SELECT " RUN_COLUMNS " FROM run WHERE target = ?1 AND scope = ''"
			       " ORDER BY id DESC LIMIT 1",
	[SQL_RUN_IS_WHOLE] = "SELECT scope = '' FROM run WHERE id = ?1",
	[SQL_ROUND_FIND] =
		"SELECT f.id, f.started_ns, l.id FROM run l JOIN run f ON"
		" f.id = iif(l.round = 0, l.id, l.round) WHERE l.status = ?3 AND l.resumable = 1 AND"
		" l.id = (SELECT max(p.id) FROM run p WHERE p.target = ?1 AND p.id < ?2 AND"
		" p.scope = '' AND NOT"
		/* One that went on with the round and was stopped before it verified anything. */
		" (p.status = ?3 AND p.resumable = 0 AND p.round NOT IN (0, p.id) AND NOT EXISTS"
		" (SELECT 1 FROM mailbox WHERE target = ?1 AND verified_run = p.id)))"
		/* Nor does a run of a part go on with anything. */
		" AND EXISTS (SELECT 1 FROM run WHERE id = ?2 AND scope = '')",
	[SQL_RUN_RESUMABLE] = "UPDATE run SET resumable = 1 WHERE id = ?1",
	[SQL_ROUND_DOUBTS] =
		"SELECT mailbox_key FROM finding WHERE target = ?1 AND closed_ns = 0 UNION"
		" SELECT g.mailbox_key FROM gap g JOIN run r ON r.id = g.run"
		" WHERE r.target = ?1 AND r.id >= ?2",
	[SQL_MARKER_PUT] =
		"INSERT OR REPLACE INTO marker(target, volume, round, first_key, last_key, distance,"
		" since_ns) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_MARKER_GET] = "SELECT first_key, last_key, distance, since_ns FROM marker"
			   " WHERE target = ?1 AND volume = ?2 AND round = ?3",
	[SQL_MARKER_FORGET] = "DELETE FROM marker WHERE target = ?1",
};
