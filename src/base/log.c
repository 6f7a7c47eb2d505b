/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats into a fixed buffer: a message that does not fit is cut, never lost, and logging never
 * allocates.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static void log_emit(const struct log *log, enum log_level level, const char *fmt, va_list args)
{
	char text[2048];

	if (!log || !log->fn || level > log->level)
		return;
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		return;
	log->fn(level, text, log->ctx);
}

int log_error(const struct log *log, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_emit(log, LOG_LEVEL_ERROR, fmt, args);
	va_end(args);
	return error;
}

#define DEFINE_LOG(name, level)                                                                    \
	void name(const struct log *log, const char *fmt, ...)                                     \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, fmt);                                                               \
		log_emit(log, level, fmt, args);                                                   \
		va_end(args);                                                                      \
	}

DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

void log_to_stderr(enum log_level level, const char *text, void *ctx)
{
	static const char *const prefix[LOG_LEVEL_COUNT_] = {
		[LOG_LEVEL_ERROR] = "",
		[LOG_LEVEL_WARNING] = "warning: ",
		[LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_DEBUG] = "debug: ",
	};

	(void)ctx;
	(void)fprintf(stderr, "assay: %s%s\n", prefix[level], text);
}
