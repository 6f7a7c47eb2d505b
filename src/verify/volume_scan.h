/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scan of a volume: an ext2, ext3 or ext4 filesystem, mounted or not, block by block against three
 * witnesses: its own metadata (format/ext4/ext4_check), the packages that are installed in it
 * (verify/packages), and the baseline that an earlier scan left (state/baseline).
 *
 * What looks wrong is looked at again after a settling time, through a new view; what is right then, or
 * has changed meanwhile, is no finding. Faults are planted on each road; a run that does not find
 * them is void. A run that read everything leaves a new baseline, in which evidence of damage stays.
 */
#ifndef VERIFY_VOLUME_SCAN_H
#define VERIFY_VOLUME_SCAN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "format/assay/conf.h"
#include "format/ext4/ext4_check.h"
#include "io/ring.h"
#include "io/throttle.h"
#include "state/state.h"
#include "verify/fingerprint.h"
#include "verify/packages.h"
#include "verify/scan.h"

/* What state knows a volume by: "volume:" and its UUID, wherever it is found. */
#define VOLUME_KEY_PREFIX "volume:"
#define VOLUME_RAW_PREFIX "raw:" /* and the digest of a path: read, whatever is on it */
#define VOLUME_KEY_SIZE 64
void volume_key(const uint8_t uuid[16], char ret_key[VOLUME_KEY_SIZE]);

struct volume_target {
	char *name; /* by the configuration, or the path as it was given */
	char *host;
	char *path;	 /* of the device or image */
	char *mount;	 /* where it is mounted; NULL: nowhere here */
	bool is_live;	 /* mounted so that it can be written to */
	bool is_named;	 /* by the configuration */
	bool is_raw;	 /* whatever is on it: only whether it can be read */
	uint64_t dev;	 /* of a device, as in struct file_identity; 0: an image */
	char key[VOLUME_KEY_SIZE]; /* "" where its superblock does not tell its UUID */
};

#define VOLUME_TARGET_NULL ((struct volume_target){ .name = NULL })

/*
 * Finds the device of a [volume NAME] of the configuration, or takes a device or image by its path, and
 * looks what is on it. Every error is said in `log`: -EPROTONOSUPPORT: no ext filesystem, and what it
 * is instead; -ENODEV: nothing is mounted there, or it has no device; or the errno of opening it.
 */
int volume_target_open_named(struct volume_target *target, const struct conf *conf,
			     const struct conf_volume *volume, const struct log *log) must_check;
int volume_target_open_path(struct volume_target *target, const struct conf *conf, const char *path,
			    bool raw, const struct log *log) must_check;
void volume_target_fini(struct volume_target *target); /* may be called twice */

struct volume_scan_options {
	const char *state_dir; /* where baselines are kept */
	int64_t settle_ns;
	enum ring_engine engine;
	struct throttle_limits limits;
	int64_t read_timeout_ns; /* 0: 120 s */
	struct fault *fault;	 /* for tests: in reads of blocks; NULL: none */
	bool no_baseline;	 /* neither compare with one nor write one */
	bool no_packages;
	const volatile sig_atomic_t *stop; /* may be NULL */
	volatile sig_atomic_t *show_progress; /* may be NULL */
};

/* How many blocks and files, by what was found of them. */
struct volume_scan_result {
	struct run run;
	struct ext4_check_stats metadata;
	bool books; /* were balanced: nobody changed it meanwhile */
	uint64_t journal_blocks; /* whose newest version stands in the journal */
	uint64_t files[PACKAGE_CLASS_COUNT_];
	bool has_packages;
	uint64_t nr_files_missing;
	uint64_t baseline_before; /* generation that was compared with; 0: there was none */
	int64_t baseline_before_ns;
	uint64_t baseline_after;  /* that was written; 0: none, and why */
	const char *baseline_why;
	uint64_t blocks;	  /* allocated, and read */
	uint64_t blocks_same, blocks_changed, blocks_corrupt, blocks_new, blocks_freed;
	uint64_t blocks_unreadable;
	struct fingerprint_summary fingerprints;
	uint64_t bytes_read;
	const char *engine; /* NULL: nothing was read */
	char engine_why[128];
};

/* As scan_store; progress is told in bytes. */
int scan_volume(struct state *state, const struct volume_target *target,
		const struct volume_scan_options *options, const struct scan_events *events,
		const struct log *log, struct volume_scan_result *ret_result) must_check;

#endif
