/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inih splits the lines; this file knows the sections and keys. Everything is checked while it is
 * read, and what needs the whole picture (one master a store, a host for every copy, one name for
 * one thing) at the end.
 */
#include "format/assay/conf.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#define MAX_COPIES 4096
#define MAX_VOLUMES 4096

const char *role_name(enum role role)
{
	static const char *const names[ROLE_COUNT_] = {
		[ROLE_UNKNOWN] = "unknown",
		[ROLE_MASTER] = "master",
		[ROLE_REPLICA] = "replica",
	};

	return role < ROLE_COUNT_ ? names[role] : NULL;
}

struct reading {
	struct conf *conf;
	FILE *file;
	char *line; /* of getline; owned */
	size_t line_size;
	int line_nr;	 /* of the line read last, counted from 1 */
	const char *why; /* why the first bad line was refused; NULL: none was */
	int why_line;
	char text[256]; /* section and key, for the message */
};

static void copy_fini(struct copy *copy)
{
	free(copy->store);
	free(copy->host);
	free(copy->imapd_conf);
	free(copy->peers);
	free(copy->channel);
}

static void volume_fini(struct conf_volume *volume)
{
	free(volume->name);
	free(volume->mount);
	free(volume->device);
}

void conf_init(struct conf *conf)
{
	*conf = (struct conf){
		.policy = {
			.max_lag_ns = 5 * 60 * NS_PER_S,
			.max_scan_age_ns = 36 * 3600 * NS_PER_S,
			.gate_deadline_ns = 10 * NS_PER_S,
			.gate_patience_ns = 3 * NS_PER_S,
			.settle_ns = 2 * NS_PER_S,
			.readers = 8,
		},
	};
}

void conf_fini(struct conf *conf)
{
	for (size_t i = 0; i < conf->nr_copies; i++)
		copy_fini(&conf->copies[i]);
	for (size_t i = 0; i < conf->nr_volumes; i++)
		volume_fini(&conf->volumes[i]);
	free(conf->volumes);
	free(conf->copies);
	free(conf->host);
	conf_init(conf);
}

/* Sets a string that may be given once. Returns why not, or NULL. */
static const char *set_string(char **field, const char *value)
{
	if (*field)
		return "is given twice";
	if (!*value)
		return "is empty";
	*field = strdup(value);
	return *field ? NULL : "does not fit into memory";
}

static bool is_plain_name(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		      (*name >= '0' && *name <= '9') || strchr("._-", *name)))
			return false;
	return true;
}

/* The copy that a section "store NAME" or "store NAME@HOST" stands for; made when new. */
static struct copy *section_copy(struct conf *conf, const char *title, const char **ret_why)
{
	char name[256];

	if (snprintf(name, sizeof(name), "%s", title) >= (int)sizeof(name)) {
		*ret_why = "has too long a name";
		return NULL;
	}
	char *host = strchr(name, '@');
	if (host)
		*host++ = '\0';
	if (!is_plain_name(name) || (host && !is_plain_name(host))) {
		*ret_why = "has a name with other characters than letters, digits, '.', '_', '-'";
		return NULL;
	}
	for (size_t i = 0; i < conf->nr_copies; i++) {
		struct copy *copy = &conf->copies[i];
		bool same_host = host ? copy->host && strcmp(copy->host, host) == 0 : !copy->host;
		if (same_host && strcmp(copy->store, name) == 0)
			return copy;
	}
	*ret_why = "does not fit into memory";
	if (conf->nr_copies >= MAX_COPIES)
		return NULL;
	struct copy *copies = realloc(conf->copies, (conf->nr_copies + 1) * sizeof(*copies));
	if (!copies)
		return NULL;
	conf->copies = copies;
	struct copy *copy = &copies[conf->nr_copies];
	*copy = (struct copy){ .store = strdup(name), .host = host ? strdup(host) : NULL };
	if (!copy->store || (host && !copy->host)) {
		copy_fini(copy);
		return NULL;
	}
	conf->nr_copies++;
	return copy;
}

