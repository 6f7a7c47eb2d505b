/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roads: which way a message is read. Where its directory is on an ext4 volume whose device may be
 * read, it goes to the blocks of that volume; everywhere else, and where blocks are not certain, it
 * is read as a file. What is not good on either road is a suspicion like any other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "io/dev.h"
#include "verify/scanning.h"

#define WINDOW_MESSAGES (512u << 10)
#define WINDOW_EARLY (16u << 10) /* messages worth a window of their own, while the disk is idle */
#define READ_TIMEOUT (120 * NS_PER_S)
#define WAIT_NS (20 * NS_PER_MS)

struct road *roads_find(struct scanning *s, uint64_t dev)
{
	for (unsigned i = 0; i < s->nr_roads; i++)
		if (s->roads[i].dev == dev)
			return &s->roads[i];
	return NULL;
}

/* Makes the blocks of a volume readable, or says why not. */
static int road_open_blocks(struct scanning *s, struct road *road)
{
	const struct scan_options *o = s->options;
	struct blocks_options options = {
		.engine = o->engine,
		.sha1 = o->sha1,
		.nr_workers = max_of(o->digesters, 1u),
		.window = o->window ? o->window : WINDOW_MESSAGES,
		.origin_seed = s->origin_seed,
		.timeout_ns = o->read_timeout_ns ? o->read_timeout_ns : READ_TIMEOUT,
		.fault = o->fault,
		.stop = &s->stop,
		.limits = s->limits,
	};
	struct volume *volume = road->dev == VOLUME_DEV_IMAGE
					? volume_open_image(s->target->image->path)
					: volume_open(road->dev);

	if (!volume)
		return -ENOMEM;
	(void)snprintf(road->device, sizeof(road->device), "%s", volume->device);
	(void)snprintf(road->why, sizeof(road->why), "%s", volume->why);
	if (!volume->usable) {
		volume_close(volume);
		return 0;
	}
	uint64_t start;
	if (dev_find_disk(volume->disk_dev, road->disk, sizeof(road->disk), &start))
		*road->disk = '\0';
	int r = blocks_new(volume, s->tally, &options, &road->blocks);
	return r ? r : resume_open_road(s, road);
}

/* The road of a directory's filesystem, made when it is first met. NULL: as files. */
static int road_of(struct scanning *s, const struct dir *dir, struct road **ret_road)
{
	struct road *road = roads_find(s, dir->dev);
	int r = 0;

	*ret_road = road;
	if (road || s->nr_roads == array_size(s->roads))
		return 0;
	road = &s->roads[s->nr_roads++];
	*road = (struct road){ .dev = dir->dev, .dirfd = -1 };
	if (s->options->order == SCAN_ORDER_FILE) {
		if (dev_find(dir->dev, road->device, sizeof(road->device)))
			*road->device = '\0';
		(void)snprintf(road->why, sizeof(road->why), "file order was asked for");
	} else {
		r = road_open_blocks(s, road);
		if (r == 0 && road->blocks && dir->fd >= 0)
			road->dirfd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
		if (r == 0 && road->blocks && dir->fd >= 0 && road->dirfd < 0)
			r = -errno;
	}
	*ret_road = road;
	return r;
}

/* ---- messages read as files ---- */

void roads_close_dirs(struct scanning *s)
{
	unsigned kept = 0;

	if (s->nr_with_dirs)
		pool_wait_idle(s->pool);
	for (unsigned i = 0; i < s->nr_with_dirs; i++) {
		struct mailbox *mailbox = s->with_dirs[i];
		if (mailbox == s->passing) { /* not gone through yet */
			s->with_dirs[kept++] = mailbox;
			continue;
		}
		mailbox_close_dirs(mailbox);
		mailbox_unref(mailbox);
	}
	s->nr_with_dirs = kept;
}

static bool has_dirs_kept(const struct scanning *s, const struct mailbox *mailbox)
{
	for (unsigned i = s->nr_with_dirs; i-- > 0;)
		if (s->with_dirs[i] == mailbox)
			return true;
	return false;
}

static void keep_dirs(struct scanning *s, struct mailbox *mailbox)
{
	if (has_dirs_kept(s, mailbox))
		return;
	if (s->nr_with_dirs == array_size(s->with_dirs))
		roads_close_dirs(s);
	s->with_dirs[s->nr_with_dirs++] = mailbox_ref(mailbox);
}

