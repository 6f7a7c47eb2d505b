// SPDX-License-Identifier: Apache-2.0
/*
 * The stores of the Cyrus campaign: those of the fixtures that Cyrus 3.6.1 has written, in every
 * layout, with every engine and every version of cyrus.index. What kind a file is follows from its
 * name and place.
 *
 * Left out: imapd.conf, which is no data; db/skipstamp and caldav_alarm.sqlite3, which nothing
 * looks at; files without content, in which nothing can be damaged.
 */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "campaign/cyrus_parts.h"

#define UNPACK "tests/support/unpack-store.sh"
#define OPEN_DIRS 16
#define INDEX_START_OFF 12

extern char **environ;

static const char *const store_names[STORES] = {
	"modern", "legacy", "plain", "flat", "versions", "drained/master",
};

static const char *const kind_names[FILE_KIND_COUNT_] = {
	[FILE_MESSAGE] = "message",
	[FILE_ARCHIVED_MESSAGE] = "message, archived",
	[FILE_INDEX_HEADER] = "cyrus.index, header",
	[FILE_INDEX_RECORDS] = "cyrus.index, records",
	[FILE_HEADER] = "cyrus.header",
	[FILE_CACHE] = "cyrus.cache",
	[FILE_ARCHIVE_CACHE] = "cyrus.cache, archived",
	[FILE_ANNOTATIONS] = "cyrus.annotations",
	[FILE_LIST] = "mailboxes.db",
	[FILE_STORE_ANNOTATIONS] = "annotations.db",
	[FILE_SEEN] = "seen",
	[FILE_SUBSCRIPTIONS] = "sub",
	[FILE_CONVERSATIONS] = "conversations",
	[FILE_COUNTERS] = "counters",
	[FILE_QUOTA] = "quota root",
	[FILE_QUOTAS_DB] = "quotas.db",
};

static const char *const engine_names[ENGINE_COUNT_] = {
	[ENGINE_TWOSKIP] = "twoskip",
	[ENGINE_SKIPLIST] = "skiplist",
	[ENGINE_FLAT] = "flat",
};

void group_name(const struct group *group, char *out, size_t size)
{
	const char *engine = engine_names[group->engine];

	(void)snprintf(out, size, "%s%s%s", kind_names[group->kind], engine ? ", " : "",
		       engine ? engine : "");
}

const struct store_file *stores_find(const struct stores *stores, const struct store_file *file,
				     enum file_kind kind)
{
	for (unsigned i = 0; i < stores->nr_files; i++) {
		const struct store_file *other = &stores->files[i];
		if (other->kind == kind && other->store == file->store && other->mailbox &&
		    file->mailbox && strcmp(other->mailbox, file->mailbox) == 0)
			return other;
	}
	return NULL;
}

bool file_shares_mailbox(const struct store_file *file, struct span path)
{
	size_t root = strlen(file->store->dir) + 1, len;
	const char *text = (const char *)path.data, *rel, *leaf;

	if (!file->mailbox || path.len <= root || memcmp(text, file->store->dir, root - 1) != 0)
		return false;
	rel = memchr(text + root, '/', path.len - root);
	leaf = memrchr(text, '/', path.len);
	if (!rel || leaf <= rel)
		return false;
	len = (size_t)(leaf - rel - 1);
	return len == strlen(file->mailbox) && memcmp(rel + 1, file->mailbox, len) == 0;
}

/* ---- which file is what ---- */

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static enum file_kind kind_in_conf(const char *rel, const char *leaf)
{
	static const struct {
		const char *name, *end; /* since 3.6, and before */
		enum file_kind kind;
	} kinds[] = {
		{ "mailboxes.db", NULL, FILE_LIST },
		{ "annotations.db", NULL, FILE_STORE_ANNOTATIONS },
		{ "quotas.db", NULL, FILE_QUOTAS_DB },
		{ "seen.db", ".seen", FILE_SEEN },
		{ "sub.db", ".sub", FILE_SUBSCRIPTIONS },
		{ "conversations.db", ".conversations", FILE_CONVERSATIONS },
		{ "counters.db", ".counters", FILE_COUNTERS },
	};

	if (strstr(rel, "/quota/"))
		return FILE_QUOTA;
	for (size_t i = 0; i < array_size(kinds); i++)
		if (strcmp(leaf, kinds[i].name) == 0 ||
		    (kinds[i].end && ends_in(leaf, kinds[i].end)))
			return kinds[i].kind;
	return FILE_KIND_COUNT_;
}

static enum file_kind kind_in_mailbox(const char *leaf, bool is_archive, uint32_t *ret_uid)
{
	char *end = NULL;
	unsigned long uid = strtoul(leaf, &end, 10);

	if (leaf[0] >= '1' && leaf[0] <= '9' && strcmp(end, ".") == 0) {
		*ret_uid = (uint32_t)uid;
		return is_archive ? FILE_ARCHIVED_MESSAGE : FILE_MESSAGE;
	}
	if (strcmp(leaf, "cyrus.index") == 0)
		return FILE_INDEX_HEADER;
	if (strcmp(leaf, "cyrus.header") == 0)
		return FILE_HEADER;
	if (strcmp(leaf, "cyrus.cache") == 0)
		return is_archive ? FILE_ARCHIVE_CACHE : FILE_CACHE;
	return strcmp(leaf, "cyrus.annotations") == 0 ? FILE_ANNOTATIONS : FILE_KIND_COUNT_;
}

