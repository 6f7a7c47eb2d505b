// SPDX-License-Identifier: Apache-2.0
/*
 * What was confirmed of a volume, in words: where it lies, whose it is, what that means.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "verify/volume_scanning.h"

#define LBA_SECTOR 512

/* What Cyrus or the gate cannot do without; without the slash at its beginning. */
static const char *const matters[] = {
	"etc/imapd.conf",   "etc/cyrus.conf",	"etc/cyrus/",	      "etc/assay/",
	"usr/lib/cyrus",    "usr/sbin/cyr",	"usr/sbin/cyrus",     "usr/bin/assay",
	"usr/lib/libassay", "var/lib/cyrus/",	"var/lib/assay/",     "etc/passwd",
	"etc/shadow",	    "etc/fstab",	"etc/ld.so",	      "etc/nsswitch.conf",
	"boot/",	    "usr/lib/systemd/", "usr/lib/modules/",   "usr/lib/x86_64-linux-gnu/lib",
	"usr/lib64/ld-",    "usr/bin/ssh",	"usr/sbin/sshd",      "usr/lib/aarch64-linux-gnu/lib",
	"usr/bin/bash",	    "usr/bin/dash",	"usr/lib/sasl2/",
};

bool volume_path_matters(const char *path)
{
	if (!path)
		return false;
	while (*path == '/')
		path++;
	for (size_t i = 0; i < array_size(matters); i++) {
		if (strncmp(path, matters[i], strlen(matters[i])) == 0)
			return true;
		/* Where directories are not merged into usr. */
		if (strncmp(matters[i], "usr/", 4) == 0 &&
		    strncmp(path, matters[i] + 4, strlen(matters[i]) - 4) == 0)
			return true;
	}
	return false;
}

static void add_place(const struct volume_scanning *s, struct buf *b,
		      const struct volume_place *place)
{
	uint32_t unit = s->view.info.block_size ? s->view.info.block_size : BLOCK_PASS_RAW;

	if (place->off != UINT64_MAX)
		buf_addf(b, "; block %" PRIu64 " of %s, LBA %" PRIu64 " of %s", place->off / unit,
			 s->target->path, (s->start + place->off) / LBA_SECTOR, s->disk);
	if (place->file_off != UINT64_MAX && place->ino)
		buf_addf(b, ", byte %" PRIu64 " of inode %" PRIu32, place->file_off, place->ino);
	else if (place->ino)
		buf_addf(b, ", inode %" PRIu32, place->ino);
	if (volume_path_matters(place->path))
		buf_add_str(b, "; Cyrus or the gate depend on this file");
}

int volume_tell(struct volume_scanning *s, enum finding_code code, const char *object,
		const struct volume_place *place, const char *recorded, const char *observed,
		const char *words, const char *meaning)
{
	struct buf detail = BUF_NULL;
	const char *path = place->path ? place->path : s->target->path;

	buf_add_str(&detail, words);
	add_place(s, &detail, place);
	if (meaning)
		buf_addf(&detail, ". %s", meaning);
	int r = buf_error(&detail);
	if (r == 0) {
		struct finding finding = {
			.verdict = finding_code_verdict(code),
			.severity = finding_code_severity(code),
			.code = finding_code_name(code),
			.object = object,
			.path = span_of_str(path),
			.recorded = recorded,
			.observed = observed,
			.detail = buf_str(&detail),
		};
		r = volume_finding(s, &finding);
	}
	buf_fini(&detail);
	return r;
}
