/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a readable store.
 */
#include "verify/target.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void target_fini(struct target *target)
{
	free(target->store);
	free(target->host);
	free(target->imapd_conf_path);
	free(target->key);
	imapd_conf_fini(&target->imapd_conf);
	*target = TARGET_NULL;
}

int target_open(struct target *target, const char *store, const char *host,
		const char *imapd_conf_path, const struct log *log)
{
	*target = TARGET_NULL;
	target->is_named = true;
	target->store = strdup(store);
	target->host = strdup(host);
	target->imapd_conf_path = strdup(imapd_conf_path);
	int r = target->store && target->host && target->imapd_conf_path ? 0 : -ENOMEM;
	if (r == 0)
		r = imapd_conf_read(&target->imapd_conf, imapd_conf_path, log);
	if (r == 0) {
		const char *dir = imapd_conf_get(&target->imapd_conf, "configdirectory", "");
		target->key = realpath(dir, NULL);
		if (!target->key)
			r = log_error(log, errno == ENOENT ? -ENODEV : -errno,
				      "%s: configdirectory %s: %s: is the store mounted?",
				      imapd_conf_path, dir, strerror(errno));
	}
	if (r)
		target_fini(target);
	return r;
}

int target_open_named(struct target *target, const struct conf *conf, const char *name,
		      const struct log *log)
{
	char *store = strdup(name);

	*target = TARGET_NULL;
	if (!store)
		return -ENOMEM;
	char *host = strchr(store, '@');
	if (host)
		*host++ = '\0';
	const struct copy *copy = conf_find_copy(conf, store, host);
	int r = copy ? target_open(target, copy->store, copy->host, copy->imapd_conf, log)
		     : log_error(log, -ENOENT,
				 "no store %s in the configuration (assay check-config lists them)",
				 name);
	free(store);
	return r;
}
