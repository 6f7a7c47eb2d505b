/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scan of a volume shows at its end: the verdict, what each witness saw, and what damage
 * looks like taken together.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output_volume.h"

static void set_metadata(json_t *object, const struct volume_scan_result *result)
{
	json_t *metadata = json_object();

	output_set_int(metadata, "inodes", (int64_t)result->metadata.inodes);
	output_set_int(metadata, "directories", (int64_t)result->metadata.dirs);
	output_set_int(metadata, "directory_blocks", (int64_t)result->metadata.dir_blocks);
	output_set_int(metadata, "map_blocks", (int64_t)result->metadata.map_blocks);
	output_set_int(metadata, "unchecked", (int64_t)result->metadata.unchecked);
	output_set_bool(metadata, "accounts_balanced", result->books);
	output_set_int(metadata, "journal_blocks", (int64_t)result->journal_blocks);
	output_set(object, "metadata", metadata);
}

static void set_blocks(json_t *object, const struct volume_scan_result *result)
{
	json_t *blocks = json_object(), *baseline = json_object();

	output_set_int(blocks, "read", (int64_t)result->blocks);
	output_set_int(blocks, "same", (int64_t)result->blocks_same);
	output_set_int(blocks, "changed", (int64_t)result->blocks_changed);
	output_set_int(blocks, "corrupt", (int64_t)result->blocks_corrupt);
	output_set_int(blocks, "new", (int64_t)result->blocks_new);
	output_set_int(blocks, "freed", (int64_t)result->blocks_freed);
	output_set_int(blocks, "unreadable", (int64_t)result->blocks_unreadable);
	output_set(object, "blocks", blocks);
	output_set_int(baseline, "before", (int64_t)result->baseline_before);
	output_set_time(baseline, "before_at", result->baseline_before_ns);
	output_set_int(baseline, "after", (int64_t)result->baseline_after);
	output_set_str(baseline, "why_none", result->baseline_why);
	output_set(object, "baseline", baseline);
}

/* Keys are snake_case. */
static void set_kind(json_t *object, enum fingerprint kind, uint64_t count)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "%s", fingerprint_name(kind));
	for (char *c = key; *c; c++)
		*c = *c == '-' ? '_' : *c;
	output_set_int(object, key, (int64_t)count);
}

static void summary_json(const struct volume_target *target,
			 const struct volume_scan_result *result)
{
	const struct run *run = &result->run;
	json_t *object = output_object("volume_summary"), *prints = json_object();
	struct buf words = BUF_NULL;

	output_set_str(object, "volume", target->name);
	output_set_str(object, "host", target->host);
	output_set_str(object, "device", target->path);
	output_set_str(object, "mount", target->mount);
	output_set_str(object, "status", run_status_name(run->status));
	output_set_int(object, "run", run->id);
	output_set_int(object, "findings", (int64_t)run->findings);
	output_set_int(object, "notices", (int64_t)run->notices);
	output_set_int(object, "in_flight", (int64_t)run->in_flight);
	output_set_int(object, "gaps", (int64_t)run->gaps);
	set_metadata(object, result);
	set_blocks(object, result);
	if (result->has_packages) {
		json_t *files = json_object();
		for (int i = 0; i < PACKAGE_CLASS_COUNT_; i++)
			output_set_int(files, package_class_name((enum package_class)i),
				       (int64_t)result->files[i]);
		output_set_int(files, "missing", (int64_t)result->nr_files_missing);
		output_set(object, "package_files", files);
	} else {
		output_set(object, "package_files", json_null());
	}
	for (int i = 0; i < FINGERPRINT_COUNT_; i++)
		set_kind(prints, (enum fingerprint)i, result->fingerprints.counts[i]);
	output_set(object, "fingerprints", prints);
	fingerprint_summary_describe(&result->fingerprints, &words);
	output_set_str(object, "damage", buf_str(&words));
	buf_fini(&words);
	output_set_int(object, "bytes_read", (int64_t)result->bytes_read);
	output_set_str(object, "engine", result->engine);
	output_set_str(object, "engine_why", *result->engine_why ? result->engine_why : NULL);
	output_set_time(object, "started_at", run->started_ns);
	output_set_time(object, "ended_at", run->ended_ns);
	output_set(object, "took_s", json_real((double)(run->ended_ns - run->started_ns) / 1e9));
	output_line(object);
}

static void print_metadata(const struct volume_scan_result *result)
{
	char inodes[32], directories[32];

	text_count(result->metadata.inodes, inodes, sizeof(inodes));
	text_count(result->metadata.dirs, directories, sizeof(directories));
	(void)printf("  metadata  %s inodes, %s directories; %s", inodes, directories,
		     result->books ? "the accounts were balanced"
				   : "mounted: each part for itself, no accounts");
	if (result->journal_blocks)
		(void)printf("; %" PRIu64 " blocks as the journal has them", result->journal_blocks);
	(void)printf("\n");
}

static void print_files(const struct volume_scan_result *result)
{
	if (!result->has_packages)
		return;
	(void)printf("  packages  %" PRIu64 " files right, %" PRIu64 " corrupt, %" PRIu64
		     " changed, %" PRIu64 " conffiles changed, %" PRIu64 " not there\n",
		     result->files[PACKAGE_FILE_OK], result->files[PACKAGE_FILE_CORRUPT],
		     result->files[PACKAGE_FILE_CHANGED], result->files[PACKAGE_FILE_CONFFILE],
		     result->nr_files_missing);
}

