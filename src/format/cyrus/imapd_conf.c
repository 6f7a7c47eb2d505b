// SPDX-License-Identifier: Apache-2.0
/*
 * What Cyrus would read from the same bytes, or an error: a verifier that guesses where the spool
 * is would call every message missing. The quirks are those of 3.6.1, tried on it: names fold to
 * lower case but switches do not, a comment goes on behind a backslash, and a last line that ends
 * in a backslash is dropped.
 *
 * Each `@include` is kept among the options, as an option named "@include" that no line can set
 * otherwise. That makes a file included twice a matter of looking, and counts includes against
 * the limit on options.
 */
#include "format/cyrus/imapd_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

#define CONF_DEPTH_MAX 16
#define CONF_TEXT_MAX 1048576u /* bytes of one file */
#define CONF_OPTIONS_MAX 16384
#define CONF_INCLUDE "@include"
#define CONF_DIR "{configdirectory}"

/* What the lines of one file have in common. */
struct conf_file {
	struct imapd_conf *conf;
	const char *name;
	unsigned line; /* the one read last */
	unsigned depth;
	imapd_conf_include_fn include;
	const struct log *log;
	void *ctx;
};

/* White space of the C locale, which is the one that Cyrus reads its configuration in. */
static bool byte_is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span span_trim(struct span s)
{
	while (s.len && byte_is_space(s.data[0]))
		s = span_of(s.data + 1, s.len - 1);
	while (s.len && byte_is_space(s.data[s.len - 1]))
		s.len--;
	return s;
}

static void option_fini(struct imapd_option *option)
{
	free(option->name);
	free(option->value);
	free(option->file);
}

void imapd_conf_fini(struct imapd_conf *conf)
{
	for (size_t i = 0; i < conf->nr_options; i++)
		option_fini(&conf->options[i]);
	free(conf->options);
	*conf = IMAPD_CONF_NULL;
}

