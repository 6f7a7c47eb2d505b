// SPDX-License-Identifier: Apache-2.0
/*
 * Text: what people read has units and no control characters, and what people write is understood
 * or refused, never guessed.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>

#include "base/clock.h"
#include "base/text.h"

#define S NS_PER_S
#define MIN (60 * S)
#define H (3600 * S)
#define D (86400 * S)

static void writes_and_reads_hex(void)
{
	static const uint8_t bytes[] = { 0x00, 0x7f, 0x80, 0xab, 0xff };
	uint8_t back[5];
	char hex[11];

	text_hex(bytes, sizeof(bytes), hex);
	CU_ASSERT_STRING_EQUAL(hex, "007f80abff");
	CU_ASSERT_EQUAL(text_parse_hex(span_of_str(hex), back, 5), 0);
	CU_ASSERT_EQUAL(memcmp(back, bytes, 5), 0);
	CU_ASSERT_EQUAL(text_parse_hex(span_of_str("007F80aBFf"), back, 5), 0);
	CU_ASSERT_EQUAL(memcmp(back, bytes, 5), 0);
	text_hex(NULL, 0, hex);
	CU_ASSERT_STRING_EQUAL(hex, "");
	CU_ASSERT_EQUAL(text_parse_hex(SPAN_NULL, back, 0), 0);
}

static void refuses_hex_that_is_not_exact(void)
{
	static const char *const wrong[] = {
		"",	"0",	"012",	"01234", "012g", "01 2",
		"0x12", "+123", "012/", "012:",	 "012@", "012`",
	};
	uint8_t out[2];

	for (size_t i = 0; i < array_size(wrong); i++)
		CU_ASSERT_EQUAL(text_parse_hex(span_of_str(wrong[i]), out, 2), -EBADMSG);
	CU_ASSERT_EQUAL(text_parse_hex(span_of("01\0002", 4), out, 2), -EBADMSG);
}

static void writes_durations_in_the_two_units_that_matter(void)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ INT64_MIN, "0 ms" },
		{ -1, "0 ms" },
		{ 0, "0 ms" },
		{ NS_PER_MS - 1, "0 ms" },
		{ NS_PER_MS, "1 ms" },
		{ 38 * NS_PER_MS, "38 ms" },
		{ S - 1, "999 ms" },
		{ S, "1 s" },
		{ 41 * S + 210 * NS_PER_MS, "41 s" },
		{ MIN - 1, "59 s" },
		{ MIN, "1 min" },
		{ MIN + S, "1 min 1 s" },
		{ H - 1, "59 min 59 s" },
		{ H, "1 h" },
		{ H + 59 * S, "1 h" },
		{ H + MIN, "1 h 1 min" },
		{ D, "1 d" },
		{ D + 59 * MIN, "1 d" },
		{ 3 * D + 4 * H + 30 * MIN, "3 d 4 h" },
		{ INT64_MAX, "106751 d 23 h" },
	};
	char buf[64];

	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_STRING_EQUAL(text_duration(cases[i].ns, buf, sizeof(buf)), cases[i].text);
}

static void writes_bytes_with_a_binary_unit(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 17, "17 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ UINT64_C(1) << 20, "1.0 MiB" },
		{ UINT64_C(442703806464), "412.3 GiB" },
		{ UINT64_C(1) << 40, "1.0 TiB" },
		{ UINT64_C(1) << 50, "1.0 PiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buf[64];

	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_STRING_EQUAL(text_bytes(cases[i].bytes, buf, sizeof(buf)), cases[i].text);
}

static void groups_counts_by_thousands(void)
{
	static const struct {
		uint64_t count;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 999, "999" },
		{ 1000, "1,000" },
		{ 18422, "18,422" },
		{ 999999, "999,999" },
		{ 1234567, "1,234,567" },
		{ UINT64_MAX, "18,446,744,073,709,551,615" },
	};
	char buf[64];

	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_STRING_EQUAL(text_count(cases[i].count, buf, sizeof(buf)), cases[i].text);
}

/* A buffer may be too small: the text is cut, ends with a NUL, and nothing behind it is touched. */
static void cuts_what_does_not_fit(void)
{
	for (size_t size = 1; size <= 12; size++) {
		char buf[32];
		size_t wrong = 0;
		memset(buf, '#', sizeof(buf));
		text_count(1234567, buf, size);
		wrong += strnlen(buf, size) >= size || buf[size] != '#';
		memset(buf, '#', sizeof(buf));
		text_duration(3 * D + 4 * H, buf, size);
		wrong += strnlen(buf, size) >= size || buf[size] != '#';
		memset(buf, '#', sizeof(buf));
		text_bytes(UINT64_MAX, buf, size);
		wrong += strnlen(buf, size) >= size || buf[size] != '#';
		memset(buf, '#', sizeof(buf));
		text_time(1, buf, size);
		wrong += strnlen(buf, size) >= size || buf[size] != '#';
		CU_ASSERT_EQUAL(wrong, 0);
	}
}