static const char *set_store_key(struct conf *conf, const char *title, const char *key,
				 const char *value)
{
	const char *why = NULL;
	struct copy *copy = section_copy(conf, title, &why);

	if (!copy)
		return why;
	if (strcmp(key, "imapd_conf") == 0)
		return *value == '/' ? set_string(&copy->imapd_conf, value)
				     : "is not an absolute path";
	if (strcmp(key, "peers") == 0)
		return set_string(&copy->peers, value);
	if (strcmp(key, "channel") == 0)
		return is_plain_name(value) ? set_string(&copy->channel, value)
					    : "is not the name of a channel";
	if (strcmp(key, "role") != 0)
		return "is not known here";
	if (copy->role != ROLE_UNKNOWN)
		return "is given twice";
	if (strcmp(value, "master") == 0)
		copy->role = ROLE_MASTER;
	else if (strcmp(value, "replica") == 0)
		copy->role = ROLE_REPLICA;
	else
		return "is neither master nor replica";
	return NULL;
}

static const char *set_policy_key(struct policy *policy, const char *key, const char *value)
{
	const struct {
		const char *key;
		int64_t *field;
	} durations[] = {
		{ "max_lag", &policy->max_lag_ns },
		{ "max_scan_age", &policy->max_scan_age_ns },
		{ "gate_deadline", &policy->gate_deadline_ns },
		{ "gate_patience", &policy->gate_patience_ns },
		{ "settle", &policy->settle_ns },
	};
	uint64_t readers;

	if (strcmp(key, "scan_bandwidth") == 0)
		return text_parse_bytes(value, &policy->scan_bandwidth)
			       ? "is not a number of bytes such as 100M or 1GiB"
			       : NULL;
	if (strcmp(key, "scan_iops") == 0)
		return span_parse_u64(span_of_str(value), UINT32_MAX, &policy->scan_iops)
			       ? "is not a number"
			       : NULL;
	if (strcmp(key, "scan_polite") == 0)
		return text_parse_bool(value, &policy->scan_polite) ? "is neither yes nor no" : NULL;
	for (size_t i = 0; i < array_size(durations); i++) {
		if (strcmp(key, durations[i].key) != 0)
			continue;
		int r = text_parse_duration(value, durations[i].field);
		return r ? "is not a duration such as 90s, 5min, 36h or 3d" : NULL;
	}
	if (strcmp(key, "readers") == 0) {
		if (span_parse_u64(span_of_str(value), 64, &readers) || readers == 0)
			return "is not a number from 1 to 64";
		policy->readers = (uint32_t)readers;
		return NULL;
	}
	return "is not known here";
}

/* The volume that a section stands for; made when new. */
static struct conf_volume *section_volume(struct conf *conf, const char *name,
					  const char **ret_why)
{
	if (!is_plain_name(name)) {
		*ret_why = "has a name with other characters than letters, digits, '.', '_', '-'";
		return NULL;
	}
	for (size_t i = 0; i < conf->nr_volumes; i++)
		if (strcmp(conf->volumes[i].name, name) == 0)
			return &conf->volumes[i];
	*ret_why = "does not fit into memory";
	if (conf->nr_volumes >= MAX_VOLUMES)
		return NULL;
	struct conf_volume *volumes =
		realloc(conf->volumes, (conf->nr_volumes + 1) * sizeof(*volumes));
	if (!volumes)
		return NULL;
	conf->volumes = volumes;
	struct conf_volume *volume = &volumes[conf->nr_volumes];
	*volume = (struct conf_volume){ .name = strdup(name) };
	if (!volume->name)
		return NULL;
	conf->nr_volumes++;
	return volume;
}

static const char *set_volume_key(struct conf *conf, const char *name, const char *key,
				  const char *value)
{
	const char *why = NULL;
	struct conf_volume *volume = section_volume(conf, name, &why);

	if (!volume)
		return why;
	char **field = strcmp(key, "mount") == 0    ? &volume->mount
		       : strcmp(key, "device") == 0 ? &volume->device
						    : NULL;
	if (!field)
		return "is not known here";
	return *value == '/' ? set_string(field, value) : "is not an absolute path";
}

