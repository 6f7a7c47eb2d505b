// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes imapd.conf: texts separated by a byte 0xFF, of which the first is read and the others are
 * what it may include, as "1" to "9". What comes out is sorted, trimmed and without duplicates,
 * and written out plainly it reads back the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "format/cyrus/imapd_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct span text_number(struct span all, unsigned n)
{
	for (;;) {
		uint64_t len = span_find(all, 0xff);
		if (n-- == 0)
			return span_of(all.data, len);
		if (len == all.len)
			return SPAN_NULL;
		all = span_of(all.data + len + 1, all.len - len - 1);
	}
}

static int include(struct imapd_conf *conf, const char *path, unsigned depth, const struct log *log,
		   void *ctx)
{
	require(depth <= 17);
	if (path[0] < '1' || path[0] > '9' || path[1] != '\0')
		return -ENOENT;
	return imapd_conf_parse(conf, text_number(*(struct span *)ctx, (unsigned)(path[0] - '0')),
				path, depth, include, log, ctx);
}

static void check_option(const struct imapd_conf *conf, const struct imapd_option *option)
{
	size_t len = strlen(option->value);
	bool on;

	require(option->name[0] != '\0' && len > 0 && option->line > 0 && option->file[0] != '\0');
	for (const char *p = option->name; *p; p++)
		require((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
			*p == '_' || (*p == '@' && p == option->name));
	require(!strchr(" \t\r\n\v\f", option->value[0]));
	require(!strchr(" \t\r\n\v\f", option->value[len - 1]) && !strchr(option->value, '\n'));
	if (strcmp(option->name, "@include") == 0)
		return;
	require(option->name[0] != '@');
	require(imapd_conf_get(conf, option->name, NULL) == option->value);
	int r = imapd_conf_get_switch(conf, option->name, false, NULL, &on);
	require(r == 0 || r == -EBADMSG);
	if (!strpbrk(option->value, " \t\r\n\v\f"))
		require(imapd_conf_has_word(conf, option->name, option->value));
}

/* Writes the options out and reads them back. */
static void check_again(const struct imapd_conf *conf)
{
	struct imapd_conf again = IMAPD_CONF_NULL;
	struct buf text = BUF_NULL;

	for (size_t i = 0; i < conf->nr_options; i++) {
		const struct imapd_option *option = &conf->options[i];
		/* A space keeps a last backslash from joining the next line. */
		if (option->name[0] != '@')
			buf_addf(&text, "%s: %s \n", option->name, option->value);
	}
	require(imapd_conf_parse(&again, buf_span(&text), "again", 0, NULL, NULL, NULL) == 0);
	for (size_t i = 0; i < again.nr_options; i++) {
		const char *name = again.options[i].name;
		require(strcmp(again.options[i].value, imapd_conf_get(conf, name, "")) == 0);
	}
	for (size_t i = 0; i < conf->nr_options; i++)
		require(conf->options[i].name[0] == '@' ||
			imapd_conf_get(&again, conf->options[i].name, NULL));
	imapd_conf_fini(&again);
	buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = span_of(data, size);
	struct imapd_conf conf = IMAPD_CONF_NULL;
	int r = imapd_conf_parse(&conf, text_number(all, 0), "0", 0, include, NULL, &all);

	require(r == 0 || r == -EBADMSG || r == -ELOOP || r == -EEXIST || r == -E2BIG ||
		r == -ENOENT);
	for (size_t i = 0; i < conf.nr_options; i++) {
		check_option(&conf, &conf.options[i]);
		if (i > 0) {
			int order = strcmp(conf.options[i - 1].name, conf.options[i].name);
			require(order < 0 || (order == 0 && conf.options[i].name[0] == '@'));
		}
	}
	check_again(&conf);
	imapd_conf_fini(&conf);
	return 0;
}