static void writes_times_in_utc(void)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "never" },
		{ 1, "1970-01-01T00:00:00Z" },
		{ 951782400 * S, "2000-02-29T00:00:00Z" },
		{ 1795408267 * S + 999999999, "2026-11-23T04:31:07Z" },
		{ 4102444800 * S, "2100-01-01T00:00:00Z" },
	};
	char buf[64];

	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_STRING_EQUAL(text_time(cases[i].ns, buf, sizeof(buf)), cases[i].text);
}

static void reads_durations_with_any_unit(void)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{ "0", 0 },
		{ "7", 7 * S },
		{ "1ns", 1 },
		{ "3us", 3000 },
		{ "20ms", 20 * NS_PER_MS },
		{ "2s", 2 * S },
		{ "2sec", 2 * S },
		{ "5m", 5 * MIN },
		{ "5min", 5 * MIN },
		{ "36h", 36 * H },
		{ "1d", D },
		{ "2w", 14 * D },
		{ "5 min", 5 * MIN },
		{ "9223372036854775807ns", INT64_MAX },
		{ "9223372036", 9223372036 * S },
		{ "5 ", 5 * S },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		int64_t ns = -1;
		CU_ASSERT_EQUAL(text_parse_duration(cases[i].text, &ns), 0);
		CU_ASSERT_EQUAL(ns, cases[i].ns);
	}
}

static void refuses_durations_it_would_have_to_guess(void)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "", -EINVAL },
		{ "min", -EINVAL },
		{ "-5", -EINVAL },
		{ "+5", -EINVAL },
		{ " 5", -EINVAL },
		{ "1.5h", -EINVAL },
		{ "1.5 h", -EINVAL },
		{ "5mins", -EINVAL },
		{ "5 M", -EINVAL },
		{ "5H", -EINVAL },
		{ "5h30min", -EINVAL },
		{ "0x10", -EINVAL },
		{ "5min ", -EINVAL },
		{ "5\tmin", -EINVAL },
		{ "9223372037", -ERANGE },
		{ "9223372036854775807s", -ERANGE },
		{ "9223372036854775808ns", -ERANGE },
		{ "15251w", -ERANGE },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		int64_t ns;
		CU_ASSERT_EQUAL(text_parse_duration(cases[i].text, &ns), cases[i].r);
	}
}

static void reads_moments_that_have_been(void)
{
	static const int64_t now = INT64_C(1795500000) * NS_PER_S; /* 2026-11-24 */
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{ "2h", 1795500000 - 7200 },
		{ "90 s", 1795500000 - 90 },
		{ "1d", 1795500000 - 86400 },
		{ "2023-11-14T22:13:20Z", 1700000000 },
		{ "2023-11-14 22:13:20Z", 1700000000 },
		{ "2023-11-14T22:13Z", 1699999980 },
		{ "2023-11-14Z", 1699920000 },
	};
	static const char *const refused[] = {
		"", "now", "5", "2h ago", "2099-01-01Z", "1960-01-01Z", "2023-13-01Z", "2023-11-14T25:00Z",
		"2023-11-14T22:13:20ZZ", "2023-11-14T", "99999w", "2023-11-14T22",
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		int64_t ns = -1;
		CU_ASSERT_EQUAL(text_parse_moment(cases[i].text, now, &ns), 0);
		CU_ASSERT_EQUAL(ns, cases[i].seconds * NS_PER_S);
	}
	for (size_t i = 0; i < array_size(refused); i++) {
		int64_t ns = -1;
		CU_ASSERT_EQUAL(text_parse_moment(refused[i], now, &ns), -EINVAL);
		CU_ASSERT_EQUAL(ns, -1);
	}
}