/* Where an option of this name stands, or would have to: the array is sorted by name. */
static size_t option_place(const struct imapd_conf *conf, const char *name)
{
	size_t low = 0, high = conf->nr_options;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(conf->options[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct imapd_option *option_find(const struct imapd_conf *conf, const char *name)
{
	size_t i = option_place(conf, name);

	if (i == conf->nr_options || strcmp(conf->options[i].name, name) != 0)
		return NULL;
	return &conf->options[i];
}

/* Room doubles whenever the count is a power of two, so that none has to be remembered. */
static int options_reserve(struct imapd_conf *conf)
{
	size_t nr = conf->nr_options;

	if (nr & (nr - 1))
		return 0;
	struct imapd_option *options =
		reallocarray(conf->options, nr ? nr * 2 : 1, sizeof(*options));
	if (!options)
		return -ENOMEM;
	conf->options = options;
	return 0;
}

/*
 * Puts an option at its place. Whether it may be given again is for the caller to know: an option
 * may not, an include of another file may.
 */
static int option_add(struct conf_file *file, const char *name, struct span value)
{
	struct imapd_conf *conf = file->conf;

	if (conf->nr_options >= CONF_OPTIONS_MAX)
		return log_error(file->log, -E2BIG, "%s:%u: more than %d options", file->name,
				 file->line, CONF_OPTIONS_MAX);
	struct imapd_option option = {
		.name = strdup(name),
		.value = span_dup(value),
		.file = strdup(file->name),
		.line = file->line,
	};
	if (!option.name || !option.value || !option.file || options_reserve(conf)) {
		option_fini(&option);
		return log_error(file->log, -ENOMEM, "%s:%u: out of memory", file->name,
				 file->line);
	}
	size_t at = option_place(conf, name);
	memmove(conf->options + at + 1, conf->options + at,
		(conf->nr_options - at) * sizeof(option));
	conf->options[at] = option;
	conf->nr_options++;
	return 0;
}

/* Cyrus compares the names of files as they are written, the one it began with among them. */
static bool file_was_read(const struct conf_file *file, const char *path)
{
	if (strcmp(path, file->name) == 0)
		return true;
	for (size_t i = option_place(file->conf, CONF_INCLUDE); i < file->conf->nr_options; i++) {
		const struct imapd_option *option = &file->conf->options[i];
		if (strcmp(option->name, CONF_INCLUDE) != 0)
			break;
		if (strcmp(option->value, path) == 0 || strcmp(option->file, path) == 0)
			return true;
	}
	return false;
}

/*
 * The include is recorded before its file is read, so that a ring of files is noticed where it
 * closes and not at the limit of depth.
 */
static int line_include(struct conf_file *file, struct span value)
{
	cleanup(buf_fini) struct buf path = BUF_NULL;

	buf_add_span(&path, value);
	int r = buf_error(&path);
	if (r)
		return r;
	if (!file->include)
		return log_error(file->log, -EBADMSG, "%s:%u: an include is not allowed here",
				 file->name, file->line);
	if (file_was_read(file, buf_str(&path)))
		return log_error(file->log, -EEXIST, "%s:%u: a file is included twice", file->name,
				 file->line);
	r = option_add(file, CONF_INCLUDE, value);
	if (r)
		return r;
	return file->include(file->conf, buf_str(&path), file->depth + 1, file->log, file->ctx);
}

/* Bytes of the option name at the front of a line; letters, digits, - and _, or a directive. */
static uint64_t name_len(struct span line)
{
	uint64_t len = span_starts_with(line, "@") ? 1 : 0;

	while (len < line.len) {
		uint8_t c = line.data[len];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			break;
		len++;
	}
	return len;
}

/* One line, continuations joined, not yet trimmed. */
static int line_parse(struct conf_file *file, struct span line)
{
	cleanup(buf_fini) struct buf name = BUF_NULL;

	/* Cyrus would take the line to end here, and silently drop what an editor still shows. */
	if (span_find(line, '\0') < line.len)
		return log_error(file->log, -EBADMSG, "%s:%u: a NUL byte", file->name, file->line);
	line = span_trim(line);
	if (line.len == 0 || line.data[0] == '#')
		return 0;
	uint64_t len = name_len(line);
	if (len == 0 || len == line.len || line.data[len] != ':')
		return log_error(file->log, -EBADMSG,
				 "%s:%u: not an option: expected `name: value`", file->name,
				 file->line);
	for (uint64_t i = 0; i < len; i++) {
		uint8_t c = line.data[i];
		buf_add_char(&name, c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : (char)c);
	}
	if (buf_error(&name))
		return log_error(file->log, -ENOMEM, "%s:%u: out of memory", file->name,
				 file->line);
	struct span value = span_trim(span_of(line.data + len + 1, line.len - len - 1));
	if (value.len == 0)
		return log_error(file->log, -EBADMSG, "%s:%u: option %s has no value", file->name,
				 file->line, buf_str(&name));
	if (strcmp(buf_str(&name), CONF_INCLUDE) == 0)
		return line_include(file, value);
	if (buf_str(&name)[0] == '@')
		return log_error(file->log, -EBADMSG, "%s:%u: no such directive: %s", file->name,
				 file->line, buf_str(&name));
	const struct imapd_option *first = option_find(file->conf, buf_str(&name));
	if (first)
		return log_error(file->log, -EBADMSG, "%s:%u: option %s was given before, at %s:%u",
				 file->name, file->line, first->name, first->file, first->line);
	return option_add(file, buf_str(&name), value);
}

/* NOLINTNEXTLINE(readability-function-size): an includer hands on all that it was given. */
int imapd_conf_parse(struct imapd_conf *conf, struct span text, const char *name, unsigned depth,
		     imapd_conf_include_fn include, const struct log *log, void *ctx)
{
	cleanup(buf_fini) struct buf line = BUF_NULL;
	struct conf_file file = {
		.conf = conf,
		.name = name,
		.depth = depth,
		.include = include,
		.log = log,
		.ctx = ctx,
	};

	if (depth > CONF_DEPTH_MAX)
		return log_error(log, -ELOOP, "%s: more than %d includes deep", name,
				 CONF_DEPTH_MAX);
	if (text.len > CONF_TEXT_MAX)
		return log_error(log, -E2BIG, "%s: longer than %u bytes", name, CONF_TEXT_MAX);
	while (text.len) {
		uint64_t len = span_find(text, '\n');
		bool ended = len < text.len;

		buf_add(&line, text.data, len);
		if (buf_error(&line))
			return log_error(log, -ENOMEM, "%s: out of memory", name);
		len += ended;
		text = text.len > len ? span_of(text.data + len, text.len - len) : SPAN_NULL;
		file.line++;
		/* The joined line counts: a backslash laid bare by an empty continuation joins again. */
		if (ended && line.len && line.data[line.len - 1] == '\\') {
			line.len--;
			continue;
		}
		int r = line_parse(&file, buf_span(&line));
		if (r)
			return r;
		buf_clear(&line);
	}
	if (span_trim(buf_span(&line)).len)
		log_warning(log,
			    "%s:%u: the last line ends in a backslash, so Cyrus drops it; "
			    "remove the backslash",
			    name, file.line);
	return 0;
}

static void file_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/*
 * The bytes of a regular file of at most CONF_TEXT_MAX. A symbolic link is followed, because admins
 * use them here; O_NONBLOCK keeps a FIFO from holding us up before it is refused.
 */
static int file_read(const char *path, struct buf *b)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	cleanup(file_close) int fd = open(path, flags | O_NOATIME);
	struct stat st;

	if (fd < 0 && errno == EPERM) /* O_NOATIME is for the owner and CAP_FOWNER */
		fd = open(path, flags);

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	for (;;) {
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return buf_error(b);
		buf_add(b, chunk, (size_t)n);
		if (b->len > CONF_TEXT_MAX)
			return -E2BIG;
	}
}

/* What imapd_conf_read hands to itself as the reader of includes. */
static int conf_read_file(struct imapd_conf *conf, const char *path, unsigned depth,
			  const struct log *log, void *ctx)
{
	cleanup(buf_fini) struct buf text = BUF_NULL;
	cleanup(buf_fini) struct buf shown = BUF_NULL;
	int r = file_read(path, &text);

	if (r == 0)
		return imapd_conf_parse(conf, buf_span(&text), path, depth, conf_read_file, log,
					ctx);
	text_add_printable(&shown, span_of_str(path));
	return log_error(log, r, "cannot read %s: %s", buf_str(&shown), strerror(-r));
}

/*
 * True for the options that Cyrus keeps in a table of their own because they end in the name of a
 * partition; in those it does not replace {configdirectory}.
 */
static bool name_is_of_partition(const char *name)
{
	return strstr(name, "partition-") || strncmp(name, "metadir-", 8) == 0;
}

/* Replaces {configdirectory} at the front of values, but for the value that `dir` itself is. */
static int conf_expand(struct imapd_conf *conf, const char *dir)
{
	for (size_t i = 0; i < conf->nr_options; i++) {
		struct imapd_option *option = &conf->options[i];
		cleanup(buf_fini) struct buf value = BUF_NULL;

		if (option->value == dir || option->name[0] == '@' ||
		    name_is_of_partition(option->name) ||
		    strncasecmp(option->value, CONF_DIR, strlen(CONF_DIR)) != 0)
			continue;
		buf_add_str(&value, dir);
		buf_add_str(&value, option->value + strlen(CONF_DIR));
		char *text = buf_take(&value);
		if (!text)
			return -ENOMEM;
		free(option->value);
		option->value = text;
	}
	return 0;
}

int imapd_conf_read(struct imapd_conf *conf, const char *path, const struct log *log)
{
	int r = conf_read_file(conf, path, 0, log, NULL);

	if (r == 0) {
		const char *dir = imapd_conf_get(conf, "configdirectory", NULL);
		if (!dir)
			r = log_error(log, -EBADMSG, "%s: configdirectory is not set", path);
		else if (dir[0] != '/')
			r = log_error(log, -EBADMSG, "%s: configdirectory is not an absolute path",
				      path);
		else if (conf_expand(conf, dir))
			r = log_error(log, -ENOMEM, "%s: out of memory", path);
	}
	if (r)
		imapd_conf_fini(conf);
	return r;
}

const char *imapd_conf_get(const struct imapd_conf *conf, const char *name, const char *fallback)
{
	const struct imapd_option *option = option_find(conf, name);

	return option ? option->value : fallback;
}

int imapd_conf_get_switch(const struct imapd_conf *conf, const char *name, bool fallback,
			  const struct log *log, bool *ret)
{
	const struct imapd_option *option = option_find(conf, name);

	if (!option) {
		*ret = fallback;
		return 0;
	}
	/* Not text_parse_bool: Cyrus reads "frob" as off, and refuses "Yes". */
	const char *v = option->value;
	if (v[0] == '1' || v[0] == 'y' || v[0] == 't' || (v[0] == 'o' && v[1] == 'n'))
		*ret = true;
	else if (v[0] == '0' || v[0] == 'n' || v[0] == 'f' || (v[0] == 'o' && v[1] == 'f'))
		*ret = false;
	else
		return log_error(log, -EBADMSG,
				 "%s:%u: option %s is neither on nor off (lower case counts)",
				 option->file, option->line, option->name);
	return 0;
}

bool imapd_conf_has_word(const struct imapd_conf *conf, const char *name, const char *word)
{
	struct span rest = span_of_str(imapd_conf_get(conf, name, ""));

	for (rest = span_trim(rest); rest.len; rest = span_trim(rest)) {
		uint64_t len = 0;
		while (len < rest.len && !byte_is_space(rest.data[len]))
			len++;
		if (span_equals_str(span_of(rest.data, len), word))
			return true;
		rest = span_of(rest.data + len, rest.len - len);
	}
	return false;
}
