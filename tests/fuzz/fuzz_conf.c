// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes assay.conf, read from a file in memory: what is accepted is whole, every copy with its
 * host, role and absolute path, every volume with one absolute path, and every limit in its bounds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/assay/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_conf(const struct conf *conf)
{
	require(conf->policy.readers >= 1 && conf->policy.readers <= 64);
	require(conf->policy.max_lag_ns >= 0 && conf->policy.max_scan_age_ns >= 0);
	require(conf->policy.gate_deadline_ns >= 0 && conf->policy.gate_patience_ns >= 0);
	require(conf->policy.settle_ns >= 0);
	for (size_t i = 0; i < conf->nr_copies; i++) {
		const struct copy *copy = &conf->copies[i];
		require(copy->store && *copy->store && copy->host && *copy->host);
		require(copy->imapd_conf && copy->imapd_conf[0] == '/');
		require(copy->role == ROLE_MASTER || copy->role == ROLE_REPLICA);
		require(conf_find_copy(conf, copy->store, copy->host) == copy);
		if (copy->role == ROLE_MASTER)
			require(conf_find_master(conf, copy->store) == copy);
		require(!conf_find_volume(conf, copy->store));
	}
	for (size_t i = 0; i < conf->nr_volumes; i++) {
		const struct conf_volume *volume = &conf->volumes[i];
		const char *path = volume->mount ? volume->mount : volume->device;
		require(volume->name && *volume->name && !volume->mount != !volume->device);
		require(path[0] == '/' && conf_find_volume(conf, volume->name) == volume);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf conf = { 0 };
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);

	require(fd >= 0);
	require(write(fd, data, size) == (ssize_t)size);
	/* Beside it there is no conf.d. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = conf_read(&conf, path, NULL);
	require(r == 0 || r == -EBADMSG || r == -ENOMEM);
	if (r == 0)
		check_conf(&conf);
	else
		require(conf.nr_copies == 0 && conf.nr_volumes == 0 && conf.host == NULL);
	conf_fini(&conf);
	(void)close(fd);
	return 0;
}