static void reads_bytes_with_any_unit(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "512B", 512 },
		{ "512 B", 512 },
		{ "1K", 1024 },
		{ "1KiB", 1024 },
		{ "4 KiB", 4096 },
		{ "100M", UINT64_C(100) << 20 },
		{ "100MiB", UINT64_C(100) << 20 },
		{ "3G", UINT64_C(3) << 30 },
		{ "2TiB", UINT64_C(2) << 40 },
		{ "007", 7 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", UINT64_C(16777215) << 40 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint64_t bytes = 99;
		CU_ASSERT_EQUAL(text_parse_bytes(cases[i].text, &bytes), 0);
		CU_ASSERT_EQUAL(bytes, cases[i].bytes);
	}
}

static void refuses_bytes_it_would_have_to_guess(void)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "", -EINVAL },      { "M", -EINVAL },	     { "-5", -EINVAL },
		{ "+5", -EINVAL },    { " 5", -EINVAL },     { "1.5M", -EINVAL },
		{ "100k", -EINVAL },  { "100m", -EINVAL },   { "100MB", -EINVAL },
		{ "100Mi", -EINVAL }, { "100MiBs", -EINVAL }, { "100M/s", -EINVAL },
		{ "100 M ", -EINVAL }, { "100BB", -EINVAL }, { "100iB", -EINVAL },
		{ "0x10", -EINVAL },  { "1M1", -EINVAL },    { "1P", -EINVAL },
		{ "5\tM", -EINVAL },
		{ "18446744073709551616", -ERANGE },
		{ "16777216T", -ERANGE },
		{ "18014398509481984K", -ERANGE },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint64_t bytes;
		CU_ASSERT_EQUAL(text_parse_bytes(cases[i].text, &bytes), cases[i].r);
	}
}

static void reads_yes_and_no_in_their_usual_spellings(void)
{
	static const char *const yes[] = { "yes", "YES", "Yes", "true", "True", "on", "ON", "1" };
	static const char *const no[] = { "no", "NO", "No", "false", "False", "off", "OFF", "0" };
	static const char *const neither[] = { "", "2", "yes ", " no", "maybe", "enabled", "10" };

	for (size_t i = 0; i < array_size(yes); i++) {
		bool value = false;
		CU_ASSERT_EQUAL(text_parse_bool(yes[i], &value), 0);
		CU_ASSERT_TRUE(value);
	}
	for (size_t i = 0; i < array_size(no); i++) {
		bool value = true;
		CU_ASSERT_EQUAL(text_parse_bool(no[i], &value), 0);
		CU_ASSERT_FALSE(value);
	}
	for (size_t i = 0; i < array_size(neither); i++) {
		bool value;
		CU_ASSERT_EQUAL(text_parse_bool(neither[i], &value), -EINVAL);
	}
}

