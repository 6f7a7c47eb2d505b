// SPDX-License-Identifier: Apache-2.0
/*
 * rss: runs a command and says how much memory it took at most.
 *
 *	rss FILE COMMAND [ARGUMENT...]
 *
 * Writes the peak resident set size of the command and everything it waited for, in KiB, as one
 * line to FILE, and exits with the command's status (128 + signal when it was killed, 127 when it
 * could not be run). It measures by wait4, so it needs no tool that a bare system lacks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 3) {
		fputs("usage: rss FILE COMMAND [ARGUMENT...]\n", stderr);
		return 127;
	}
	FILE *out = fopen(argv[1], "we");
	if (!out) {
		fprintf(stderr, "rss: %s: %s\n", argv[1], strerror(errno));
		return 127;
	}
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		fprintf(stderr, "rss: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		fprintf(stderr, "rss: %s\n", strerror(errno));
		return 127;
	}
	fprintf(out, "%ld\n", usage.ru_maxrss);
	if (fclose(out)) {
		fprintf(stderr, "rss: %s: %s\n", argv[1], strerror(errno));
		return 127;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