/* Sections of the design that nothing reads yet; their keys are checked for spelling. */
static const char *check_other_key(const char *section, const char *key)
{
	static const struct {
		const char *section, *key;
	} known[] = {
		{ "peer ", "command" },
		{ "peer ", "key" },
	};

	for (size_t i = 0; i < array_size(known); i++)
		if (strncmp(section, known[i].section, strlen(known[i].section)) == 0 &&
		    strcmp(key, known[i].key) == 0)
			return NULL;
	return "is not known here";
}

static int on_pair(void *ctx, const char *section, const char *key, const char *value)
{
	struct reading *reading = ctx;
	struct conf *conf = reading->conf;
	const char *why;

	if (reading->why)
		return 0;
	if (strcmp(section, "host") == 0)
		why = strcmp(key, "name") != 0	? "is not known here"
		      : !is_plain_name(value)	? "is not a plain host name"
						: set_string(&conf->host, value);
	else if (strcmp(section, "policy") == 0)
		why = set_policy_key(&conf->policy, key, value);
	else if (strncmp(section, "store ", 6) == 0)
		why = set_store_key(conf, section + 6, key, value);
	else if (strncmp(section, "volume ", 7) == 0)
		why = set_volume_key(conf, section + 7, key, value);
	else
		why = check_other_key(section, key);
	if (!why)
		return 1;
	reading->why = why;
	reading->why_line = reading->line_nr;
	(void)snprintf(reading->text, sizeof(reading->text), "[%s] %s", section, key);
	return 0;
}

/* Hands inih one line. What it would cut, at its own limit or at a NUL, is refused instead. */
static char *read_line(char *str, int size, void *ctx)
{
	struct reading *reading = ctx;

	ssize_t len = getline(&reading->line, &reading->line_size, reading->file);
	if (len < 0)
		return NULL;
	reading->line_nr++;
	if (len < size && !memchr(reading->line, '\0', (size_t)len)) {
		memcpy(str, reading->line, (size_t)len + 1);
		return str;
	}
	if (!reading->why) {
		reading->why = "is too long, or holds a NUL byte";
		reading->why_line = reading->line_nr;
		(void)snprintf(reading->text, sizeof(reading->text), "this line");
	}
	return NULL;
}

static int conf_read_file(struct conf *conf, const char *path, const struct log *log)
{
	struct reading reading = { .conf = conf, .file = fopen(path, "re") };

	if (!reading.file)
		return log_error(log, -errno, "%s: cannot read the configuration: %s", path,
				 strerror(errno));
	int line = ini_parse_stream(read_line, &reading, on_pair, &reading);
	int failed = ferror(reading.file);
	(void)fclose(reading.file);
	free(reading.line);
	if (failed)
		return log_error(log, -EIO, "%s: cannot read the configuration", path);
	if (line < 0)
		return log_error(log, -ENOMEM, "%s: out of memory", path);
	if (reading.why && (line == 0 || reading.why_line <= line))
		return log_error(log, -EBADMSG, "%s:%d: %s %s", path, reading.why_line,
				 reading.text, reading.why);
	if (line)
		return log_error(log, -EBADMSG, "%s:%d: neither [section] nor key = value", path,
				 line);
	return 0;
}

