/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas: each mailbox names the root that it counts against, and each root has what its mailboxes
 * use. The passes add up; where a root has another sum, mail has come and gone meanwhile, or it is
 * wrong. So its mailboxes, as the list has them now, are added up again, quickly, between two reads
 * of the root that must be the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "format/cyrus/layout.h"
#include "format/cyrus/quota.h"
#include "verify/list.h"
#include "verify/scanning.h"

#define ROOTS_MAX (1u << 20)
#define TEXT_MAX (64u << 10)
#define LOOKS_AT_ROOTS 64 /* second ones: each goes over all names, and waits */

struct quota_sum {
	uint64_t bytes;
	uint64_t messages;
	uint64_t annotations; /* bytes */
	uint64_t folders;
	bool knows_no_annotations; /* some index has no place for them */
};

static void sum_add(struct quota_sum *sum, const struct index_header *header)
{
	sum->bytes += header->quota_used;
	sum->messages += header->exists;
	sum->annotations += header->quota_annot_used;
	sum->knows_no_annotations |= header->version < 13;
	sum->folders++;
}

static bool sum_equals(const struct quota_sum *a, const struct quota_sum *b)
{
	return a->bytes == b->bytes && a->messages == b->messages &&
	       a->annotations == b->annotations && a->folders == b->folders;
}

static int sum_of(struct scanning *s, struct span root, struct quota_sum **ret_sum)
{
	uint64_t place = s->nr_quota_sums;

	if (!map_get(&s->quotas, root, &place)) {
		if (place >= ROOTS_MAX)
			return -E2BIG;
		if ((place & (place - 1)) == 0) { /* as many again */
			struct quota_sum *sums = reallocarray(
				s->quota_sums, max_of(place * 2, UINT64_C(1)), sizeof(*sums));
			if (!sums)
				return -ENOMEM;
			s->quota_sums = sums;
		}
		int r = map_put(&s->quotas, root, place);
		if (r < 0)
			return r;
		s->quota_sums[place] = (struct quota_sum){ 0 };
		s->nr_quota_sums++;
	}
	*ret_sum = &s->quota_sums[place];
	return 0;
}

int quotas_add(struct scanning *s, struct span quota_root, const struct index_header *header)
{
	struct quota_sum *sum;
	int r = sum_of(s, quota_root, &sum);

	if (r == -E2BIG) {
		s->quota_sums_missed = true;
		return 0;
	}
	if (r)
		return r;
	sum_add(sum, header);
	return 0;
}

/* Reads a quota root. -ENOENT: it is not there; -ENOTSUP: kept in a way that is not known here. */
static int root_read(struct scanning *s, struct span root, struct buf *path,
		     struct quota *ret_quota)
{
	const struct target *target = s->target;
	uint8_t bytes[TEXT_MAX];
	struct source src = SOURCE_NULL;
	uint64_t n = 0;

	buf_clear(path);
	buf_addf(path, "%s/", s->conf_dir);
	int r = layout_add_quota_file(path, &target->imapd_conf, root);
	if (r == 0)
		r = image_open_source(target->image, buf_str(path), &src);
	if (r == 0)
		r = source_read(&src, 0, bytes, sizeof(bytes), &n);
	if (r == 0)
		r = quota_parse(span_of(bytes, n), ret_quota);
	source_close(&src);
	return r;
}

static bool resource_agrees(const struct quota *quota, enum quota_resource resource, uint64_t sum)
{
	return !quota->resources[resource].is_given || quota->resources[resource].used == sum;
}

static bool agrees(const struct quota *quota, const struct quota_sum *sum)
{
	return resource_agrees(quota, QUOTA_STORAGE, sum->bytes) &&
	       resource_agrees(quota, QUOTA_MESSAGES, sum->messages) &&
	       resource_agrees(quota, QUOTA_FOLDERS, sum->folders) &&
	       (sum->knows_no_annotations ||
		resource_agrees(quota, QUOTA_ANNOTATIONS, sum->annotations));
}

/* ---- looking again ---- */

/* The quota root that the mailbox names now, and what it uses. */
static int add_mailbox(struct mailbox *mailbox, struct span root, struct quota_sum *sum)
{
	struct mailbox_index ix = MAILBOX_INDEX_NULL;
	struct mailbox_header header = MAILBOX_HEADER_NULL;
	int r = mailbox_open_dirs(mailbox);

	if (r == 0)
		r = mailbox_index_open(&ix, mailbox);
	if (r == 0 && ix.state != INDEX_GOOD)
		r = -EBADMSG;
	if (r == 0)
		r = meta_read_header(mailbox, &header, NULL);
	if (r == 0 && header.has_quota_root && span_equals(buf_span(&header.quota_root), root)) {
		sum_add(sum, &ix.header);
	}
	mailbox_index_close(&ix);
	mailbox_close_dirs(mailbox);
	mailbox_header_fini(&header);
	return r;
}