static void knows_utf8_by_its_definition(void)
{
	static const struct {
		const char *bytes;
		bool good;
	} cases[] = {
		{ "", true },
		{ "plain", true },
		{ "\x7f", true },
		{ "\xc2\x80", true },	      /* the first of two bytes */
		{ "\xdf\xbf", true },	      /* the last of two bytes */
		{ "\xe0\xa0\x80", true },     /* the first of three */
		{ "\xed\x9f\xbf", true },     /* the last before the surrogates */
		{ "\xee\x80\x80", true },     /* the first behind them */
		{ "\xef\xbf\xbf", true },     /* the last of three */
		{ "\xf0\x90\x80\x80", true }, /* the first of four */
		{ "\xf4\x8f\xbf\xbf", true }, /* U+10FFFF */
		{ "a\xc3\xa4o", true },
		{ "\x80", false },	       /* a lone continuation */
		{ "\xc0\x80", false },	       /* a NUL in disguise */
		{ "\xc1\xbf", false },	       /* overlong */
		{ "\xe0\x9f\xbf", false },     /* overlong */
		{ "\xf0\x8f\xbf\xbf", false }, /* overlong */
		{ "\xed\xa0\x80", false },     /* a surrogate */
		{ "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "\xc3", false }, /* cut */
		{ "\xe2\x82", false },
		{ "\xf0\x9f\x98", false },
		{ "\xc3(", false }, /* no continuation */
		{ "\xe2\x28\xa1", false },
		{ "ok\xfe", false },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		CU_ASSERT_EQUAL(text_is_utf8(span_of_str(cases[i].bytes)), cases[i].good);
	CU_ASSERT_FALSE(text_is_utf8(span_of("a\0b", 3)));
}

static void makes_any_bytes_printable(void)
{
	static const struct {
		const char *bytes;
		uint64_t len;
		const char *text;
	} cases[] = {
		{ "", 0, "" },
		{ "user.u001", 9, "user.u001" },
		{ "a\\b", 3, "a\\\\b" },
		{ "a\nb", 3, "a\\x0ab" },
		{ "a\0b", 3, "a\\x00b" },
		{ "\x1b[2J", 4, "\\x1b[2J" },
		{ "\x7f", 1, "\\x7f" },
		{ "\xc3\xa4", 2, "\xc3\xa4" },
		{ "\xc2\x9b", 2, "\\xc2\\x9b" },
		{ "\xc2\xa0", 2, "\xc2\xa0" },
		{ "\xe2\x82\xac", 3, "\xe2\x82\xac" },
		{ "\xe2\x82", 2, "\\xe2\\x82" },
		{ "\xff\xfe", 2, "\\xff\\xfe" },
		{ "\xc3", 1, "\\xc3" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct buf b = BUF_NULL;
		text_add_printable(&b, span_of(cases[i].bytes, cases[i].len));
		CU_ASSERT_STRING_EQUAL(buf_str(&b), cases[i].text);
		buf_fini(&b);
	}
}

/* No byte, wherever it stands, reaches a terminal as a control character or as broken UTF-8. */
static void lets_no_pair_of_bytes_through_unprintable(void)
{
	struct buf b = BUF_NULL;
	size_t wrong = 0;

	for (unsigned pair = 0; pair < 65536; pair++) {
		uint8_t bytes[2] = { (uint8_t)(pair >> 8), (uint8_t)pair };
		buf_clear(&b);
		text_add_printable(&b, span_of(bytes, 2));
		wrong += !text_is_utf8(buf_span(&b));
		for (size_t i = 0; i < b.len; i++)
			wrong += (uint8_t)b.data[i] < 0x20 || b.data[i] == 0x7f;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(buf_error(&b), 0);
	buf_fini(&b);
}

/* The vectors of RFC 4648, section 10, and all values of a byte. */
static void writes_base64_as_the_standard_shows(void)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbf", "+/+/" },
		{ "\xff\xff\xff", "////" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct buf b = BUF_NULL;
		text_add_base64(&b, span_of_str(cases[i].bytes));
		CU_ASSERT_STRING_EQUAL(buf_str(&b), cases[i].text);
		buf_fini(&b);
	}
}

static const struct test_case cases[] = {
	{ "writes_and_reads_hex", writes_and_reads_hex },
	{ "refuses_hex_that_is_not_exact", refuses_hex_that_is_not_exact },
	{ "writes_durations_in_the_two_units_that_matter",
	  writes_durations_in_the_two_units_that_matter },
	{ "writes_bytes_with_a_binary_unit", writes_bytes_with_a_binary_unit },
	{ "groups_counts_by_thousands", groups_counts_by_thousands },
	{ "cuts_what_does_not_fit", cuts_what_does_not_fit },
	{ "writes_times_in_utc", writes_times_in_utc },
	{ "reads_durations_with_any_unit", reads_durations_with_any_unit },
	{ "refuses_durations_it_would_have_to_guess", refuses_durations_it_would_have_to_guess },
	CASE(reads_moments_that_have_been),
	CASE(reads_bytes_with_any_unit),
	CASE(refuses_bytes_it_would_have_to_guess),
	{ "reads_yes_and_no_in_their_usual_spellings", reads_yes_and_no_in_their_usual_spellings },
	{ "knows_utf8_by_its_definition", knows_utf8_by_its_definition },
	{ "makes_any_bytes_printable", makes_any_bytes_printable },
	{ "lets_no_pair_of_bytes_through_unprintable", lets_no_pair_of_bytes_through_unprintable },
	{ "writes_base64_as_the_standard_shows", writes_base64_as_the_standard_shows },
};

const struct test_suite suite_base_text = { "base/text", cases, array_size(cases) };
