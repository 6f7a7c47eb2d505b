// SPDX-License-Identifier: Apache-2.0
/*
 * syslog() into a file, for a machine without a syslog daemon.
 *
 * Cyrus says everything it has to say, fatal configuration errors too, by syslog and by nothing
 * else. This library is preloaded into every Cyrus process of the lab and appends each message as
 * one line to the file named by ASSAY_LAB_LOG:
 *
 *	2026-01-31T23:59:59.123 imap21-s1/lmtpd[4711] <err> text
 *
 * A line is written with one write() on an O_APPEND descriptor, so lines of different processes
 * never mix. The file is opened and closed for each line: a process that closes all descriptors
 * after a fork keeps logging. Without the variable, messages are dropped.
 *
 * Debian builds with _FORTIFY_SOURCE, which turns calls of syslog() into __syslog_chk(): both
 * families are defined here. errno is left as it was found, and %m works.
 *
 * Built by lab.sh: gcc -shared -fPIC -U_FORTIFY_SOURCE -o syslogshim.so syslogshim.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 8192 };	/* longer messages are cut */

static char log_ident[128] = "?";
static int log_mask = 0xff;

void __syslog_chk(int priority, int flag, const char *format, ...);
void __vsyslog_chk(int priority, int flag, const char *format, va_list ap);

/* Writes "time ident[pid] <level> " and returns its length. */
static size_t shim_put_prefix(char *line, size_t size, int priority)
{
	static const char *const level[] = {
		"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
	};
	struct timeval now;
	struct tm tm;
	size_t len;

	gettimeofday(&now, NULL);
	localtime_r(&now.tv_sec, &tm);
	len = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t)snprintf(line + len, size - len, ".%03d %s[%d] <%s> ",
				(int)(now.tv_usec / 1000), log_ident, (int)getpid(),
				level[LOG_PRI(priority)]);
	return len;
}

/* Appends one line to the log file; whatever fails, the caller must not notice. */
static void shim_append(const char *line, size_t len)
{
	const char *path = getenv("ASSAY_LAB_LOG");
	ssize_t written;
	int fd;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	written = write(fd, line, len);
	(void)written;
	close(fd);
}

void vsyslog(int priority, const char *format, va_list ap)
{
	int saved = errno;
	char line[LINE_MAX_LEN];
	size_t len, room;
	int r;

	if (!(log_mask & LOG_MASK(LOG_PRI(priority))))
		return;
	len = shim_put_prefix(line, sizeof(line), priority);
	room = sizeof(line) - len - 1;	/* one byte stays for the newline */
	errno = saved;			/* for %m */
	r = vsnprintf(line + len, room, format, ap);
	if (r > 0)
		len += (size_t)r < room ? (size_t)r : room - 1;
	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\n')
			line[i] = ' ';
	}
	line[len++] = '\n';
	shim_append(line, len);
	errno = saved;
}

void syslog(int priority, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsyslog(priority, format, ap);
	va_end(ap);
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list ap)
{
	(void)flag;
	vsyslog(priority, format, ap);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, format);
	vsyslog(priority, format, ap);
	va_end(ap);
}

void openlog(const char *ident, int option, int facility)
{
	(void)option;
	(void)facility;
	if (ident)
		snprintf(log_ident, sizeof(log_ident), "%s", ident);
}

void closelog(void)
{
}

int setlogmask(int mask)
{
	int old = log_mask;

	if (mask)
		log_mask = mask;
	return old;
}