static int is_conf_name(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int conf_read_folder(struct conf *conf, const char *path, const struct log *log)
{
	struct buf folder = BUF_NULL;
	struct dirent **names = NULL;
	const char *slash = strrchr(path, '/');
	int r = 0;

	buf_add(&folder, path, slash ? (size_t)(slash - path + 1) : 0);
	buf_add_str(&folder, "conf.d/");
	int nr = buf_error(&folder) ? -1 : scandir(buf_str(&folder), &names, is_conf_name, alphasort);
	if (nr < 0 && errno != ENOENT)
		r = log_error(log, -errno, "%s: cannot list: %s", buf_str(&folder), strerror(errno));
	for (int i = 0; i < nr; i++) {
		struct buf file = BUF_NULL;
		buf_addf(&file, "%s%s", buf_str(&folder), names[i]->d_name);
		if (r == 0)
			r = buf_error(&file);
		if (r == 0)
			r = conf_read_file(conf, buf_str(&file), log);
		buf_fini(&file);
		free(names[i]);
	}
	free(names);
	buf_fini(&folder);
	return r;
}

static int conf_check_copy(struct conf *conf, struct copy *copy, const char *path,
			   const struct log *log)
{
	if (!copy->host) {
		if (!conf->host)
			return log_error(log, -EBADMSG,
					 "%s: [store %s] needs [host] name = ..., or a name with @HOST",
					 path, copy->store);
		copy->host = strdup(conf->host);
		if (!copy->host)
			return log_error(log, -ENOMEM, "%s: out of memory", path);
	}
	if (!copy->imapd_conf)
		return log_error(log, -EBADMSG, "%s: [store %s@%s] has no imapd_conf", path,
				 copy->store, copy->host);
	if (copy->role == ROLE_UNKNOWN)
		return log_error(log, -EBADMSG, "%s: [store %s@%s] has no role", path, copy->store,
				 copy->host);
	for (struct copy *other = conf->copies; other < copy; other++) {
		if (strcmp(other->store, copy->store) != 0)
			continue;
		if (strcmp(other->host, copy->host) == 0)
			return log_error(log, -EBADMSG, "%s: [store %s@%s] is given twice", path,
					 copy->store, copy->host);
		if (other->role == ROLE_MASTER && copy->role == ROLE_MASTER)
			return log_error(log, -EBADMSG, "%s: store %s has two masters, %s and %s", path,
					 copy->store, other->host, copy->host);
	}
	return 0;
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static int conf_check_volume(const struct conf *conf, const struct conf_volume *volume,
			     const char *path, const struct log *log)
{
	if (volume->mount && volume->device)
		return log_error(log, -EBADMSG,
				 "%s: [volume %s] has both a mount and a device: one of them names it",
				 path, volume->name);
	if (!volume->mount && !volume->device)
		return log_error(log, -EBADMSG, "%s: [volume %s] has neither a mount nor a device",
				 path, volume->name);
	for (const struct conf_volume *other = conf->volumes; other < volume; other++)
		if (is_same(other->mount, volume->mount) || is_same(other->device, volume->device))
			return log_error(log, -EBADMSG, "%s: [volume %s] and [volume %s] are the same",
					 path, other->name, volume->name);
	for (size_t i = 0; i < conf->nr_copies; i++)
		if (strcmp(conf->copies[i].store, volume->name) == 0)
			return log_error(log, -EBADMSG,
					 "%s: [volume %s] has the name of a store: a target must be one "
					 "of them",
					 path, volume->name);
	return 0;
}

int conf_read(struct conf *conf, const char *path, const struct log *log)
{
	conf_init(conf);
	int r = conf_read_file(conf, path, log);
	if (r == 0)
		r = conf_read_folder(conf, path, log);
	for (size_t i = 0; r == 0 && i < conf->nr_copies; i++)
		r = conf_check_copy(conf, &conf->copies[i], path, log);
	for (size_t i = 0; r == 0 && i < conf->nr_volumes; i++)
		r = conf_check_volume(conf, &conf->volumes[i], path, log);
	if (r)
		conf_fini(conf);
	return r;
}

const struct copy *conf_find_copy(const struct conf *conf, const char *store, const char *host)
{
	if (!host)
		host = conf->host;
	for (size_t i = 0; host && i < conf->nr_copies; i++)
		if (strcmp(conf->copies[i].store, store) == 0 &&
		    strcmp(conf->copies[i].host, host) == 0)
			return &conf->copies[i];
	return NULL;
}

const struct copy *conf_find_master(const struct conf *conf, const char *store)
{
	for (size_t i = 0; i < conf->nr_copies; i++)
		if (strcmp(conf->copies[i].store, store) == 0 &&
		    conf->copies[i].role == ROLE_MASTER)
			return &conf->copies[i];
	return NULL;
}

const struct conf_volume *conf_find_volume(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->nr_volumes; i++)
		if (strcmp(conf->volumes[i].name, name) == 0)
			return &conf->volumes[i];
	return NULL;
}