void roads_begin_pass(struct scanning *s, struct mailbox *mailbox)
{
	s->passing = mailbox;
	for (unsigned i = 0; i < s->nr_roads && !s->going_again; i++)
		window_begin_mailbox(&s->roads[i].collecting, mailbox);
}

void roads_end_pass(struct scanning *s)
{
	for (unsigned i = 0; i < s->nr_roads && !s->going_again; i++)
		window_end_mailbox(&s->roads[i].collecting, s->passing);
	if (!has_dirs_kept(s, s->passing))
		mailbox_close_dirs(s->passing);
	s->passing = NULL;
}

/* Has a message read as a file. One in an image is read at once: an image belongs to one thread. */
static void read_as_file(struct scanning *s, struct mailbox *mailbox, const struct witness *witness,
			 uint64_t ino)
{
	struct observation seen;

	if (!mailbox->image) {
		keep_dirs(s, mailbox);
		pool_submit(s->pool, mailbox, witness, ino);
		return;
	}
	tally_begin(mailbox);
	observe_message(&s->observer, mailbox, witness, &seen);
	tally_seen(s->tally, mailbox, witness, &seen);
}

/* A message of a window that cannot be read in blocks: its mailbox may have to be opened again. */
static int road_fall_back(struct mailbox *mailbox, const struct witness *witness, void *ctx)
{
	struct scanning *s = ctx;
	struct observation seen = { 0 };

	if (mailbox != s->passing && !has_dirs_kept(s, mailbox)) {
		seen.error = mailbox_open_dirs(mailbox);
	}
	if (seen.error) { /* the mailbox has gone, or moved: the second look finds out */
		tally_begin(mailbox);
		tally_seen(s->tally, mailbox, witness, &seen);
		return 0;
	}
	read_as_file(s, mailbox, witness, 0);
	/*
	 * It has been read. What of a store in an image lies on this host is opened for every
	 * message.
	 */
	if (mailbox->image && mailbox != s->passing)
		mailbox_close_dirs(mailbox);
	return 0;
}

/* ---- windows ---- */

static int road_tell_failure(struct scanning *s, const struct road *road, int error,
			     uint64_t unread)
{
	struct buf why = BUF_NULL;
	char count[48];

	text_counted(unread, "message", count, sizeof(count));
	buf_addf(&why, "%s: %s not read",
		 error == -ENODEV      ? "the device has gone"
		 : error == -ETIMEDOUT ? "the device hangs: it has not answered a read"
				       : strerror(-error),
		 count);
	int r = buf_error(&why);
	if (r == 0)
		r = scanning_gap(s, NULL, road->device, buf_str(&why));
	buf_fini(&why);
	return r;
}

/* Waits until the window under way has been read; meanwhile what is found is taken in. */
static int road_wait(struct scanning *s, struct road *road)
{
	uint64_t unread = 0;
	int r = 0;

	while (r == 0 && blocks_is_busy(road->blocks, WAIT_NS)) {
		r = scanning_collect(s);
		if (r == 0 && (s->suspicions || tally_count_suspicions(s->tally)))
			r = confirm(s, CONFIRM_DUE);
	}
	if (r)
		return r;
	r = resume_checkpoint(s, true);
	if (r)
		return r;
	int ended = blocks_take_result(road->blocks, &unread);
	if (ended < 0) { /* nothing more is read from it: what it holds ends here */
		road->failed = ended;
		s->device_failed = true;
		r = road_tell_failure(s, road, ended, unread);
	}
	return r;
}

/* One disk serves one reader: its other volumes are waited for. */
static int road_wait_disk(struct scanning *s, struct road *road)
{
	int r = road_wait(s, road);

	for (unsigned i = 0; r == 0 && i < s->nr_roads; i++)
		if (&s->roads[i] != road && s->roads[i].blocks && *road->disk &&
		    strcmp(s->roads[i].disk, road->disk) == 0)
			r = road_wait(s, &s->roads[i]);
	return r;
}

static int road_start(struct scanning *s, struct road *road)
{
	int r = road_wait_disk(s, road);

	if (r || blocks_collected(road->blocks) == 0)
		return r;
	/* What is collected becomes what is read. A mailbox that is being gone through is in two windows
	 * then, and in the range of none. */
	struct window empty = road->reading;
	struct blocks_carry carry = { road->marker_distance, road->marker_since_ns };
	road->reading = road->collecting;
	road->collecting = empty;
	road->collecting.has_first = road->collecting.holds_all = false;
	road->candidate = 0;
	if (road->windows++ > 0) /* what the earlier run kept is about windows that are behind */
		road->floor = 0;
	r = blocks_start(road->blocks, road->dirfd, &carry, road_fall_back, s);
	/* A marker speaks for all messages of the window, for those that are read as files too:
	 * what is wrong with them is suspected before the first place is remembered. */
	pool_wait_idle(s->pool);
	return r;
}

