// SPDX-License-Identifier: Apache-2.0
/*
 * Lines, cut off one after the other. Whatever a line is, a walk goes on behind it: one flipped
 * bit in a database must not hide all that follows.
 */
#include "format/dpkg/dpkg.h"

#include <errno.h>
#include <strings.h>

#include "base/text.h"

#define HEX_LEN (2 * DPKG_MD5_LEN) /* bytes */
#define COMPONENT_MAX 255	   /* bytes: NAME_MAX of every filesystem there is */

/* ---- pieces ---- */

static struct span rest_of(struct span s, uint64_t off)
{
	return off < s.len ? span_of(s.data + off, s.len - off) : SPAN_NULL;
}

/* Cuts the first line off `text`; false at the end. *ret_whole: it ended with its LF. */
static bool line_next(struct span *text, struct span *ret_line, bool *ret_whole)
{
	if (text->len == 0)
		return false;
	uint64_t len = span_find(*text, '\n');
	*ret_whole = len < text->len;
	*ret_line = span_of(text->data, len);
	*text = rest_of(*text, len + 1);
	return true;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

static struct span trimmed(struct span s)
{
	while (s.len && is_blank(s.data[0]))
		s = rest_of(s, 1);
	while (s.len && is_blank(s.data[s.len - 1]))
		s.len--;
	return s;
}

/* Cuts the first word off; false when there is none. */
static bool word_next(struct span *s, struct span *ret_word)
{
	uint64_t len = 0;

	*s = trimmed(*s);
	if (s->len == 0)
		return false;
	while (len < s->len && !is_blank(s->data[len]))
		len++;
	*ret_word = span_of(s->data, len);
	*s = rest_of(*s, len);
	return true;
}

/* The same from the end. */
static bool word_last(struct span *s, struct span *ret_word)
{
	*s = trimmed(*s);
	uint64_t at = s->len;
	if (at == 0)
		return false;
	while (at > 0 && !is_blank(s->data[at - 1]))
		at--;
	*ret_word = rest_of(*s, at);
	s->len = at;
	return true;
}

static bool equals_case(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp((const char *)s.data, word, s.len) == 0;
}

/* A name, an architecture or a version: printable, without blanks. */
static bool is_name(struct span s)
{
	for (uint64_t i = 0; i < s.len; i++)
		if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == '/')
			return false;
	return s.len > 0 && s.len <= DPKG_NAME_MAX;
}

static bool is_path(struct span path)
{
	if (path.len == 0 || path.len > DPKG_PATH_MAX || span_find(path, 0) < path.len)
		return false;
	for (;;) {
		struct span name = span_of(path.data, span_find(path, '/'));
		if (name.len == 0 || name.len > COMPONENT_MAX || span_equals_str(name, ".") ||
		    span_equals_str(name, ".."))
			return false;
		if (name.len == path.len)
			return true;
		path = rest_of(path, name.len + 1);
	}
}

/* A path as lists have it, from the root. */
static int path_parse(struct span text, struct span *ret_path)
{
	if (text.len == 0 || text.data[0] != '/' || !is_path(rest_of(text, 1)))
		return -EBADMSG;
	*ret_path = rest_of(text, 1);
	return 0;
}

/* ---- status ---- */

static int state_parse(struct span text, struct dpkg_package *package)
{
	static const char *const states[] = {
		[DPKG_NOT_INSTALLED] = "not-installed",
		[DPKG_CONFIG_FILES] = "config-files",
		[DPKG_HALF_INSTALLED] = "half-installed",
		[DPKG_UNPACKED] = "unpacked",
		[DPKG_HALF_CONFIGURED] = "half-configured",
		[DPKG_TRIGGERS_AWAITED] = "triggers-awaited",
		[DPKG_TRIGGERS_PENDING] = "triggers-pending",
		[DPKG_INSTALLED] = "installed",
	};
	struct span want, flag, state, more;

	if (!word_next(&text, &want) || !word_next(&text, &flag) || !word_next(&text, &state) ||
	    word_next(&text, &more))
		return -EBADMSG;
	package->needs_reinstall = !equals_case(flag, "ok");
	for (unsigned i = 0; i < array_size(states); i++)
		if (equals_case(state, states[i])) {
			package->state = (enum dpkg_state)i;
			return 0;
		}
	return -EBADMSG;
}

enum field { NAME, ARCH, MULTI_ARCH, STATUS, VERSION, CONFFILES, NR_FIELDS, OTHER = NR_FIELDS };

