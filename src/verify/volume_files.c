// SPDX-License-Identifier: Apache-2.0
/*
 * The second witness: the digests of the packages that are installed in the filesystem.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "verify/volume_scanning.h"

static int on_notice(const struct packages_notice *notice, void *ctx)
{
	struct volume_scanning *s = ctx;

	switch (notice->kind) {
	case PACKAGES_MISSING:
	case PACKAGES_REPLACED:
		s->result->nr_files_missing++;
		return 0;
	case PACKAGES_UNRESOLVED:
		/* One directory that cannot be read hides many. */
		if (s->nr_unresolved++ == 0)
			(void)snprintf(s->unresolved, sizeof(s->unresolved), "%s", notice->path);
		return 0;
	case PACKAGES_DAMAGED:
		return volume_gap(s, notice->path, "of package %s: it is damaged: %s",
				  *notice->package ? notice->package : "dpkg",
				  strerror(-notice->error));
	case PACKAGES_UNSETTLED:
		return volume_gap(s, "", "package %s is half installed: its files are not judged",
				  notice->package);
	case PACKAGES_NOTICE_COUNT_:
		break;
	}
	return 0;
}

static int on_first(const struct package_result *result, void *ctx)
{
	struct volume_scanning *s = ctx;

	s->result->files[result->class]++;
	if (result->class == PACKAGE_FILE_OK || result->class == PACKAGE_FILE_CONFFILE)
		return 0;
	if (s->nr_suspect_files == VOLUME_TOLD_MAX) {
		s->nr_suspect_more++;
		return 0;
	}
	struct suspect_file *suspect = &s->suspect_files[s->nr_suspect_files];
	*suspect = (struct suspect_file){ .ino = result->ino };
	suspect->package = strdup(result->owner.package);
	if (!suspect->package)
		return -ENOMEM;
	s->nr_suspect_files++;
	return 0;
}

static int tell(struct volume_scanning *s, const struct package_result *result,
		enum finding_code code)
{
	char object[32], recorded[2 * MD5_LEN + 1], observed[2 * MD5_LEN + 1];
	struct volume_place place = {
		.off = UINT64_MAX,
		.ino = result->ino,
		.file_off = result->look.read_error ? result->error_off : UINT64_MAX,
	};
	struct buf path = BUF_NULL, words = BUF_NULL;

	(void)snprintf(object, sizeof(object), OBJECT_PACKAGE "%" PRIu32, result->ino);
	text_hex(result->witness.md5, MD5_LEN, recorded);
	text_hex(result->look.md5, MD5_LEN, observed);
	buf_addf(&path, "/%s", result->owner.path);
	buf_add_str(&words, "package ");
	text_add_printable(&words, span_of_str(result->owner.package));
	if (code == FINDING_PACKAGE_UNREADABLE)
		buf_addf(&words, "; reading failed: %s", strerror(-result->look.read_error));
	else if (code == FINDING_PACKAGE_CHANGED)
		buf_add_str(&words, "; by its times it was written after it was installed");
	else if (code == FINDING_PACKAGE_RECORD)
		buf_add_str(&words, "; the two digests differ in one digit");
	int r = buf_error(&path) ? buf_error(&path) : buf_error(&words);
	place.path = r ? NULL : buf_str(&path);
	bool read = !result->look.read_error && !result->look.error;
	if (r == 0)
		r = volume_tell(s, code, object, &place, recorded, read ? observed : NULL,
				buf_str(&words), NULL);
	buf_fini(&path);
	buf_fini(&words);
	return r;
}

/* A block of it was found corrupt. */
static bool is_corrupt(const struct volume_scanning *s, uint32_t ino)
{
	for (size_t i = 0; i < s->nr_corrupt; i++)
		if (s->corrupt[i] == ino)
			return true;
	return false;
}

static int conclude(struct volume_scanning *s, const struct package_result *result)
{
	switch (result->class) {
	case PACKAGE_FILE_CORRUPT:
		return tell(s, result,
			    result->is_near ? FINDING_PACKAGE_RECORD : FINDING_PACKAGE_DIGEST);
	case PACKAGE_FILE_CHANGED:
		/* The baseline knows better: nobody did. */
		return is_corrupt(s, result->ino) ? 0 : tell(s, result, FINDING_PACKAGE_CHANGED);
	case PACKAGE_FILE_UNREADABLE:
		return tell(s, result, FINDING_PACKAGE_UNREADABLE);
	case PACKAGE_FILE_UNKNOWN:
		if (result->look.error == -ENOENT ||
		    (s->target->is_live && result->look.error == -EINVAL)) {
			s->result->run.in_flight++;
			return 0;
		}
		return volume_gap(s, result->owner.path, "its bytes cannot be judged: %s",
				  result->look.error ? strerror(-result->look.error)
						     : "they may stand in the journal");
	case PACKAGE_FILE_OK:
		/* Right now, and by its times not written: what was read first was not the disk. */
		if (!s->target->is_live)
			return tell(s, result, FINDING_PACKAGE_FLAKY);
		s->result->run.in_flight++;
		return 0;
	case PACKAGE_FILE_CONFFILE:
	case PACKAGE_CLASS_COUNT_:
		break;
	}
	return 0;
}

