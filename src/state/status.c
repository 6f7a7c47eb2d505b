/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known now: every target, its latest run, and whether somebody is at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "state/sql.h"

int state_target_each(struct state *state, state_target_fn fn, void *ctx)
{
	int code, r = 0;

	PREPARE(stmt, state, SQL_TARGET_EACH, "reading the targets");
	while (r == 0 && (code = sqlite3_step(stmt)) != SQLITE_DONE) {
		if (code != SQLITE_ROW) {
			r = state_fail(state, "reading the targets");
			break;
		}
		struct target_row row = {
			.id = sqlite3_column_int64(stmt, 0),
			.key = column_span(stmt, 1),
			.store = column_text(stmt, 2),
			.host = column_text(stmt, 3),
		};
		r = fn(&row, ctx);
	}
	(void)sqlite3_reset(stmt);
	return r;
}

int state_target_is_locked(struct state *state, int64_t target, bool *ret_is_locked)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct buf path = BUF_NULL;

	*ret_is_locked = false;
	buf_addf(&path, "%s/scan-%lld.lock", state->dir, (long long)target);
	int r = buf_error(&path);
	int fd = r ? -1 : open(buf_str(&path), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	/* No file: nobody has ever scanned it from this directory. */
	if (r == 0 && fd < 0 && errno != ENOENT)
		r = log_error(state->log, -errno, "%s: %s", buf_str(&path), strerror(errno));
	if (r == 0 && fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock))
		r = log_error(state->log, -errno, "%s: %s", buf_str(&path), strerror(errno));
	else if (r == 0 && fd >= 0)
		*ret_is_locked = lock.l_type != F_UNLCK;
	if (fd >= 0)
		(void)close(fd);
	buf_fini(&path);
	return r;
}

static int state_read_last(struct state *state, int64_t target, struct run *ret_run)
{
	PREPARE(stmt, state, SQL_RUN_LAST, "reading a run");
	bind_int(stmt, 1, target);
	return state_query_run(state, stmt, ret_run);
}

int state_run_last_whole(struct state *state, int64_t target, struct run *ret_run)
{
	PREPARE(stmt, state, SQL_RUN_LAST_WHOLE, "reading a run");
	bind_int(stmt, 1, target);
	return state_query_run(state, stmt, ret_run);
}

int state_run_last(struct state *state, int64_t target, struct run *ret_run,
		   bool *ret_is_under_way)
{
	int r = state_read_last(state, target, ret_run);

	*ret_is_under_way = false;
	/* A scan writes its status before it lets the lock go. One that ended between our two looks
	 * has not been killed: look again, until the row is the same before and after. */
	while (r == 0 && ret_run->status == RUN_RUNNING) {
		int64_t before = ret_run->id;
		r = state_target_is_locked(state, target, ret_is_under_way);
		if (r || *ret_is_under_way)
			break;
		r = state_read_last(state, target, ret_run);
		if (r == 0 && ret_run->status == RUN_RUNNING && ret_run->id == before)
			break;
	}
	return r;
}
