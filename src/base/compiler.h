/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few compiler attributes and macros that every layer uses.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

/* The result may not be dropped: it says whether the call did its work. */
#define must_check __attribute__((warn_unused_result))

/* Checks a printf-like function: `fmt` and `first` are 1-based argument positions. */
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))

/* Runs `fn(&variable)` when the variable goes out of scope. */
#define cleanup(fn) __attribute__((cleanup(fn)))

/* Visible outside libassay; everything else is hidden by default. */
#define exported __attribute__((visibility("default")))

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

#define min_of(a, b) ((a) < (b) ? (a) : (b))
#define max_of(a, b) ((a) > (b) ? (a) : (b))

/* Hands a pointer over: yields its value and leaves NULL behind, so that cleanup does nothing. */
#define take(p) ({ __typeof__(p) taken_ = (p); (p) = NULL; taken_; })

#endif