static void print_blocks(const struct volume_scan_result *result)
{
	char age[64];

	if (result->baseline_before) {
		text_duration(max_of(result->run.started_ns - result->baseline_before_ns, INT64_C(0)),
			      age, sizeof(age));
		(void)printf("  baseline  %" PRIu64 ", %s old: %" PRIu64 " blocks as they were, %" PRIu64
			     " changed with their file or metadata, %" PRIu64 " corrupt, %" PRIu64
			     " new, %" PRIu64 " freed\n",
			     result->baseline_before, age, result->blocks_same,
			     result->blocks_changed, result->blocks_corrupt, result->blocks_new,
			     result->blocks_freed);
	} else {
		(void)printf("  baseline  there was none: nothing that changed silently before now can "
			     "be known by it\n");
	}
	if (result->baseline_after)
		(void)printf("            %" PRIu64 " written\n", result->baseline_after);
	else if (result->baseline_why)
		(void)printf("            no new one: %s\n", result->baseline_why);
}

static bool has_fingerprints(const struct volume_scan_result *result)
{
	for (int i = 0; i < FINGERPRINT_COUNT_; i++)
		if (result->fingerprints.counts[i])
			return true;
	return false;
}

void output_volume_summary(struct scan_output *out, const struct volume_target *target,
			   const struct volume_scan_result *result)
{
	const struct run *run = &result->run;
	char bytes[32], took[64], rate[32], findings[48], notices[48] = "";
	int64_t took_ns = max_of(run->ended_ns - run->started_ns, NS_PER_MS);
	struct buf words = BUF_NULL;

	scan_output_clear_line(out);
	if (out->cli->json) {
		summary_json(target, result);
		return;
	}
	text_counted(run->findings, "finding", findings, sizeof(findings));
	if (run->notices)
		text_counted(run->notices, "notice", notices, sizeof(notices));
	text_bytes(result->bytes_read, bytes, sizeof(bytes));
	text_duration(took_ns, took, sizeof(took));
	text_bytes((uint64_t)((double)result->bytes_read / ((double)took_ns / 1e9)), rate,
		   sizeof(rate));
	(void)printf("%s  %s (%s%s%s)  %s read in %s (%s/s): %s%s%s, %" PRIu64
		     " not checked, %" PRIu64 " in flight\n",
		     scan_output_headline(run), target->name, target->path,
		     target->mount ? ", mounted at " : "", target->mount ? target->mount : "", bytes,
		     took, rate, findings, *notices ? ", " : "", notices, run->gaps, run->in_flight);
	if (!target->is_raw) {
		print_metadata(result);
		print_files(result);
		print_blocks(result);
	}
	if (has_fingerprints(result)) {
		fingerprint_summary_describe(&result->fingerprints, &words);
		(void)printf("  damage    %s\n", buf_str(&words));
	}
	if (result->engine)
		(void)printf("  %s: read by %s%s%s\n", target->path, result->engine,
			     *result->engine_why ? ", because " : "", result->engine_why);
	buf_fini(&words);
}

void output_baseline(const struct cli *cli, const char *name, const struct baseline_info *info,
		     bool newest)
{
	char when[64], bytes[32];
	double share = info->nr_sums ? (double)info->bytes / ((double)info->nr_sums * info->block_size) : 0;

	if (cli->json) {
		json_t *object = output_object("baseline");
		output_set_str(object, "volume", name);
		output_set_int(object, "number", (int64_t)info->number);
		output_set_bool(object, "newest", newest);
		output_set_time(object, "started_at", info->started_ns);
		output_set_time(object, "ended_at", info->ended_ns);
		output_set_int(object, "blocks", (int64_t)info->nr_sums);
		output_set_int(object, "block_size", info->block_size);
		output_set_int(object, "owners", (int64_t)info->nr_owners);
		output_set_int(object, "contested", (int64_t)info->nr_contested);
		output_set_int(object, "bytes", (int64_t)info->bytes);
		output_line(object);
		return;
	}
	text_time(info->started_ns, when, sizeof(when));
	text_bytes(info->bytes, bytes, sizeof(bytes));
	(void)printf("%s %" PRIu64 "  %s  %" PRIu64 " blocks of %" PRIu64 " files, %s (%.2f %%)",
		     newest ? "*" : " ", info->number, when, info->nr_sums, info->nr_owners, bytes,
		     share * 100);
	if (info->nr_contested)
		(void)printf("  %" PRIu64 " contested: damage that was found and not accepted",
			     info->nr_contested);
	(void)printf("\n");
}

void output_baseline_difference(const struct cli *cli, const struct baseline_difference *d)
{
	if (cli->json) {
		json_t *object = output_object("baseline_difference");
		output_set_int(object, "since", (int64_t)d->number);
		output_set_int(object, "changed", (int64_t)d->changed);
		output_set_int(object, "new", (int64_t)d->added);
		output_set_int(object, "freed", (int64_t)d->gone);
		output_line(object);
		return;
	}
	(void)printf("  since %" PRIu64 ": %" PRIu64 " blocks changed, %" PRIu64 " new, %" PRIu64
		     " freed\n",
		     d->number, d->changed, d->added, d->gone);
}