int roads_stop(struct scanning *s)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->nr_roads; i++)
		if (s->roads[i].blocks)
			r = road_wait(s, &s->roads[i]);
	/* The first look remembers where they are, the second whether all before it is resolved. */
	if (r == 0)
		r = resume_checkpoint(s, true);
	return r ? r : resume_checkpoint(s, true);
}

/*
 * A disk without a head reads what has been collected while the rest still is, also if that makes
 * more windows of it. One with a head would have it moved to and fro between reading and
 * collecting.
 */
int roads_start_early(struct scanning *s)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->nr_roads; i++) {
		struct road *road = &s->roads[i];
		if (road->blocks && !blocks_volume(road->blocks)->rotational &&
		    blocks_collected(road->blocks) >= WINDOW_EARLY &&
		    !blocks_is_busy(road->blocks, 0))
			r = road_start(s, road);
	}
	return r;
}

int roads_submit(struct scanning *s, struct mailbox *mailbox, const struct witness *witness,
		 const struct place *place)
{
	struct road *road = NULL;
	const struct dir *dir = place->archive ? &mailbox->archive_dir : &mailbox->message_dir;
	bool may_carry;
	int r = place->ino && dir_is_open(dir) ? road_of(s, dir, &road) : 0;

	if (r)
		return r;
	may_carry = road && road->blocks && resume_may_carry(s, road, mailbox);
	s->nr_submitted = min_of(s->nr_submitted + 1, PLACES_WANTED);
	/* One that lies where its record does not say is for the road of files to look at. */
	if (road && road->blocks && !road->failed && witness->size <= UINT32_MAX &&
	    place->archive == (witness->archived && dir_is_open(&mailbox->archive_dir))) {
		if (blocks_offer(road->blocks, mailbox, witness, place->ino, may_carry))
			return 0;
		r = road_start(s, road);
		if (r)
			return r;
		if (blocks_offer(road->blocks, mailbox, witness, place->ino, may_carry))
			return 0;
	}
	read_as_file(s, mailbox, witness, place->ino);
	return 0;
}

int roads_finish(struct scanning *s)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->nr_roads && !scanning_is_stopped(s); i++)
		if (s->roads[i].blocks)
			r = road_start(s, &s->roads[i]);
	for (unsigned i = 0; r == 0 && i < s->nr_roads; i++)
		if (s->roads[i].blocks)
			r = road_wait(s, &s->roads[i]);
	roads_close_dirs(s);
	return r;
}

void roads_tell(struct scanning *s)
{
	for (unsigned i = 0; i < s->nr_roads && s->events->road; i++) {
		const struct road *road = &s->roads[i];
		/* As files they are read by what the pool has. */
		struct blocks_report report = {
			.engine = pool_engine_name(s->pool),
			.why = pool_why(s->pool),
		};
		if (road->blocks)
			blocks_get_report(road->blocks, &report);
		struct scan_road told = {
			.device = road->device,
			.in_blocks = road->blocks != NULL,
			.why = road->why,
			.engine = report.engine,
			.engine_why = report.why ? report.why : "",
			.sha1 = report.sha1,
			.messages = report.messages,
			.as_files = report.fallbacks,
			.bytes_read = report.bytes_read,
			.reads = report.reads,
			.retried = report.retried,
			.bad_sectors = report.bad_sectors,
			.depth = report.depth,
		};
		s->events->road(&told, s->events->ctx);
	}
}

void roads_set_limits(struct scanning *s)
{
	pool_set_limits(s->pool, &s->limits);
	for (unsigned i = 0; i < s->nr_roads; i++)
		if (s->roads[i].blocks)
			blocks_set_limits(s->roads[i].blocks, &s->limits);
}

void roads_free(struct scanning *s)
{
	for (unsigned i = 0; i < s->nr_roads; i++) {
		blocks_free(s->roads[i].blocks);
		if (s->roads[i].dirfd >= 0)
			(void)close(s->roads[i].dirfd);
		window_fini(&s->roads[i].collecting);
		window_fini(&s->roads[i].reading);
		buf_fini(&s->roads[i].marker_first);
		buf_fini(&s->roads[i].marker_last);
	}
	s->nr_roads = 0;
	roads_close_dirs(s);
}
