/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the scan of one volume share: volume_scan.c leads, volume_meta.c, volume_files.c
 * and volume_blocks.c ask one witness each and look twice, volume_tell.c puts it into words.
 * Internal to verify/. One thread owns all of it.
 */
#ifndef VERIFY_VOLUME_SCANNING_H
#define VERIFY_VOLUME_SCANNING_H

#include "base/buf.h"
#include "state/baseline.h"
#include "verify/block_pass.h"
#include "verify/finding.h"
#include "verify/volume_scan.h"
#include "verify/volume_view.h"

#define VOLUME_TOLD_MAX 4096		     /* of each kind, by name */
#define VOLUME_CHANGED_MAX (UINT32_C(1) << 20) /* blocks that differ from the baseline */
#define VOLUME_BAD_MAX 65536		     /* runs of unreadable sectors */

/* What the object of a finding begins with. */
#define OBJECT_EXT4 "ext4:"
#define OBJECT_PACKAGE "package:"
#define OBJECT_BLOCK "block:"
#define OBJECT_UNREADABLE OBJECT_BLOCK "unreadable:"

/* A block whose sum is not that of the baseline. */
struct changed_block {
	uint64_t block;
	struct block_sum was, now;
	/* Whose it was then and is now; 0: nobody's that says when it changed. */
	uint32_t ino;
	uint64_t logical; /* blocks of its file */
};

struct suspect_file {
	uint32_t ino;
	char *package;	/* owned */
	bool in_flight; /* a later look saw something else */
};

struct bad_range {
	uint64_t off, len; /* bytes of the filesystem */
	int error;
};

struct volume_scanning {
	struct state *state;
	const struct volume_target *target;
	const struct volume_scan_options *options;
	const struct scan_events *events;
	const struct log *log;
	struct volume_scan_result *result;
	int64_t target_id;
	int64_t started_mono_ns, last_progress_ns;
	bool in_transaction;

	char disk[256]; /* that it lies on; "" : not known */
	uint64_t start; /* bytes: where on it */
	struct volume_view view;
	struct packages *packages; /* NULL: no Debian is installed in it */

	/* Metadata. */
	struct ext4_problem *problems;
	size_t nr_problems;
	uint64_t nr_problems_more;

	/* Files of packages, which looked wrong once. */
	struct suspect_file *suspect_files;
	size_t nr_suspect_files;
	uint64_t nr_suspect_more; /* that are not kept */
	enum packages_canary files_canary;
	uint64_t nr_unresolved;	 /* files whose directory cannot be read */
	char unresolved[256];	 /* one of them */
	struct package_result again; /* what a later look said; what it points to is the packages' */

	/* Blocks. */
	struct baseline *before;
	int before_error; /* it could not be read somewhere */
	struct baseline_writer *after;
	struct changed_block *changed;
	size_t nr_changed, cap_changed;
	uint64_t nr_changed_more;
	struct bad_range *bad;
	size_t nr_bad;
	uint64_t nr_bad_more;
	uint64_t last_bad_block; /* whose old sum was handed on */
	uint64_t nr_matched;	 /* blocks that both have */
	uint32_t corrupt[VOLUME_TOLD_MAX]; /* inodes of corrupt blocks */
	size_t nr_corrupt;
	bool block_canary_planted, block_canary_found;
	bool blocks_whole, meta_whole, files_whole; /* looked at, all of them */
	int blocks_result;
};

static inline bool volume_is_stopped(const struct volume_scanning *s)
{
	return s->options->stop && *s->options->stop;
}

/* volume_scan.c */
int volume_gap(struct volume_scanning *s, const char *path, const char *fmt, ...)
	printf_like(3, 4) must_check;
int volume_finding(struct volume_scanning *s, struct finding *finding) must_check;
void volume_progress(struct volume_scanning *s, uint64_t bytes, uint64_t total);
/* Waits for the settling time. */
void volume_settle(struct volume_scanning *s);
/* Brings what is cached to the disk, and opens a new view. */
int volume_look_again(struct volume_scanning *s, struct volume_view *ret_view) must_check;

/* volume_meta.c: the metadata, and with it the inodes for the baseline. */
int volume_check_metadata(struct volume_scanning *s) must_check;
/* volume_files.c */
int volume_check_files(struct volume_scanning *s) must_check;
/* volume_blocks.c */
int volume_begin_blocks(struct volume_scanning *s) must_check; /* before the metadata */
int volume_check_blocks(struct volume_scanning *s) must_check;
int volume_add_owner(struct volume_scanning *s, const struct ext4_inode *inode) must_check;

/* volume_tell.c */
struct volume_place {
	uint64_t off; /* bytes of the filesystem; UINT64_MAX: nowhere in particular */
	uint64_t len;
	uint32_t ino; /* owner; 0: the filesystem itself */
	uint64_t file_off; /* bytes of the owner; UINT64_MAX: not known */
	const char *path; /* of the owner; NULL: not known */
};
/* `meaning` is a sentence or more, behind everything else; NULL: none. */
int volume_tell(struct volume_scanning *s, enum finding_code code, const char *object,
		const struct volume_place *place, const char *recorded, const char *observed,
		const char *words, const char *meaning) must_check;
/* True when Cyrus or the gate need this file. */
bool volume_path_matters(const char *path);

#endif
