/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people and programs: numbers with units, ages, hex, names with any bytes made
 * printable. Pure functions; results go into the caller's buffer and are cut to fit.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

/* Lower-case hex of `len` bytes into `out`, which holds 2 * len + 1 bytes. */
void text_hex(const uint8_t *data, size_t len, char *out);

/* Parses exactly `len` bytes of hex. -EBADMSG for a wrong length or character. */
int text_parse_hex(struct span hex, uint8_t *out, size_t len) must_check;

/* "3 d 4 h", "41 s", "38 ms": the two largest units that matter. Negative becomes "0 ms". */
char *text_duration(int64_t ns, char *out, size_t size);

/* "412.3 GiB", "17 B". */
char *text_bytes(uint64_t bytes, char *out, size_t size);

/* "1,234,567". */
char *text_count(uint64_t count, char *out, size_t size);

/* "1 event", "1,234 events": a count with its noun, made plural by an s. */
char *text_counted(uint64_t count, const char *noun, char *out, size_t size);

/* "2026-11-23T04:31:07Z" for nanoseconds since the epoch; "never" for 0. */
char *text_time(int64_t wall_ns, char *out, size_t size);

/*
 * A duration written as a number and a unit: ns us ms s sec min h d w ("5min", "36h", "1.5 h" is
 * not accepted: whole numbers only). A plain number counts seconds. -EINVAL otherwise, -ERANGE
 * when it does not fit.
 */
int text_parse_duration(const char *text, int64_t *ret_ns) must_check;

/*
 * A moment: a duration before `now_ns` ("2h"), or a date with or without a time, in UTC if a Z ends
 * it, else in local time ("2026-11-23", "2026-11-23T04:31", "2026-11-23 04:31:07Z"). -EINVAL
 * otherwise, and for what lies before the epoch or behind `now_ns`.
 */
int text_parse_moment(const char *text, int64_t now_ns, int64_t *ret_ns) must_check;

/*
 * A number of bytes written as a whole number and a unit: none or B, K, KiB, M, MiB, G, GiB, T,
 * TiB, powers of 1,024 all. -EINVAL otherwise, -ERANGE when it does not fit.
 */
int text_parse_bytes(const char *text, uint64_t *ret_bytes) must_check;

/* yes/no, true/false, on/off, 1/0, without regard to case. -EINVAL otherwise. */
int text_parse_bool(const char *text, bool *ret) must_check;

/* True when the bytes are well-formed UTF-8 without NUL. */
bool text_is_utf8(struct span s);

/* Appends `s` with control bytes and malformed UTF-8 as \xNN and the backslash doubled. */
void text_add_printable(struct buf *b, struct span s);

/* Appends standard base64 with padding. */
void text_add_base64(struct buf *b, struct span s);

#endif
