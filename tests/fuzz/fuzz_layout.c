// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes paths: name, unique id, partition and imapd.conf, separated by LF (the last takes the
 * rest). No path that comes out is absolute, leaves its root or has an empty part; the way back
 * from a directory leads to a name that has just that directory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/cyrus/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct span next_line(struct span *rest)
{
	uint64_t len = span_find(*rest, '\n');
	struct span line = span_of(rest->data, len);

	*rest = len < rest->len ? span_of(rest->data + len + 1, rest->len - len - 1) : SPAN_NULL;
	return line;
}

static void check_path(struct span path)
{
	require(path.len > 0 && path.len <= 4096);
	for (uint64_t off = 0; off <= path.len;) {
		struct span rest = path.len > off ? span_of(path.data + off, path.len - off)
						  : SPAN_NULL;
		struct span part = span_of(rest.data, span_find(rest, '/'));
		require(part.len > 0);
		require(!span_equals_str(part, ".") && !span_equals_str(part, ".."));
		require(span_find(part, '\0') == part.len);
		off += part.len + 1;
	}
}

static void check_dir(const struct imapd_conf *conf, const struct mailbox_entry *entry)
{
	struct buf dir = BUF_NULL;

	buf_add_str(&dir, "/");
	int r = layout_add_mailbox_dir(&dir, conf, entry);
	require(r == 0 || r == -EBADMSG);
	if (r)
		require(dir.len == 1);
	else
		check_path(span_of(dir.data + 1, dir.len - 1));
	buf_fini(&dir);
}

/* What is said of the directory `rel` is true. Returns whether a name was found for it. */
static bool check_way_back(const struct imapd_conf *conf, const char *rel)
{
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	struct buf dir = BUF_NULL;
	bool found = layout_parse_mailbox_dir(&entry.name, conf, rel);

	entry.legacy_dirs = true;
	if (found) {
		require(layout_add_mailbox_dir(&dir, conf, &entry) == 0);
		require(span_equals_str(buf_span(&dir), rel));
	} else {
		require(entry.name.len == 0);
	}
	buf_fini(&dir);
	mailbox_entry_fini(&entry);
	return found;
}

/* Every directory by name has a way back where domains are understood. */
static void check_dir_of_name(const struct imapd_conf *conf, const struct mailbox_entry *entry)
{
	struct buf dir = BUF_NULL, any = BUF_NULL;

	if (entry->legacy_dirs && layout_add_mailbox_dir(&dir, conf, entry) == 0) {
		bool found = check_way_back(conf, buf_str(&dir));
		require(found || layout_add_quota_file(&any, conf, span_of_str("x")) == -EBADMSG ||
			!span_equals_str(
				span_of_str(imapd_conf_get(conf, "quota_db", "quotalegacy")),
				"quotalegacy") ||
			imapd_conf_get(conf, "quota_db_path", NULL));
	}
	buf_fini(&dir);
	buf_fini(&any);
}

static void check_quota(const struct imapd_conf *conf, struct span root)
{
	struct buf path = BUF_NULL;

	buf_add_str(&path, "/");
	int r = layout_add_quota_file(&path, conf, root);
	require(r == 0 || r == -EBADMSG || r == -ENOTSUP);
	if (r)
		require(path.len == 1);
	else
		check_path(span_of(path.data + 1, path.len - 1));
	buf_fini(&path);
}

static void check_roots(const struct imapd_conf *conf, const char *partition)
{
	struct buf path = BUF_NULL;

	for (int kind = 0; kind < MAILBOX_FILE_COUNT_; kind++) {
		const char *root = layout_root(conf, partition, (enum mailbox_file)kind);
		require(!root || root[0] == '/');
	}
	layout_add_mailboxes_db(&path, conf);
	require(path.len > 0);
	buf_clear(&path);
	layout_add_annotations_db(&path, conf);
	require(path.len > 0);
	buf_fini(&path);
}

/* A name that is taken for a message file is the name of just that message. */
static void check_message_name(const char *name)
{
	char expected[32];
	uint32_t uid = 0;

	if (!layout_parse_message_name(name, &uid))
		return;
	(void)snprintf(expected, sizeof(expected), "%u.", uid);
	require(uid > 0 && strcmp(name, expected) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of(data, size);
	struct mailbox_entry entry = MAILBOX_ENTRY_NULL;
	struct imapd_conf conf = IMAPD_CONF_NULL;

	buf_add_span(&entry.name, next_line(&rest));
	buf_add_span(&entry.unique_id, next_line(&rest));
	buf_add_span(&entry.partition, next_line(&rest));
	check_message_name(buf_str(&entry.name));
	/* What was read before an error is a configuration as good as any. */
	(void)!imapd_conf_parse(&conf, rest, "fuzz", 0, NULL, NULL, NULL);
	for (int legacy = 0; legacy < 2; legacy++) {
		entry.legacy_dirs = legacy;
		check_dir(&conf, &entry);
		check_dir_of_name(&conf, &entry);
	}
	(void)check_way_back(&conf, buf_str(&entry.name));
	check_quota(&conf, buf_span(&entry.name));
	check_roots(&conf, buf_str(&entry.partition));
	imapd_conf_fini(&conf);
	mailbox_entry_fini(&entry);
	return 0;
}