static enum field field_of(struct span key)
{
	static const char *const names[NR_FIELDS] = {
		[NAME] = "Package",  [ARCH] = "Architecture", [MULTI_ARCH] = "Multi-Arch",
		[STATUS] = "Status", [VERSION] = "Version",   [CONFFILES] = "Conffiles",
	};
	unsigned i = 0;

	while (i < NR_FIELDS && !equals_case(key, names[i]))
		i++;
	return (enum field)i;
}

/* A paragraph: what it gives of each field, and whether any line of it was wrong. */
struct paragraph {
	struct span values[NR_FIELDS]; /* data is NULL: not given */
	enum field last;	       /* whose lines go on */
	bool is_wrong;
	bool is_empty;
};

#define PARAGRAPH_EMPTY ((struct paragraph){ .last = OTHER, .is_empty = true })

static void paragraph_add(struct paragraph *p, struct span line)
{
	p->is_empty = false;
	if (line.len > DPKG_LINE_MAX || span_find(line, 0) < line.len) {
		p->is_wrong = true;
		return;
	}
	if (is_blank(line.data[0])) {
		/* Up to the end of this line; only this field has several. */
		if (p->last == CONFFILES) {
			struct span *value = &p->values[CONFFILES];
			value->len = (uint64_t)(line.data + line.len - value->data);
		}
		return;
	}
	uint64_t colon = span_find(line, ':');
	if (colon == 0 || colon == line.len) {
		p->is_wrong = true;
		return;
	}
	p->last = field_of(span_of(line.data, colon));
	if (p->last == OTHER)
		return;
	if (p->values[p->last].data)
		p->is_wrong = true;
	/* Never NULL: the colon lies before it. */
	p->values[p->last] = span_of(line.data + colon + 1, line.len - colon - 1);
}

static int paragraph_parse(const struct paragraph *p, struct dpkg_package *package)
{
	const struct span *values = p->values;

	*package = (struct dpkg_package){
		.name = trimmed(values[NAME]),
		.arch = trimmed(values[ARCH]),
		.version = trimmed(values[VERSION]),
		.is_multi_arch_same = equals_case(trimmed(values[MULTI_ARCH]), "same"),
		.conffiles = values[CONFFILES],
	};
	if (p->is_wrong || !is_name(package->name) ||
	    span_find(package->name, ':') < package->name.len)
		return -EBADMSG;
	if ((package->arch.len && !is_name(package->arch)) ||
	    (package->version.len && !is_name(package->version)))
		return -EBADMSG;
	return state_parse(values[STATUS], package);
}

int dpkg_parse_status(struct span text, dpkg_package_fn fn, void *ctx)
{
	struct paragraph p = PARAGRAPH_EMPTY;
	struct dpkg_package package;
	bool is_wrong = false, more;

	do {
		struct span line = SPAN_NULL;
		bool whole = true;
		more = line_next(&text, &line, &whole);
		if (more && (!whole || trimmed(line).len)) {
			paragraph_add(&p, line);
			p.is_wrong |= !whole;
			continue;
		}
		if (p.is_empty)
			continue;
		if (paragraph_parse(&p, &package)) {
			is_wrong = true;
		} else {
			int r = fn(&package, ctx);
			if (r)
				return r;
		}
		p = PARAGRAPH_EMPTY;
	} while (more);
	return is_wrong ? -EBADMSG : 0;
}

bool dpkg_is_unpacked(const struct dpkg_package *package)
{
	return package->state >= DPKG_UNPACKED && !package->needs_reinstall;
}

/* `path md5 [flag]...`; the path may hold blanks, so the line is taken from its end. */
static int conffile_parse(struct span line, struct dpkg_conffile *conffile)
{
	struct span word;

	*conffile = (struct dpkg_conffile){ .has_md5 = false };
	while (word_last(&line, &word)) {
		conffile->has_md5 = text_parse_hex(word, conffile->md5, DPKG_MD5_LEN) == 0;
		if (conffile->has_md5 || span_equals_str(word, "newconffile"))
			return path_parse(trimmed(line), &conffile->path);
		if (span_starts_with(word, "/"))
			return -EBADMSG;
		conffile->is_obsolete |= span_equals_str(word, "obsolete");
		conffile->is_removed_on_upgrade |= span_equals_str(word, "remove-on-upgrade");
	}
	return -EBADMSG;
}

