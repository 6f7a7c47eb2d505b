// SPDX-License-Identifier: Apache-2.0
/*
 * A person says that a block which was found corrupt is right as it is now: a new generation of the
 * baseline, the same but for that.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "verify/volume_accept.h"
#include "verify/volume_scanning.h"

#define KEEP_GENERATIONS 4

struct accepting {
	struct state *state;
	const struct accept_request *request;
	const struct log *log;
	struct volume_view view;
	struct baseline *before;
	struct baseline_writer *after;
	uint8_t *bytes; /* room for a block */
	uint64_t nr_accepted;
	int64_t target_id;
};

static bool is_wanted(const struct accept_request *request, uint64_t block)
{
	for (size_t i = 0; i < request->nr_blocks; i++)
		if (request->blocks[i] == block)
			return true;
	return request->nr_blocks == 0;
}

/* What it holds now, where it is accepted; else the evidence stays. */
static int copy_contested(struct accepting *a, uint64_t block, struct block_sum was)
{
	uint64_t unit = a->view.info.block_size;

	if (!is_wanted(a->request, block))
		return baseline_writer_replace_sum(a->after, block, was, true);
	int r = source_read_exact(&a->view.device, block * unit, a->bytes, unit);
	if (r)
		return log_error(a->log, r, "block %" PRIu64 " cannot be read: %s", block,
				 strerror(-r));
	a->nr_accepted++;
	return baseline_writer_replace_sum(a->after, block, block_sum_of(span_of(a->bytes, unit)),
					   false);
}

static int copy_run(uint64_t first, uint64_t nr, void *ctx)
{
	struct accepting *a = ctx;
	int r = 0;

	for (uint64_t block = first; block - first < nr && r == 0; block++) {
		struct block_sum sum;
		r = baseline_sum_at(a->before, block, &sum);
		if (r == 0)
			return -EBADMSG;
		if (r > 0)
			r = baseline_writer_add_sum(a->after, block, sum);
		int contested = r ? r : baseline_is_contested(a->before, block);
		if (contested > 0)
			r = copy_contested(a, block, sum);
		else
			r = contested;
	}
	return r;
}

static int copy_owner(const struct baseline_owner *owner, void *ctx)
{
	struct accepting *a = ctx;

	return baseline_writer_add_owner(a->after, owner);
}

/* ---- findings ---- */

struct closing {
	const struct accept_request *request;
	int64_t ids[256];
	size_t nr;
};

static int decide(const struct finding *finding, void *ctx)
{
	struct closing *closing = ctx;
	uint64_t block;

	if (strncmp(finding->object, OBJECT_BLOCK, strlen(OBJECT_BLOCK)) ||
	    span_parse_u64(span_of_str(finding->object + strlen(OBJECT_BLOCK)), UINT64_MAX, &block) ||
	    !is_wanted(closing->request, block))
		return 0;
	closing->ids[closing->nr++] = finding->id;
	return closing->nr == array_size(closing->ids);
}

static int close_findings(const struct accepting *a)
{
	struct finding_filter filter = { .target = a->target_id, .open_only = true };
	int r;

	do {
		struct closing closing = { .request = a->request };
		r = state_finding_each(a->state, &filter, decide, &closing);
		for (size_t i = 0; r >= 0 && i < closing.nr; i++) {
			int closed = state_finding_close(a->state, closing.ids[i], 0,
							 clock_wall_ns(), "accepted");
			r = closed ? closed : r;
		}
	} while (r > 0);
	return r;
}

/* ---- all of it ---- */

static int copy_all(struct accepting *a)
{
	struct baseline_info info;

	baseline_get_info(a->before, &info);
	a->bytes = malloc(a->view.info.block_size);
	if (!a->bytes || info.block_size != a->view.info.block_size)
		return a->bytes ? -EBADMSG : -ENOMEM;
	int r = baseline_writer_new(a->request->state_dir, &info, &a->after);
	if (r == 0)
		r = baseline_each_run(a->before, copy_run, a);
	if (r == 0)
		r = baseline_each_owner(a->before, copy_owner, a);
	if (r == 0 && a->nr_accepted)
		r = baseline_writer_commit(a->after, info.ended_ns, KEEP_GENERATIONS, NULL);
	return r;
}

static int find_target(struct accepting *a)
{
	char key[64];

	volume_key(a->view.info.uuid, key);
	int r = state_target_find(a->state, key, &a->target_id);
	if (r == 0)
		r = state_target_lock(a->state, a->target_id);
	return r;
}

int volume_accept(struct state *state, const struct volume_target *target,
		  const struct accept_request *request, const struct log *log,
		  uint64_t *ret_accepted)
{
	struct accepting a = {
		.state = state,
		.request = request,
		.log = log,
		.view = VOLUME_VIEW_NULL,
	};

	*ret_accepted = 0;
	int r = volume_view_open(&a.view, target->path);
	if (r == 0)
		r = find_target(&a);
	if (r == 0)
		r = baseline_open(request->state_dir, a.view.info.uuid, 0, &a.before);
	if (r)
		r = log_error(log, r, "%s: %s", target->name,
			      r == -EBUSY    ? "it is being scanned by another process"
			      : r == -ENOENT ? "it has no baseline: scan it first"
					     : strerror(-r));
	else
		r = copy_all(&a);
	if (r == -EBADMSG)
		(void)log_error(log, r, "%s: its baseline is damaged", target->name);
	if (r == 0 && a.nr_accepted)
		r = close_findings(&a);
	*ret_accepted = r ? 0 : a.nr_accepted;
	baseline_writer_free(a.after);
	baseline_close(a.before);
	volume_view_close(&a.view);
	free(a.bytes);
	return r;
}
