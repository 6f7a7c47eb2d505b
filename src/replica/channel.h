/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel is one replication stream of a store to one peer: the files `log`, `log-run` and, from
 * Cyrus 2.4, `log-<pid>` in `configdirectory/sync` or `configdirectory/sync/<channel>`. A look
 * reads them as they are at one moment; it takes no lock and writes nothing.
 *
 * Cyrus moves events from `log` to `log-run` by rename while we read. A look therefore reads until
 * the directory did not change around it, so that no event can hide between two files.
 */
#ifndef REPLICA_CHANNEL_H
#define REPLICA_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/map.h"
#include "format/cyrus/imapd_conf.h"

/* What one look saw. */
struct channel_look {
	int64_t observed_ns; /* since the epoch */
	uint64_t nr_lines;   /* events outstanding, repeated ones counted each time */
	uint64_t bytes;	     /* of the logs */
	/*
	 * When the oldest outstanding event was written at the latest, by the times of the file that
	 * holds it; 0 with no event. File times are an upper bound only: a requeued event is older
	 * than its file.
	 */
	int64_t oldest_ns;
	bool oldest_is_bound; /* the file has been copied or has no birth time: it may be older still */
	struct map lines;     /* the distinct events, as written */
	struct map users;     /* whom they concern */
	struct map mailboxes; /* internal names */
	uint64_t nr_malformed; /* lines that Cyrus will skip */
	bool torn;	       /* a last line without LF, which Cyrus will drop */
	bool overflow;	       /* too much to hold: counts are lower bounds, maps are incomplete */
	struct map skipped_users; /* skipuser files: these are not replicated at all */
};

#define CHANNEL_LOOK_NULL ((struct channel_look){ 0 })

/* May be called twice, and on CHANNEL_LOOK_NULL. */
void channel_look_fini(struct channel_look *look);

/*
 * Is the replication log of a store written at all? 0: yes. CHANNEL_LOGGING_OFF: `sync_log` is
 * off, for all or for one service; CHANNEL_NOT_LISTED: `sync_log_channels` does not name it;
 * CHANNEL_AMBIGUOUS: several channels are listed and `channel` is NULL. `ret_why` gets a static
 * sentence. -EBADMSG when the configuration cannot be understood.
 */
enum { CHANNEL_LOGGING_OFF = 1, CHANNEL_NOT_LISTED = 2, CHANNEL_AMBIGUOUS = 3 };
int channel_check_config(const struct imapd_conf *conf, const char *channel,
			 const struct log *log, const char **ret_why) must_check;

/*
 * Looks at the channel (NULL: the default one) of the store with this imapd.conf. `look` is
 * overwritten; release it with channel_look_fini. Negative errno when the directory or a log
 * cannot be read: the state of the channel is then unknown, never idle. -EAGAIN when the files
 * would not hold still for 100 tries.
 */
int channel_look(const struct imapd_conf *conf, const char *channel,
		 struct channel_look *look) must_check;

/*
 * Removes from `pending` each event that `look` did not see: what was outstanding earlier and has
 * since left every log.
 */
int channel_forget_gone(struct map *pending, const struct channel_look *look) must_check;

#endif
