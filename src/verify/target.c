/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a readable store.
 */
#include "verify/target.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

void target_fini(struct target *target)
{
	free(target->store);
	free(target->host);
	free(target->imapd_conf_path);
	free(target->key);
	imapd_conf_fini(&target->imapd_conf);
	image_close(target->image);
	*target = TARGET_NULL;
}

/* The configdirectory on this host. */
static int target_find_dir(struct target *target, const char *dir, const struct log *log)
{
	target->key = realpath(dir, NULL);
	if (target->key)
		return 0;
	return log_error(log, errno == ENOENT ? -ENODEV : -errno,
			 "%s: configdirectory %s: %s: is the store mounted?", target->imapd_conf_path,
			 dir, strerror(errno));
}

/* The configdirectory and the filesystem of the image, which need not hold it. */
static int target_find_dir_in_image(struct target *target, const char *dir, const struct log *log)
{
	const struct volume *volume = target->image->volume;
	const char *inside = image_inside(target->image, dir);
	char uuid[2 * sizeof(volume->info.uuid) + 1];
	struct buf key = BUF_NULL;
	uint32_t ino;
	int r = inside ? image_lookup(target->image, inside, &ino)
		       : target_find_dir(target, dir, log);

	if (r && inside)
		return log_error(log, r == -ENOENT ? -ENODEV : r,
				 "%s: configdirectory %s is not in %s: %s", target->imapd_conf_path,
				 dir, target->image->path, strerror(-r));
	if (r)
		return r;
	text_hex(volume->info.uuid, sizeof(volume->info.uuid), uuid);
	buf_addf(&key, "image:%s:%s", uuid, inside ? inside : target->key);
	free(target->key);
	target->key = buf_take(&key);
	return target->key ? 0 : -ENOMEM;
}

int target_open_image(struct target *target, const char *store, const char *host,
		      const char *imapd_conf_path, struct image *image, const struct log *log)
{
	*target = TARGET_NULL;
	target->is_named = true;
	target->image = image;
	target->store = strdup(store);
	target->host = strdup(host);
	target->imapd_conf_path = strdup(imapd_conf_path);
	int r = target->store && target->host && target->imapd_conf_path ? 0 : -ENOMEM;
	if (r == 0)
		r = imapd_conf_read(&target->imapd_conf, imapd_conf_path, log);
	if (r == 0) {
		const char *dir = imapd_conf_get(&target->imapd_conf, "configdirectory", "");
		r = image ? target_find_dir_in_image(target, dir, log)
			  : target_find_dir(target, dir, log);
	}
	if (r)
		target_fini(target);
	return r;
}

int target_open(struct target *target, const char *store, const char *host,
		const char *imapd_conf_path, const struct log *log)
{
	return target_open_image(target, store, host, imapd_conf_path, NULL, log);
}

int target_open_named(struct target *target, const struct conf *conf, const char *name,
		      struct image *image, const struct log *log)
{
	char *store = strdup(name);

	*target = TARGET_NULL;
	if (!store) {
		image_close(image);
		return -ENOMEM;
	}
	char *host = strchr(store, '@');
	if (host)
		*host++ = '\0';
	const struct copy *copy = conf_find_copy(conf, store, host);
	int r;
	if (copy) {
		r = target_open_image(target, copy->store, copy->host, copy->imapd_conf, image, log);
	} else {
		r = log_error(log, -ENOENT,
			      "no store %s in the configuration (assay check-config lists them)", name);
		image_close(image);
	}
	free(store);
	return r;
}
