/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libassay: whether a mail store's replica may take over, and whether the bytes on its disk are
 * still the bytes that were delivered. The only installed header.
 *
 * Nothing here writes to a store: stores are opened read-only. Results of a check live in the
 * state directory, which belongs to assay. Unknown is never good: a check that could not run is
 * ASSAY_RESULT_UNKNOWN or a gap, and never passes.
 *
 * Functions return 0 or a negative errno. A context belongs to one thread at a time; different
 * contexts may be used by different threads. All strings handed to callbacks are borrowed for the
 * call; they are UTF-8 only where said, names of mailboxes and paths may hold any byte but NUL.
 */
#ifndef ASSAY_H
#define ASSAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
const char *assay_version(void);

/* What was concluded about one object. */
enum assay_verdict {
	ASSAY_OK,	  /* the bytes on disk agree with a witness */
	ASSAY_CORRUPT,	  /* they disagree, twice */
	ASSAY_UNREADABLE, /* the device would not give them, twice */
	ASSAY_MISSING,	  /* the index says it exists and it does not */
	ASSAY_EXTRA,	  /* it exists and no index knows it */
	ASSAY_STALE,	  /* a replica lacks it, and an outstanding event says why */
	ASSAY_DIVERGED,	  /* two records of it contradict each other */
	ASSAY_FLAKY,	  /* wrong once, right at the second look: suspect hardware */
	ASSAY_IN_FLIGHT,  /* it changed while it was looked at: no conclusion */
	ASSAY_UNKNOWN,	  /* no witness, or it could not be checked */
	ASSAY_VERDICT_COUNT_,
};

/* The word that stands in output: "ok", "corrupt", "in-flight"... NULL outside the enum. */
const char *assay_verdict_name(enum assay_verdict verdict);

/* How much a finding matters. Each weighs more than those below it. */
enum assay_severity {
	ASSAY_SEVERITY_CRITICAL, /* mail, or what leads to it, is lost, damaged or cannot be read */
	ASSAY_SEVERITY_WARNING,	 /* Cyrus will misbehave or show something wrong, nothing is lost yet */
	/* Something differs that is harmless, or that Cyrus mends by itself. Kept and told, but it
	 * changes no exit status, denies no permit, and leaves a copy ok. */
	ASSAY_SEVERITY_NOTICE,
	ASSAY_SEVERITY_COUNT_,
};

/* "critical", "warning", "notice". NULL outside the enum. */
const char *assay_severity_name(enum assay_severity severity);

/* What a gate rule, or a gate, concludes. */
enum assay_result { ASSAY_RESULT_PASS, ASSAY_RESULT_FAIL, ASSAY_RESULT_UNKNOWN };
enum assay_decision { ASSAY_PERMIT, ASSAY_DENY, ASSAY_UNDETERMINED };

const char *assay_result_name(enum assay_result result);	 /* "pass", "fail", "unknown" */
const char *assay_decision_name(enum assay_decision decision); /* "permit", "deny", ... */

/* level: 0 error, 1 warning, 2 information, 3 debugging. */
typedef void (*assay_log_fn)(int level, const char *text, void *ctx);

struct assay_params {
	size_t size;		 /* sizeof(struct assay_params): lets the struct grow */
	const char *config_file; /* NULL: /etc/assay/assay.conf */
	const char *state_dir;	 /* NULL: /var/lib/assay */
	assay_log_fn log;	 /* NULL: silent. May be called by any thread of the library. */
	void *log_ctx;
};

struct assay; /* a context */

/*
 * Reads the configuration. `params` is copied. -EINVAL for a wrong size, -EBADMSG for a
 * configuration that is not understood (said in the log with file and line), or the errno of
 * opening it. Release *ret_assay with assay_close.
 */
int assay_open(const struct assay_params *params, struct assay **ret_assay);
void assay_close(struct assay *assay); /* NULL is allowed */

/* One thing that is wrong. Fields that do not apply are NULL or 0. */
struct assay_finding {
	enum assay_verdict verdict;
	const char *code; /* stable: "message.digest", "index.record_crc"... docs/FINDINGS.md */
	const char *store;
	const char *host;
	const char *mailbox; /* internal name */
	uint32_t uid;	     /* 0: not a message */
	const char *path;
	const char *recorded; /* what the witness says, as text: a digest, a size, a CRC */
	const char *observed; /* what was read */
	const char *advice;
	int64_t first_seen_ns; /* since the epoch */
	int64_t last_seen_ns;
	enum assay_severity severity;
};

typedef void (*assay_finding_fn)(const struct assay_finding *finding, void *ctx);

struct assay_scan_summary {
	size_t size;	   /* set by the caller to sizeof(struct assay_scan_summary) */
	bool complete;	   /* everything in scope was verified; false: see gaps */
	uint64_t mailboxes;
	uint64_t messages; /* verified */
	uint64_t bytes;	   /* read from message files and verified */
	uint64_t findings; /* of this scan, without notices */
	uint64_t in_flight;
	uint64_t gaps; /* what could not be checked */
	uint64_t notices; /* findings of severity notice */
};

/*
 * Scans one copy of a store ("s1", "s1@imap22") and calls `fn` (may be NULL) for each finding once
 * it is confirmed. Findings are also kept in the state directory. 0: the scan ran, see *summary;
 * -ENOENT: no such store in the configuration; -EBUSY: a scan of it is running; or the errno of
 * what failed.
 */
int assay_scan(struct assay *assay, const char *target, assay_finding_fn fn, void *ctx,
	       struct assay_scan_summary *summary);

/* One rule of the gate. */
struct assay_rule {
	const char *name; /* "role", "fresh", "intact", "complete" */
	enum assay_result result;
	const char *code;    /* stable: "fresh.stale" */
	const char *summary; /* one sentence, printable UTF-8 */
};

typedef void (*assay_rule_fn)(const struct assay_rule *rule, void *ctx);

/*
 * May `store` fail over to `host`? 0 and a decision, of which only ASSAY_PERMIT is a yes; on any
 * error *ret_decision is ASSAY_UNDETERMINED. `fn` (may be NULL) is called for each rule. -ENOENT:
 * no such store, or no copy of it on `host`.
 */
int assay_gate(struct assay *assay, const char *store, const char *host, assay_rule_fn fn,
	       void *ctx, enum assay_decision *ret_decision);

#ifdef __cplusplus
}
#endif
#endif
