// SPDX-License-Identifier: Apache-2.0
/*
 * Which root of a partition holds which kind of file. An option that is there and of no use is
 * never passed over for one of lower rank.
 */
#include <string.h>

#include "format/cyrus/layout.h"

/* Annotations have no option of their own and use that of the index; their word is their own. */
static const struct {
	const char *name, *option, *word; /* NULL: not metadata */
} files[MAILBOX_FILE_COUNT_] = {
	[MAILBOX_FILE_INDEX] = { "cyrus.index", "metadir-index", "index" },
	[MAILBOX_FILE_HEADER] = { "cyrus.header", "metadir-header", "header" },
	[MAILBOX_FILE_CACHE] = { "cyrus.cache", "metadir-cache", "cache" },
	[MAILBOX_FILE_ARCHIVE_CACHE] = { "cyrus.cache", "metadir-archivecache", "archivecache" },
	[MAILBOX_FILE_ANNOTATIONS] = { "cyrus.annotations", "metadir-index", "annotations" },
};

const char *layout_file_name(enum mailbox_file kind)
{
	return (unsigned)kind < array_size(files) ? files[kind].name : NULL;
}

/*
 * The value of "WHAT-PARTITION" where it is an absolute path, else NULL. *ret_given says whether
 * there is one at all: a value that is of no use still hides those of lower rank, because to fall
 * back would be to look where the files are not, and to report them all missing.
 */
static const char *root_find(const struct imapd_conf *conf, const char *what, const char *partition,
			     bool *ret_given)
{
	cleanup(buf_fini) struct buf name = BUF_NULL;
	const char *value = NULL;

	buf_addf(&name, "%s-%s", what, partition);
	if (buf_error(&name) == 0)
		value = imapd_conf_get(conf, buf_str(&name), NULL);
	*ret_given = value != NULL;
	return value && value[0] == '/' ? value : NULL;
}

/*
 * Where metadata of one kind is put: by an option of its own, or on the meta partition when that
 * is said to hold the kind. *ret_given is false when neither says so.
 */
static const char *root_find_meta(const struct imapd_conf *conf, const char *partition,
				  const char *option, const char *word, bool *ret_given)
{
	const char *root = root_find(conf, option, partition, ret_given);

	if (!*ret_given && imapd_conf_has_word(conf, "metapartition_files", word))
		root = root_find(conf, "metapartition", partition, ret_given);
	return root;
}

/* What is archived lies with the rest unless archiving is on and has a root. */
static const char *root_find_archive(const struct imapd_conf *conf, const char *partition)
{
	bool enabled, given;

	if (imapd_conf_get_switch(conf, "archive_enabled", false, NULL, &enabled))
		return NULL;
	if (enabled) {
		const char *root = root_find(conf, "archivepartition", partition, &given);
		if (given)
			return root;
	}
	return root_find(conf, "partition", partition, &given);
}

const char *layout_root(const struct imapd_conf *conf, const char *partition,
			enum mailbox_file kind)
{
	bool given = false;

	if (partition[0] == '\0' || (unsigned)kind >= array_size(files))
		return NULL;
	if (files[kind].option) {
		const char *root = root_find_meta(conf, partition, files[kind].option,
						  files[kind].word, &given);
		if (given)
			return root;
	}
	if (kind == MAILBOX_FILE_ARCHIVED || kind == MAILBOX_FILE_ARCHIVE_CACHE)
		return root_find_archive(conf, partition);
	return root_find(conf, "partition", partition, &given);
}

/* A database that may be put elsewhere by an option. */
static void add_db_path(struct buf *b, const struct imapd_conf *conf, const char *option,
			const char *name)
{
	const char *path = imapd_conf_get(conf, option, NULL);

	if (path)
		buf_add_str(b, path);
	else
		buf_addf(b, "%s/%s", imapd_conf_get(conf, "configdirectory", ""), name);
}

void layout_add_mailboxes_db(struct buf *b, const struct imapd_conf *conf)
{
	add_db_path(b, conf, "mboxlist_db_path", "mailboxes.db");
}

void layout_add_annotations_db(struct buf *b, const struct imapd_conf *conf)
{
	add_db_path(b, conf, "annotation_db_path", "annotations.db");
}
