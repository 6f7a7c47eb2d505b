// SPDX-License-Identifier: Apache-2.0
/*
 * From a name to a device, and what is on it. A volume is known by its UUID, wherever it is found.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"
#include "digest/digest.h"
#include "io/identity.h"
#include "verify/volume_scan.h"

void volume_target_fini(struct volume_target *target)
{
	free(target->name);
	free(target->host);
	free(target->path);
	free(target->mount);
	*target = VOLUME_TARGET_NULL;
}

void volume_key(const uint8_t uuid[16], char ret_key[VOLUME_KEY_SIZE])
{
	static const char prefix[] = VOLUME_KEY_PREFIX;

	memcpy(ret_key, prefix, sizeof(prefix));
	text_hex(uuid, 16, ret_key + sizeof(prefix) - 1);
}

/* A UUID as text: hexadecimal digits, and dashes somewhere. */
static void set_key(struct volume_target *target, const char *text)
{
	uint8_t uuid[16];
	char hex[33];
	size_t nr = 0;

	for (; *text && nr < sizeof(hex) - 1; text++)
		if (*text != '-')
			hex[nr++] = *text;
	if (*text == '\0' && text_parse_hex(span_of(hex, nr), uuid, sizeof(uuid)) == 0)
		volume_key(uuid, target->key);
}

static void set_raw_key(struct volume_target *target)
{
	(void)snprintf(target->key, sizeof(target->key), VOLUME_RAW_PREFIX "%016" PRIx64,
		       xxh3_of(span_of_str(target->path)));
}

/* The first mount is the one that is synced; any that can be written makes it live. */
static int on_mount(const struct identity_mount *mount, void *ctx)
{
	struct volume_target *target = ctx;

	if (!target->mount) {
		target->mount = strdup(mount->path);
		if (!target->mount)
			return -ENOMEM;
	}
	target->is_live = target->is_live || !mount->is_fs_read_only;
	return 0;
}

static int refuse(const struct volume_target *target, const struct identity *identity,
		  const struct log *log)
{
	struct buf words = BUF_NULL;

	identity_describe(identity, &words);
	int r = log_error(log, -EPROTONOSUPPORT, "%s: %s", target->path,
			  buf_error(&words) ? "no ext filesystem" : buf_str(&words));
	buf_fini(&words);
	return r;
}

static int look(struct volume_target *target, const struct log *log)
{
	struct identity *identity = malloc(sizeof(*identity));

	if (!identity)
		return log_error(log, -ENOMEM, "out of memory");
	int r = identity_probe(target->path, identity);
	if (r)
		r = log_error(log, r, "%s: cannot be opened: %s", target->path, strerror(-r));
	/* A superblock that is gone is not recognised by anybody but its backups. */
	else if (!target->is_raw && identity->kind != IDENTITY_EXT &&
		 identity->kind != IDENTITY_NOTHING)
		r = refuse(target, identity, log);
	if (r == 0 && target->is_raw)
		set_raw_key(target);
	else if (r == 0 && identity->kind == IDENTITY_EXT)
		set_key(target, identity->uuid);
	if (r == 0) {
		target->dev = identity->is_device ? identity->dev : 0;
		r = identity->is_device ? identity_mounts(identity->dev, on_mount, target)
					: identity_mounts_of_image(target->path, on_mount, target);
		if (r)
			r = log_error(log, r, "%s: where it is mounted is not known: %s",
				      target->path, strerror(-r));
	}
	free(identity);
	return r;
}

static int target_fill(struct volume_target *target, const struct conf *conf, const char *name,
		       const char *path)
{
	char host[256] = "localhost";

	(void)gethostname(host, sizeof(host) - 1);
	target->name = strdup(name);
	target->path = strdup(path);
	target->host = strdup(conf && conf->host ? conf->host : host);
	return target->name && target->path && target->host ? 0 : -ENOMEM;
}

int volume_target_open_named(struct volume_target *target, const struct conf *conf,
			     const struct conf_volume *volume, const struct log *log)
{
	char device[256];
	const char *path = volume->device;
	uint64_t dev;
	int r = 0;

	*target = VOLUME_TARGET_NULL;
	if (!path) {
		r = identity_find_mounted(volume->mount, device, sizeof(device), &dev);
		if (r)
			return log_error(log, r == -ENOENT ? -ENODEV : r,
					 "volume %s: %s: %s", volume->name, volume->mount,
					 r == -ENOENT	? "nothing is mounted there"
					 : r == -ENODEV ? "it has no device of its own"
							: strerror(-r));
		path = device;
	}
	r = target_fill(target, conf, volume->name, path);
	target->is_named = true;
	if (r == 0)
		r = look(target, log);
	if (r)
		volume_target_fini(target);
	return r;
}

int volume_target_open_path(struct volume_target *target, const struct conf *conf, const char *path,
			    bool raw, const struct log *log)
{
	*target = VOLUME_TARGET_NULL;
	int r = target_fill(target, conf, path, path);
	target->is_raw = raw;
	if (r == 0)
		r = look(target, log);
	if (r)
		volume_target_fini(target);
	return r;
}
