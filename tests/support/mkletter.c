// SPDX-License-Identifier: Apache-2.0
/*
 * The text of a message, made faster than it can be hashed: header lines that tell the messages of
 * a store apart, then a body of random printable characters in lines of 72, so that no two blocks
 * of a store are alike and every bit counts. Lines end in CR LF, as Cyrus stores them.
 */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "support/mkstore_parts.h"

#define WORDS_PER_LINE 9u /* of 8 characters each */
#define LINE_LEN (WORDS_PER_LINE * 8 + 2)

/* Log-normal sizes: the mean is exp(sigma^2 / 2) times the median. */
#define MEDIAN_SIZE 12288.0
#define MEAN_SIZE 26624.0
#define MIN_SIZE UINT64_C(512)
#define MAX_SIZE (UINT64_C(5) << 20)
#define DEFAULT_FIXED_SIZE UINT64_C(2048)

/* Eight characters from '!' to '`': six bits of each random byte, moved past the blank. */
static inline uint64_t draw_word(uint64_t *random)
{
	return (mk_random(random) & UINT64_C(0x3f3f3f3f3f3f3f3f)) + UINT64_C(0x2121212121212121);
}

static void fill_chars(uint8_t *text, uint64_t len, uint64_t *random)
{
	for (; len >= 8; text += 8, len -= 8) {
		uint64_t word = draw_word(random);
		memcpy(text, &word, 8);
	}
	if (len) {
		uint64_t word = draw_word(random);
		memcpy(text, &word, len);
	}
}

static void fill_lines(uint8_t *text, uint64_t len, uint64_t *random)
{
	for (; len > LINE_LEN + 2; text += LINE_LEN, len -= LINE_LEN) {
		fill_chars(text, LINE_LEN - 2, random);
		memcpy(text + LINE_LEN - 2, "\r\n", 2);
	}
	if (len < 2) {
		fill_chars(text, len, random);
		return;
	}
	fill_chars(text, len - 2, random);
	memcpy(text + len - 2, "\r\n", 2);
}

/* The length of the usual header, which is in `out` if it fits there. */
static int print_header(const struct mk_letter *letter, char *out, size_t size)
{
	time_t date = (time_t)letter->date;
	struct tm tm;
	char date_text[64];

	gmtime_r(&date, &tm);
	strftime(date_text, sizeof(date_text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	return snprintf(out, size,
			"From: Sender %llu <sender%llu@example.org>\r\n"
			"To: %.64s <receiver@example.com>\r\n"
			"Subject: Letter %llu\r\n"
			"Date: %s\r\n"
			"Message-ID: <%llu.%016llx@example.org>\r\n"
			"MIME-Version: 1.0\r\n"
			"Content-Type: text/plain; charset=us-ascii\r\n"
			"\r\n",
			(unsigned long long)letter->number % 97,
			(unsigned long long)letter->number % 97, letter->to,
			(unsigned long long)letter->number, date_text,
			(unsigned long long)letter->number, (unsigned long long)letter->seed);
}

void mk_letter_write(const struct mk_letter *letter, uint8_t *text, uint64_t size,
		     uint32_t *ret_header_size)
{
	uint64_t random = letter->seed;
	char header[1024];
	int n = print_header(letter, header, sizeof(header));

	if (n > 0 && (size_t)n < sizeof(header) && (uint64_t)n <= size) {
		memcpy(text, header, (size_t)n);
		fill_lines(text + n, size - (uint64_t)n, &random);
		*ret_header_size = (uint32_t)n;
		return;
	}
	fill_chars(text, size, &random);
	if (size >= 8) {
		memcpy(text, "X: ", 3);
		memcpy(text + size - 4, "\r\n\r\n", 4);
	}
	*ret_header_size = (uint32_t)size;
}

/* Uniform in (0, 1]. */
static double draw_unit(uint64_t *random)
{
	return ((double)(mk_random(random) >> 11) + 1.0) * 0x1.0p-53;
}

uint64_t mk_letter_draw_size(const struct mkstore_options *options, uint64_t *random)
{
	if (options->size == MKSTORE_SIZE_FIXED)
		return options->fixed_size ? options->fixed_size : DEFAULT_FIXED_SIZE;

	/* Box and Muller's way to a normal number from two uniform ones. */
	double radius = sqrt(-2.0 * log(draw_unit(random)));
	double normal = radius * cos(2.0 * M_PI * draw_unit(random));
	double sigma = sqrt(2.0 * log(MEAN_SIZE / MEDIAN_SIZE));
	double size = MEDIAN_SIZE * exp(sigma * normal);

	if (size < (double)MIN_SIZE)
		return MIN_SIZE;
	return size > (double)MAX_SIZE ? MAX_SIZE : (uint64_t)size;
}
