/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatting and parsing of the small things. Everything that prints a number with a unit or a
 * name from a disk goes through here, so that all output looks the same and no name can smuggle
 * control characters to a terminal.
 */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"

void text_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_parse_hex(struct span hex, uint8_t *out, size_t len)
{
	if (hex.len != 2 * len)
		return -EBADMSG;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(hex.data[2 * i]), low = hex_value(hex.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return -EBADMSG;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static const struct unit {
	const char *name;
	int64_t ns;
} units[] = {
	{ "d", 86400 * NS_PER_S },
	{ "h", 3600 * NS_PER_S },
	{ "min", 60 * NS_PER_S },
	{ "s", NS_PER_S },
	{ "ms", NS_PER_MS },
};

char *text_duration(int64_t ns, char *out, size_t size)
{
	for (size_t i = 0; i < array_size(units); i++) {
		const struct unit *u = &units[i];
		if (ns < u->ns)
			continue;
		int64_t count = ns / u->ns, rest = ns % u->ns;
		/* Seconds and below stand alone: nobody needs "41 s 210 ms". */
		if (i < 3 && rest / units[i + 1].ns > 0)
			(void)snprintf(out, size, "%" PRId64 " %s %" PRId64 " %s", count, u->name,
				       rest / units[i + 1].ns, units[i + 1].name);
		else
			(void)snprintf(out, size, "%" PRId64 " %s", count, u->name);
		return out;
	}
	(void)snprintf(out, size, "0 ms");
	return out;
}

char *text_bytes(uint64_t bytes, char *out, size_t size)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t i = 0;
	double value = (double)bytes;

	while (value >= 1024 && i + 1 < array_size(names)) {
		value /= 1024;
		i++;
	}
	(void)snprintf(out, size, i ? "%.1f %s" : "%.0f %s", value, names[i]);
	return out;
}

char *text_count(uint64_t count, char *out, size_t size)
{
	char digits[32];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	size_t pos = 0;

	if (size == 0)
		return out;
	for (int i = 0; i < len && pos + 1 < size; i++) {
		if (i && (len - i) % 3 == 0 && pos + 2 < size)
			out[pos++] = ',';
		out[pos++] = digits[i];
	}
	out[pos] = '\0';
	return out;
}

char *text_counted(uint64_t count, const char *noun, char *out, size_t size)
{
	char digits[32];

	(void)snprintf(out, size, "%s %s%s", text_count(count, digits, sizeof(digits)), noun,
		       count == 1 ? "" : "s");
	return out;
}

char *text_time(int64_t wall_ns, char *out, size_t size)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;

	if (wall_ns == 0)
		(void)snprintf(out, size, "never");
	else if (!gmtime_r(&seconds, &tm) || !strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		(void)snprintf(out, size, "unknown");
	return out;
}

int text_parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct unit names[] = {
		{ "", NS_PER_S },	    { "ns", 1 },
		{ "us", 1000 },		    { "ms", NS_PER_MS },
		{ "s", NS_PER_S },	    { "sec", NS_PER_S },
		{ "m", 60 * NS_PER_S },	    { "min", 60 * NS_PER_S },
		{ "h", 3600 * NS_PER_S },   { "d", 86400 * NS_PER_S },
		{ "w", 604800 * NS_PER_S },
	};
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno)
		return -ERANGE;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < array_size(names); i++) {
		if (strcmp(end, names[i].name) != 0)
			continue;
		return __builtin_mul_overflow(value, names[i].ns, ret_ns) ? -ERANGE : 0;
	}
	return -EINVAL;
}

/* A date, and a time if there is one. The end of it, or NULL. */
static const char *parse_date(const char *text, struct tm *tm)
{
	static const char *const times[] = { "%H:%M:%S", "%H:%M" };
	const char *end = strptime(text, "%Y-%m-%d", tm);

	if (!end || (*end != 'T' && *end != ' '))
		return end;
	for (size_t i = 0; i < array_size(times); i++) {
		const char *behind = strptime(end + 1, times[i], tm);
		if (behind)
			return behind;
	}
	return NULL;
}

int text_parse_moment(const char *text, int64_t now_ns, int64_t *ret_ns)
{
	struct tm tm = { .tm_isdst = -1 };
	int64_t ago, moment;

	if (text_parse_duration(text, &ago) == 0 && strspn(text, "0123456789") < strlen(text)) {
		moment = now_ns - ago;
	} else {
		const char *end = parse_date(text, &tm);
		bool utc = end && *end == 'Z';
		if (!end || end[utc] != '\0')
			return -EINVAL;
		moment = (int64_t)(utc ? timegm(&tm) : mktime(&tm)) * NS_PER_S;
	}
	if (moment <= 0 || moment > now_ns)
		return -EINVAL;
	*ret_ns = moment;
	return 0;
}

int text_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	static const char letters[] = "KMGT";
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	while (*end == ' ')
		end++;
	const char *unit = *end ? strchr(letters, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - letters + 1);
		end++;
	}
	if (*end && strcmp(end, unit ? "iB" : "B") != 0)
		return -EINVAL;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}

int text_parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "y", "t" };
	static const char *const no[] = { "no", "false", "off", "0", "n", "f" };

	for (size_t i = 0; i < array_size(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcasecmp(text, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

/* Length of the well-formed UTF-8 sequence at `off` (RFC 3629), 0 when there is none. */
static uint64_t utf8_len(struct span s, uint64_t off)
{
	uint8_t c = s.data[off];
	uint64_t len = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3
		       : c >= 0xf0 && c <= 0xf4		     ? 4
							     : 0;

	if (len == 0 || len > s.len - off)
		return 0;
	for (uint64_t i = 1; i < len; i++)
		if ((s.data[off + i] & 0xc0) != 0x80)
			return 0;
	uint8_t second = len > 1 ? s.data[off + 1] : 0;
	if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
	    (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
		return 0;
	return len;
}

bool text_is_utf8(struct span s)
{
	for (uint64_t off = 0; off < s.len;) {
		uint64_t len = utf8_len(s, off);
		if (len == 0 || s.data[off] == 0)
			return false;
		off += len;
	}
	return true;
}

void text_add_printable(struct buf *b, struct span s)
{
	for (uint64_t off = 0; off < s.len;) {
		uint8_t c = s.data[off];
		uint64_t len = utf8_len(s, off);
		/* C1 controls (U+0080-9F) move a terminal's cursor as well as C0 does. */
		bool c1 = len == 2 && c == 0xc2 && s.data[off + 1] < 0xa0;
		if (c == '\\') {
			buf_add_str(b, "\\\\");
			off++;
		} else if (len == 0 || c < 0x20 || c == 0x7f || c1) {
			buf_addf(b, "\\x%02x", c);
			if (c1)
				buf_addf(b, "\\x%02x", s.data[off + 1]);
			off += c1 ? 2 : 1;
		} else {
			buf_add(b, s.data + off, len);
			off += len;
		}
	}
}

void text_add_base64(struct buf *b, struct span s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (uint64_t off = 0; off < s.len; off += 3) {
		uint64_t left = s.len - off;
		uint32_t word = (uint32_t)s.data[off] << 16;
		if (left > 1)
			word |= (uint32_t)s.data[off + 1] << 8;
		if (left > 2)
			word |= s.data[off + 2];
		buf_add_char(b, digits[word >> 18]);
		buf_add_char(b, digits[word >> 12 & 63]);
		buf_add_char(b, left > 1 ? digits[word >> 6 & 63] : '=');
		buf_add_char(b, left > 2 ? digits[word & 63] : '=');
	}
}
