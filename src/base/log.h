/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log is where messages for people go. There is no global log: a `struct log` is passed down, and
 * the one place that knows the name of an object says once what went wrong with it; layers below
 * return the error, layers above pass it on. Messages say what, where, why, and what to do.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/compiler.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT_,
};

/* Receives one message without a newline; `text` is borrowed for the call. */
typedef void (*log_fn)(enum log_level level, const char *text, void *ctx);

struct log {
	log_fn fn;	      /* NULL drops every message */
	void *ctx;	      /* handed to fn */
	enum log_level level; /* messages above this level are dropped */
};

/*
 * Says a message and returns `error` unchanged, so that `return log_error(log, r, ...)` is one
 * line. `log` may be NULL. Thread-safe if its fn is.
 */
int log_error(const struct log *log, int error, const char *fmt, ...) printf_like(3, 4);
void log_warning(const struct log *log, const char *fmt, ...) printf_like(2, 3);
void log_info(const struct log *log, const char *fmt, ...) printf_like(2, 3);
void log_debug(const struct log *log, const char *fmt, ...) printf_like(2, 3);

/* A log_fn that writes one line to stderr, prefixed "assay: ". */
void log_to_stderr(enum log_level level, const char *text, void *ctx);

#endif