int dpkg_parse_conffiles(struct span conffiles, dpkg_conffile_fn fn, void *ctx)
{
	struct dpkg_conffile conffile;
	struct span line;
	bool is_wrong = false, whole;

	while (line_next(&conffiles, &line, &whole)) {
		if (trimmed(line).len == 0)
			continue;
		if (conffile_parse(line, &conffile)) {
			is_wrong = true;
			continue;
		}
		int r = fn(&conffile, ctx);
		if (r)
			return r;
	}
	return is_wrong ? -EBADMSG : 0;
}

/* ---- info ---- */

static bool cut_suffix(struct span *s, const char *suffix)
{
	uint64_t len = strlen(suffix);

	if (s->len <= len || !span_equals_str(rest_of(*s, s->len - len), suffix))
		return false;
	s->len -= len;
	return true;
}

enum dpkg_info dpkg_parse_info_name(struct span leaf, struct span *ret_package)
{
	enum dpkg_info info = cut_suffix(&leaf, ".list")      ? DPKG_INFO_LIST
			      : cut_suffix(&leaf, ".md5sums") ? DPKG_INFO_MD5SUMS
							      : DPKG_INFO_OTHER;

	*ret_package = SPAN_NULL;
	if (info == DPKG_INFO_OTHER || !is_name(leaf))
		return DPKG_INFO_OTHER;
	*ret_package = leaf;
	return info;
}

/*
 * `md5 SP SP path`, as md5sum writes it; a `*` in place of the second space says binary. A path
 * with a backslash stands as it is: what md5sum would escape, debhelper does not.
 */
static int md5_line_parse(struct span line, uint8_t md5[DPKG_MD5_LEN], struct span *ret_path)
{
	struct span hex, gap, path = rest_of(line, HEX_LEN + 2);

	if (span_sub(line, 0, HEX_LEN, &hex) || text_parse_hex(hex, md5, DPKG_MD5_LEN) ||
	    span_sub(line, HEX_LEN, 2, &gap) ||
	    (!span_equals_str(gap, "  ") && !span_equals_str(gap, " *")))
		return -EBADMSG;
	if (span_starts_with(path, "./"))
		path = rest_of(path, 2);
	else if (span_starts_with(path, "/"))
		path = rest_of(path, 1);
	if (!is_path(path))
		return -EBADMSG;
	*ret_path = path;
	return 0;
}

int dpkg_parse_md5sums(struct span text, dpkg_md5_fn fn, void *ctx)
{
	uint8_t md5[DPKG_MD5_LEN];
	struct span line, path;
	bool is_wrong = false, whole;

	while (line_next(&text, &line, &whole)) {
		/* A path that was cut off is another path. */
		if (!whole || md5_line_parse(line, md5, &path)) {
			is_wrong = true;
			continue;
		}
		int r = fn(path, md5, ctx);
		if (r)
			return r;
	}
	return is_wrong ? -EBADMSG : 0;
}

int dpkg_parse_list(struct span text, dpkg_path_fn fn, void *ctx)
{
	struct span line, path;
	bool is_wrong = false, whole;

	while (line_next(&text, &line, &whole)) {
		if (whole && (span_equals_str(line, "/.") || span_equals_str(line, "/")))
			continue;
		if (!whole || path_parse(line, &path)) {
			is_wrong = true;
			continue;
		}
		int r = fn(path, ctx);
		if (r)
			return r;
	}
	return is_wrong ? -EBADMSG : 0;
}

/* ---- diversions ---- */

static int diversion_parse(const struct span lines[3], struct dpkg_diversion *diversion)
{
	int r = path_parse(lines[0], &diversion->from);

	if (r == 0)
		r = path_parse(lines[1], &diversion->to);
	if (r)
		return r;
	diversion->package = SPAN_NULL;
	if (span_equals_str(lines[2], ":"))
		return 0;
	diversion->package = lines[2];
	return is_name(lines[2]) ? 0 : -EBADMSG;
}

int dpkg_parse_diversions(struct span text, dpkg_diversion_fn fn, void *ctx)
{
	struct dpkg_diversion diversion;
	struct span lines[3];
	bool is_wrong = false, whole = true;

	while (line_next(&text, &lines[0], &whole)) {
		if (!line_next(&text, &lines[1], &whole) || !line_next(&text, &lines[2], &whole))
			return -EBADMSG;
		if (!whole || diversion_parse(lines, &diversion)) {
			is_wrong = true;
			continue;
		}
		int r = fn(&diversion, ctx);
		if (r)
			return r;
	}
	return is_wrong ? -EBADMSG : 0;
}