/* A root counts the mailbox of its name and those below, or a whole domain. */
static bool is_below(struct span name, struct span root)
{
	if (name.len < root.len || memcmp(name.data, root.data, root.len) != 0)
		return false;
	return name.len == root.len || name.data[root.len] == '.' ||
	       (root.len && root.data[root.len - 1] == '!');
}

/* The walk over the list as it is now: what was made after the survey counts as well. */
struct adding {
	struct scanning *s;
	struct span root;
	struct quota_sum *sum;
};

static int add_entry(const struct mailbox_entry *entry, struct span key, bool restart, void *ctx)
{
	struct adding *adding = ctx;
	struct scanning *s = adding->s;
	struct mailbox *mailbox = NULL;

	if (restart)
		*adding->sum = (struct quota_sum){ 0 };
	if (scanning_is_stopped(s))
		return -EAGAIN;
	if (!entry || !is_below(buf_span(&entry->name), adding->root))
		return 0;
	struct mailbox_row row = {
		.key = entry->unique_id.len ? buf_span(&entry->unique_id) : key,
		.name = buf_span(&entry->name),
		.partition = buf_span(&entry->partition),
		.legacy_dirs = entry->legacy_dirs,
		.has_unique_id = entry->unique_id.len > 0,
	};
	int r = mailbox_new(&s->target->imapd_conf, s->target->image, &row, &mailbox);
	if (r == 0)
		r = add_mailbox(mailbox, adding->root, adding->sum);
	mailbox_unref(mailbox);
	return r;
}

static int add_up(struct scanning *s, struct span root, struct quota_sum *sum)
{
	struct adding adding = { s, root, sum };

	*sum = (struct quota_sum){ 0 };
	return list_walk(&s->target->imapd_conf, s->target->image, add_entry, &adding);
}

static int tell_quota(struct scanning *s, enum finding_code code, struct span root,
		      const struct buf *path, const char *recorded, const char *observed,
		      const char *detail)
{
	struct buf object = BUF_NULL;

	buf_add_str(&object, OBJECT_QUOTA);
	text_add_printable(&object, root);
	int r = buf_error(&object);
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.mailbox = root,
			.object = buf_str(&object),
			.path = buf_span(path),
			.recorded = recorded,
			.observed = observed,
			.detail = detail,
		};
		r = scanning_finding(s, &finding);
	}
	buf_fini(&object);
	return r;
}

static bool quota_equals(const struct quota *a, const struct quota *b)
{
	for (size_t i = 0; i < QUOTA_RESOURCE_COUNT_; i++)
		if (a->resources[i].is_given != b->resources[i].is_given ||
		    a->resources[i].used != b->resources[i].used)
			return false;
	return true;
}

/*
 * One quick look: 0 and the two that belong together, with the same root before and after; -EAGAIN:
 * it moved. A mailbox that has just gone makes it move, too.
 */
static int look(struct scanning *s, struct span root, struct buf *path, struct quota *quota,
		struct quota_sum *sum)
{
	struct quota after;
	int r = root_read(s, root, path, quota);

	if (r == 0)
		r = add_up(s, root, sum);
	if (r == 0)
		r = root_read(s, root, path, &after);
	if (r == -ENOENT || r == -EBADMSG || r == -ENODEV)
		return -EAGAIN;
	return r ? r : quota_equals(quota, &after) ? 0 : -EAGAIN;
}

static void say_usage(char *out, size_t size, uint64_t bytes, uint64_t messages,
		      uint64_t annotations, uint64_t folders)
{
	(void)snprintf(out, size,
		       "%" PRIu64 " bytes, %" PRIu64 " messages, %" PRIu64
		       " bytes of annotations, %" PRIu64 " mailboxes",
		       bytes, messages, annotations, folders);
}

/* A root that the first look found wrong, and what it saw. */
struct suspect {
	struct buf root;
	bool is_missing;
	struct quota quota;
	struct quota_sum sum;
};

struct suspects {
	struct suspect all[LOOKS_AT_ROOTS];
	size_t nr;
};

static int moved(struct scanning *s)
{
	s->run.in_flight++;
	s->quota_sums_missed = true;
	return 0;
}

