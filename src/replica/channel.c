/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consistent look: note the directory's times, read every log in it, note the times again. A
 * rename, a new log or an unlink in between changes them, and the look is taken once more. Appends
 * do not change the directory, and need not: an event added during the look is younger than it.
 */
#include "replica/channel.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "io/file.h"
#include "io/source.h"
#include "replica/synclog.h"

#define LOOK_TRIES 100
#define TORN_TRIES 20 /* a writer finishes its line within milliseconds, or it is dead */
#define LOOK_LINES_MAX 1000000	  /* distinct events held */
#define LOOK_BYTES_MAX (256 << 20) /* of logs read; what lies behind is not parsed */
#define CHUNK (1 << 20)		  /* bytes read at a time */
#define LINE_MAX_LEN (128 * 1024) /* bytes: longer is not a line of a log */

void channel_look_fini(struct channel_look *look)
{
	map_fini(&look->lines);
	map_fini(&look->users);
	map_fini(&look->mailboxes);
	map_fini(&look->skipped_users);
	*look = CHANNEL_LOOK_NULL;
}

/* Some service has switched the log off for itself: `imap_sync_log: no`. */
static int has_service_without_log(const struct imapd_conf *conf, const struct log *log)
{
	static const char suffix[] = "_sync_log";

	for (size_t i = 0; i < conf->nr_options; i++) {
		const char *name = conf->options[i].name;
		size_t len = strlen(name);
		bool on;
		if (len <= sizeof(suffix) - 1 || strcmp(name + len - (sizeof(suffix) - 1), suffix))
			continue;
		int r = imapd_conf_get_switch(conf, name, true, log, &on);
		if (r)
			return r;
		if (!on)
			return CHANNEL_LOGGING_OFF;
	}
	return 0;
}

int channel_check_config(const struct imapd_conf *conf, const char *channel, const struct log *log,
			 const char **ret_why)
{
	const char *channels = imapd_conf_get(conf, "sync_log_channels", NULL);
	bool on;
	int r = imapd_conf_get_switch(conf, "sync_log", false, log, &on);

	*ret_why = "imapd.conf is not understood";
	if (r < 0)
		return r;
	*ret_why = "sync_log is off: no event is ever logged";
	if (!on)
		return CHANNEL_LOGGING_OFF;
	r = has_service_without_log(conf, log);
	*ret_why = "a service has sync_log switched off: its changes are never logged";
	if (r)
		return r;
	*ret_why = "sync_log_channels does not name the channel that feeds this replica";
	if (channel)
		return channels && imapd_conf_has_word(conf, "sync_log_channels", channel)
			       ? 0
			       : CHANNEL_NOT_LISTED;
	if (!channels || imapd_conf_has_word(conf, "sync_log_channels", "\"\""))
		return 0;
	*ret_why = "several channels are logged: say with channel = NAME which one feeds this replica";
	return CHANNEL_AMBIGUOUS;
}

static int note(struct map *map, struct span key, bool *overflow)
{
	if (map->count >= LOOK_LINES_MAX) {
		*overflow = true;
		return 0;
	}
	int r = map_put(map, key, 0);
	return r < 0 ? r : 0;
}

static int look_note_line(struct channel_look *look, struct span line, struct event *event,
			  const char *deleted_prefix)
{
	struct buf user = BUF_NULL;
	int r;

	if (line.len == 0)
		return 0;
	look->nr_lines++;
	r = note(&look->lines, line, &look->overflow);
	if (r)
		return r;
	r = synclog_parse_line(line, event);
	if (r == -EBADMSG) {
		look->nr_malformed++;
		return 0;
	}
	for (size_t i = 0; r == 0 && i < event->nr_args; i++) {
		buf_clear(&user);
		if (event_add_user(&user, event, i, deleted_prefix) && buf_error(&user) == 0)
			r = note(&look->users, buf_span(&user), &look->overflow);
		if (r == 0 && event_arg_is_mailbox(event, i))
			r = note(&look->mailboxes, buf_span(&event->args[i]), &look->overflow);
	}
	buf_fini(&user);
	return r;
}

/* Parses what is in `text`; leaves an unfinished last line for the next chunk. */
static int look_parse_chunk(struct channel_look *look, struct buf *text, struct event *event,
			    const char *deleted_prefix)
{
	struct span rest = buf_span(text), line;
	int r;

	while ((r = synclog_next_line(rest, &line, &rest)) == 0) {
		r = look_note_line(look, line, event, deleted_prefix);
		if (r)
			return r;
	}
	struct span tail = r == SYNCLOG_TORN ? line : SPAN_NULL;
	if (tail.len > LINE_MAX_LEN) {
		look->nr_malformed++;
		look->nr_lines++;
		tail = SPAN_NULL;
	}
	if (tail.len)
		memmove(text->data, tail.data, tail.len);
	text->len = tail.len;
	return 0;
}

static int look_parse_file(struct channel_look *look, struct source *src,
			   const char *deleted_prefix)
{
	struct event event = EVENT_NULL;
	struct buf text = BUF_NULL;
	uint64_t off = 0, n = 1;
	int r = 0;

	while (r == 0 && n > 0) {
		if (off >= LOOK_BYTES_MAX) {
			look->overflow = true;
			break;
		}
		r = buf_reserve(&text, CHUNK);
		if (r == 0)
			r = source_read(src, off, text.data + text.len, CHUNK, &n);
		if (r == 0) {
			text.len += n;
			off += n;
			r = look_parse_chunk(look, &text, &event, deleted_prefix);
		}
	}
	if (r == 0 && text.len && !look->overflow) {
		/* Not an event yet, or one that Cyrus will drop: outstanding in either case. */
		look->torn = true;
		r = look_note_line(look, buf_span(&text), &event, deleted_prefix);
	}
	look->bytes += off;
	buf_fini(&text);
	event_fini(&event);
	return r;
}