static bool has_engine(enum file_kind kind)
{
	return kind >= FILE_ANNOTATIONS && kind != FILE_COUNTERS && kind != FILE_QUOTA;
}

static enum file_engine engine_of(const uint8_t head[16])
{
	if (memcmp(head, "\xa1\x02\x8b\x0dtwoskip file", 16) == 0)
		return ENGINE_TWOSKIP;
	return memcmp(head, "\xa1\x02\x8b\x0dskiplist fil", 16) == 0 ? ENGINE_SKIPLIST
								     : ENGINE_FLAT;
}

/* ---- finding them ---- */

static struct stores *finding; /* nftw hands nothing on */
static const struct store *finding_in;
static bool finding_failed;

static void keep(struct store_file file)
{
	if (finding->nr_files == FILES_MAX) {
		finding_failed = true;
		return;
	}
	file.path = strdup(file.path);
	file.mailbox = file.mailbox ? strdup(file.mailbox) : NULL;
	finding_failed |= !file.path;
	finding->files[finding->nr_files++] = file;
}

/* Both parts of an index; one without records has one. */
static void keep_index(struct store_file file, const uint8_t head[16], uint64_t size)
{
	uint32_t start = 0;

	if (span_be32(span_of(head, 16), INDEX_START_OFF, &start) || start > size) {
		finding_failed = true;
		return;
	}
	file.len = start;
	keep(file);
	file.kind = FILE_INDEX_RECORDS;
	file.from = start;
	file.len = size - start;
	if (file.len)
		keep(file);
}

static int on_path(const char *path, const struct stat *st, int type, struct FTW *where)
{
	struct store_file file = { .store = finding_in, .kind = FILE_KIND_COUNT_ };
	const char *rel = path + strlen(finding_in->dir) + 1, *leaf = path + where->base;
	const char *dir = strchr(rel, '/');
	uint8_t head[16] = { 0 };

	if (type != FTW_F || !dir || st->st_size == 0)
		return 0;
	if (strncmp(rel, "conf/", 5) == 0) {
		file.kind = kind_in_conf(rel, leaf);
	} else if (leaf > dir + 1) {
		file.kind = kind_in_mailbox(leaf, strncmp(rel, "archive/", 8) == 0, &file.uid);
		file.mailbox = strndup(dir + 1, (size_t)(leaf - dir) - 2);
	}
	FILE *stream = file.kind == FILE_KIND_COUNT_ ? NULL : fopen(path, "rb");
	if (stream) {
		(void)fread(head, 1, sizeof(head), stream);
		(void)fclose(stream);
		file.path = (char *)path;
		file.engine = has_engine(file.kind) ? engine_of(head) : ENGINE_NONE;
		file.len = (uint64_t)st->st_size;
		if (file.kind == FILE_INDEX_HEADER)
			keep_index(file, head, file.len);
		else
			keep(file);
	}
	free(file.mailbox);
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	const struct store_file *x = a, *y = b;

	if (x->store != y->store)
		return x->store < y->store ? -1 : 1;
	int order = strcmp(x->path, y->path);
	return order ? order : (int)x->kind - (int)y->kind;
}

static int unpack(const char *name, const char *dir)
{
	char *const argv[] = { "bash", UNPACK, (char *)name, (char *)dir, NULL };
	int status = -1;
	pid_t pid;
	int r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (r)
		return -r;
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "campaign-cyrus: cannot unpack %s; is this the top of the tree?\n",
			name);
		return -EIO;
	}
	return 0;
}

static int store_open(struct stores *stores, struct store *store, const char *name, const char *dir)
{
	store->name = name;
	if (asprintf(&store->dir, "%s/%s", dir, name) < 0 ||
	    asprintf(&store->conf_path, "%s/%s/imapd.conf", dir, name) < 0)
		return -ENOMEM;
	int r = unpack(name, store->dir);
	if (r)
		return r;
	finding = stores;
	finding_in = store;
	finding_failed = false;
	if (nftw(store->dir, on_path, OPEN_DIRS, FTW_PHYS))
		return -errno;
	return finding_failed ? -EOVERFLOW : 0;
}

/* In the order of the kinds, and of the engines of each. */
static void find_groups(struct stores *stores)
{
	for (unsigned i = 0; i < FILE_KIND_COUNT_ * ENGINE_COUNT_; i++) {
		struct group group = { i / ENGINE_COUNT_, i % ENGINE_COUNT_, 0 };
		for (unsigned k = 0; k < stores->nr_files; k++)
			group.nr_files += stores->files[k].kind == group.kind &&
					  stores->files[k].engine == group.engine;
		if (group.nr_files)
			stores->groups[stores->nr_groups++] = group;
	}
}

int stores_open(struct stores *stores, const char *dir)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < STORES; i++)
		r = store_open(stores, &stores->all[i], store_names[i], dir);
	if (r)
		return r;
	qsort(stores->files, stores->nr_files, sizeof(stores->files[0]), compare_files);
	find_groups(stores);
	return 0;
}

void stores_fini(struct stores *stores)
{
	for (unsigned i = 0; i < STORES; i++) {
		free(stores->all[i].dir);
		free(stores->all[i].conf_path);
	}
	for (unsigned i = 0; i < stores->nr_files; i++) {
		free(stores->files[i].path);
		free(stores->files[i].mailbox);
	}
	*stores = (struct stores){ .nr_files = 0 };
}