static int suspect_root(struct scanning *s, struct suspects *suspects, struct span root,
			const struct suspect *what)
{
	if (suspects->nr == array_size(suspects->all))
		return moved(
			s); /* enough to show what is wrong; not enough to say that the rest is not */
	struct suspect *suspect = &suspects->all[suspects->nr++];
	*suspect = *what;
	suspect->root = BUF_NULL;
	buf_add_span(&suspect->root, root);
	return buf_error(&suspect->root);
}

/* The first look at a root; `sum` is what the passes have added up. */
static int check_root(struct scanning *s, struct suspects *suspects, struct span root,
		      const struct quota_sum *sum)
{
	struct suspect what = { .root = BUF_NULL };
	struct buf path = BUF_NULL;
	int r = root_read(s, root, &path, &what.quota);

	if (r == -ENOENT) {
		what.is_missing = true;
		r = suspect_root(s, suspects, root, &what);
	} else if (r == -ENOTSUP || r == -EBADMSG) { /* the latter is said by databases_check */
		r = 0;
	} else if (r == 0 && !agrees(&what.quota, sum)) {
		r = suspects->nr < array_size(suspects->all)
			    ? look(s, root, &path, &what.quota, &what.sum)
			    : -EAGAIN;
		/* What prevents it the passes have said. */
		if (r && r != -ENOMEM)
			r = moved(s);
		else if (r == 0 && !agrees(&what.quota, &what.sum))
			r = suspect_root(s, suspects, root, &what);
	} else if (r && r != -ENOMEM) {
		s->quota_sums_missed = true;
		r = scanning_gap(s, NULL, buf_str(&path), strerror(-r));
	}
	buf_fini(&path);
	return r;
}

/* Twice the same, and wrong. What moves is in flight. */
static int confirm_usage(struct scanning *s, const struct suspect *first, struct buf *path)
{
	struct quota quota;
	struct quota_sum sum;
	char recorded[160], observed[160];
	int r = look(s, buf_span(&first->root), path, &quota, &sum);

	if (r == -ENOMEM)
		return r;
	if (r || !quota_equals(&first->quota, &quota) || !sum_equals(&first->sum, &sum))
		return moved(s);
	say_usage(recorded, sizeof(recorded), quota.resources[QUOTA_STORAGE].used,
		  quota.resources[QUOTA_MESSAGES].used, quota.resources[QUOTA_ANNOTATIONS].used,
		  quota.resources[QUOTA_FOLDERS].used);
	say_usage(observed, sizeof(observed), sum.bytes, sum.messages, sum.annotations,
		  sum.folders);
	return tell_quota(s, FINDING_QUOTA_USAGE, buf_span(&first->root), path, recorded, observed,
			  "what the root is said to use, and what its mailboxes add up to");
}

static int confirm_missing(struct scanning *s, const struct suspect *first, struct buf *path)
{
	struct quota quota;
	struct quota_sum sum;

	if (root_read(s, buf_span(&first->root), path, &quota) != -ENOENT)
		return moved(s);
	/* Does any mailbox still name it? */
	int r = add_up(s, buf_span(&first->root), &sum);
	if (r == -ENOMEM)
		return r;
	if (r || sum.folders == 0)
		return moved(s);
	return tell_quota(s, FINDING_QUOTA_MISSING, buf_span(&first->root), path, NULL, NULL,
			  "mailboxes name this quota root, and it is not there");
}

int quotas_check(struct scanning *s)
{
	struct suspects *suspects = calloc(1, sizeof(*suspects));
	struct map_cursor cursor = { 0 };
	struct buf path = BUF_NULL;
	struct span root;
	uint64_t place;
	int r = suspects ? 0 : -ENOMEM;

	/* A run that goes on with another has not gone through all mailboxes itself. */
	while (r == 0 && !s->resumed && !scanning_is_stopped(s) &&
	       map_next(&s->quotas, &cursor, &root, &place))
		r = check_root(s, suspects, root, &s->quota_sums[place]);
	if (r == 0 && suspects->nr)
		clock_sleep_ns(s->options->settle_ns);
	for (size_t i = 0; r == 0 && i < suspects->nr && !scanning_is_stopped(s); i++)
		r = suspects->all[i].is_missing ? confirm_missing(s, &suspects->all[i], &path)
						: confirm_usage(s, &suspects->all[i], &path);
	s->quotas_whole = r == 0 && !s->resumed && !s->quota_sums_missed && !scanning_is_stopped(s);
	for (size_t i = 0; suspects && i < suspects->nr; i++)
		buf_fini(&suspects->all[i].root);
	free(suspects);
	buf_fini(&path);
	return r;
}