/*
 * The oldest event of a log was written between the birth of the file and its last change. A file
 * whose last change is before its birth was copied: then the earlier of the two counts.
 */
static void look_note_age(struct channel_look *look, const struct file_identity *id)
{
	bool copied = id->btime_ns == 0 || id->mtime_ns < id->btime_ns;
	int64_t oldest = copied ? id->mtime_ns : id->btime_ns;

	if (look->oldest_ns == 0 || oldest < look->oldest_ns) {
		look->oldest_ns = oldest;
		look->oldest_is_bound = copied;
	}
}

/* The clock that stamps directories may tick every few milliseconds: a rename can hide in a tick. */
enum { LOOK_MOVED = 1 }; /* the name stands for another file than when it was listed */
static int look_read_log(struct channel_look *look, int dirfd, const struct dirent *entry,
			 const char *deleted_prefix)
{
	struct source src = SOURCE_NULL;
	struct file_identity id;
	uint64_t before = look->nr_lines;
	int r = source_open_file(&src, dirfd, entry->d_name);

	if (r == -ENOENT)
		return LOOK_MOVED;
	if (r)
		return r;
	r = file_identify(src.fd, "", &id);
	if (r == 0 && id.ino != entry->d_ino)
		r = LOOK_MOVED;
	if (r == 0)
		r = look_parse_file(look, &src, deleted_prefix);
	if (r == 0 && look->nr_lines > before)
		look_note_age(look, &id);
	source_close(&src);
	return r;
}

static bool is_log_name(const char *name)
{
	if (strncmp(name, "log", 3) != 0)
		return false;
	if (name[3] == '\0' || strcmp(name + 3, "-run") == 0)
		return true;
	if (name[3] != '-' || !name[4])
		return false;
	for (name += 4; *name; name++)
		if (!isdigit((unsigned char)*name))
			return false;
	return true;
}

/* Reads every log of the open directory once. Takes `dirfd`. */
static int look_once(struct channel_look *look, int dirfd, const char *deleted_prefix)
{
	static const char skip[] = "skipuser-";
	DIR *dir = fdopendir(dirfd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(dirfd);
		return r;
	}
	errno = 0;
	while (r == 0 && (entry = readdir(dir))) {
		if (is_log_name(entry->d_name))
			r = look_read_log(look, dirfd, entry, deleted_prefix);
		else if (strncmp(entry->d_name, skip, sizeof(skip) - 1) == 0)
			r = note(&look->skipped_users,
				 span_of_str(entry->d_name + sizeof(skip) - 1), &look->overflow);
		errno = 0;
	}
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(dir);
	return r;
}

static bool same_directory_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       clock_from_timespec(a->st_mtim) == clock_from_timespec(b->st_mtim) &&
	       clock_from_timespec(a->st_ctim) == clock_from_timespec(b->st_ctim);
}

int channel_look(const struct imapd_conf *conf, const char *channel, struct channel_look *look)
{
	const char *deleted_prefix = imapd_conf_get(conf, "deletedprefix", "DELETED");
	struct buf path = BUF_NULL;
	int r = 0;

	*look = CHANNEL_LOOK_NULL;
	/* The dot follows a `sync` that is a symbolic link to another disk. */
	buf_addf(&path, "%s/sync%s%s/.", imapd_conf_get(conf, "configdirectory", ""),
		 channel ? "/" : "", channel ? channel : "");
	r = buf_error(&path);
	for (int tries = 0; r == 0; tries++) {
		struct stat before, after;
		channel_look_fini(look);
		look->observed_ns = clock_wall_ns();
		int fd = file_open_quietly(AT_FDCWD, buf_str(&path), O_DIRECTORY);
		if (fd < 0 || fstat(fd, &before)) {
			r = fd < 0 ? fd : -errno;
			if (fd >= 0)
				(void)close(fd);
			break;
		}
		r = look_once(look, fd, deleted_prefix);
		bool moved = r == LOOK_MOVED;
		if (moved)
			r = 0;
		if (r == 0 && stat(buf_str(&path), &after))
			r = -errno;
		if (r)
			break;
		if (!moved && same_directory_state(&before, &after) && (!look->torn || tries >= TORN_TRIES))
			break;
		if (tries == LOOK_TRIES)
			r = -EAGAIN;
		clock_sleep_ns(NS_PER_MS);
	}
	buf_fini(&path);
	if (r)
		channel_look_fini(look);
	return r;
}

int channel_forget_gone(struct map *pending, const struct channel_look *look)
{
	struct map kept = MAP_NULL;
	struct map_cursor cursor = { 0 };
	struct span line;
	int r = 0;

	while (r >= 0 && map_next(pending, &cursor, &line, NULL))
		if (map_get(&look->lines, line, NULL))
			r = map_put(&kept, line, 0);
	if (r < 0) {
		map_fini(&kept);
		return r;
	}
	map_fini(pending);
	*pending = kept;
	return 0;
}