static int on_again(const struct package_result *result, void *ctx)
{
	struct volume_scanning *s = ctx;

	s->again = *result;
	return 0;
}

/* The same file of the same package as at the first look? A number of an inode is soon used again. */
static int look_at(struct volume_scanning *s, const struct packages *packages, struct ext4 *fs,
		   const struct suspect_file *suspect, bool *ret_same)
{
	struct packages_owner owner;

	*ret_same = packages_owner(packages, suspect->ino, &owner) &&
		    strcmp(owner.package, suspect->package) == 0;
	return *ret_same ? packages_check_inode(packages, fs, suspect->ino, on_again, s) : 0;
}

/*
 * What is read of a mounted file may be of another one by then, to which its blocks were given: so it is
 * told only if the inode is still as it was when its bytes have been read, which a third look says. The
 * packages are read anew for it: somebody may have been installing.
 */
static int look_twice(struct volume_scanning *s, struct volume_view *view, struct volume_view *last,
		      struct packages **ret_packages)
{
	bool same;

	volume_settle(s);
	int r = volume_look_again(s, view);
	for (size_t i = 0; s->target->is_live && i < s->nr_suspect_files && r == 0; i++) {
		struct suspect_file *suspect = &s->suspect_files[i];
		r = look_at(s, s->packages, view->fs, suspect, &same);
		suspect->in_flight = !same || s->again.class == PACKAGE_FILE_OK;
	}
	if (r == 0)
		r = volume_look_again(s, last);
	return r ? r : packages_load(last->fs, s->options->stop, NULL, ret_packages, NULL);
}

static int confirm(struct volume_scanning *s)
{
	struct volume_view view cleanup(volume_view_close) = VOLUME_VIEW_NULL;
	struct volume_view last cleanup(volume_view_close) = VOLUME_VIEW_NULL;
	struct packages *packages = NULL;
	bool same = false;

	int r = look_twice(s, &view, &last, &packages);
	if (r)
		return volume_gap(s, s->target->path, "no second look at %zu files: %s",
				  s->nr_suspect_files, strerror(-r));
	for (size_t i = 0; i < s->nr_suspect_files && r == 0 && !volume_is_stopped(s); i++) {
		const struct suspect_file *suspect = &s->suspect_files[i];
		if (!suspect->in_flight)
			r = look_at(s, packages, last.fs, suspect, &same);
		if (suspect->in_flight || !same)
			s->result->run.in_flight++;
		else if (r == 0)
			r = conclude(s, &s->again);
	}
	packages_free(packages);
	return r;
}

int volume_check_files(struct volume_scanning *s)
{
	int r = packages_load(s->view.fs, s->options->stop, on_notice, &s->packages, s);

	if (r == -ENOENT) {
		s->files_whole = true;
		return 0;
	}
	if (r == -ECANCELED || r == -ENOMEM)
		return r == -ENOMEM ? r : 0;
	if (r)
		return volume_gap(s, "/var/lib/dpkg", "the package database cannot be read: %s",
				  strerror(-r));
	s->result->has_packages = true;
	s->suspect_files = calloc(VOLUME_TOLD_MAX, sizeof(*s->suspect_files));
	if (!s->suspect_files)
		return -ENOMEM;
	if (s->nr_unresolved)
		r = volume_gap(s, s->unresolved,
			       "the way to %" PRIu64 " files of packages cannot be read; this is one",
			       s->nr_unresolved);
	if (r)
		return r;
	r = packages_check(s->packages, s->view.fs, s->options->stop, on_first, &s->files_canary, s);
	if (r == 0 && s->nr_suspect_files)
		r = confirm(s);
	if (r == 0 && s->nr_suspect_more)
		r = volume_gap(s, s->target->path,
			       "%" PRIu64 " more files differ from their package than can be told",
			       s->nr_suspect_more);
	s->files_whole = r == 0 && !volume_is_stopped(s) && s->nr_suspect_more == 0;
	return r == -ECANCELED ? 0 : r;
}
