// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes what dpkg keeps of packages: the first byte says which file it is. Whatever it holds, a path
 * that is told leads nowhere but down, and spans lie inside the text.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/dpkg/dpkg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void require_inside(struct span s, const struct span *text)
{
	if (s.len)
		require(s.data >= text->data && s.data + s.len <= text->data + text->len);
}

static void require_path(struct span path, const struct span *text)
{
	require(path.len > 0 && path.len <= DPKG_PATH_MAX);
	require_inside(path, text);
	for (uint64_t i = 0, from = 0; i <= path.len; i++) {
		if (i < path.len && path.data[i] != '/') {
			require(path.data[i] != 0 && path.data[i] != '\n');
			continue;
		}
		struct span name = span_of(path.data + from, i - from);
		require(name.len > 0 && name.len <= 255);
		require(!span_equals_str(name, ".") && !span_equals_str(name, ".."));
		from = i + 1;
	}
}

static void require_name(struct span name, const struct span *text)
{
	require(name.len <= DPKG_NAME_MAX);
	require_inside(name, text);
	require(span_find(name, '/') == name.len && span_find(name, ' ') == name.len);
}

static int on_conffile(const struct dpkg_conffile *conffile, void *ctx)
{
	require_path(conffile->path, ctx);
	return 0;
}

static int on_package(const struct dpkg_package *package, void *ctx)
{
	require(package->name.len > 0 && package->state <= DPKG_INSTALLED);
	require_name(package->name, ctx);
	require_name(package->arch, ctx);
	require_name(package->version, ctx);
	require_inside(package->conffiles, ctx);
	int r = dpkg_parse_conffiles(package->conffiles, on_conffile, ctx);
	require(r == 0 || r == -EBADMSG);
	return 0;
}

static int on_md5(struct span path, const uint8_t md5[DPKG_MD5_LEN], void *ctx)
{
	(void)md5;
	require_path(path, ctx);
	return 0;
}

static int on_path(struct span path, void *ctx)
{
	require_path(path, ctx);
	return 0;
}

static int on_diversion(const struct dpkg_diversion *diversion, void *ctx)
{
	require_path(diversion->from, ctx);
	require_path(diversion->to, ctx);
	require_name(diversion->package, ctx);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span package;
	int r = 0;

	if (size == 0)
		return 0;
	struct span text = span_of(data + 1, size - 1);
	switch (data[0]) {
	case 's':
		r = dpkg_parse_status(text, on_package, &text);
		break;
	case 'm':
		r = dpkg_parse_md5sums(text, on_md5, &text);
		break;
	case 'l':
		r = dpkg_parse_list(text, on_path, &text);
		break;
	case 'd':
		r = dpkg_parse_diversions(text, on_diversion, &text);
		break;
	default:
		if (dpkg_parse_info_name(text, &package) == DPKG_INFO_OTHER)
			require(package.len == 0);
		else
			require(package.len > 0 && package.len < text.len);
		require_name(package, &text);
	}
	require(r == 0 || r == -EBADMSG);
	return 0;
}
