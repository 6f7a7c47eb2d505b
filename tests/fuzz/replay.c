// SPDX-License-Identifier: Apache-2.0
/*
 * Replays a fuzz corpus as an ordinary test: replay NAME DIR
 *
 * Linked with one fuzz target, it hands it every file of DIR, every prefix of it, and a fixed set
 * of single-byte changes, so that what fuzzing once found stays found under any compiler and any
 * sanitizer, without libFuzzer. The same corpus gives the same inputs, in the same order.
 *
 * Each input is a heap block of exactly its length, so that a sanitizer sees a read of one byte too
 * many. The inputs of one corpus run in a child; the page it shares with its parent holds the input
 * that runs, which therefore survives the crash and is written to PROGRAM.crash. Prints one result
 * line and exits 0, or 1 when anything failed; a corpus without files fails.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MAX_FILE = 1 << 20,  /* bytes; the corpus is small files */
	MAX_POSITIONS = 512, /* of one file: prefixes, and bytes changed */
	TIMEOUT_S = 20,	     /* for all inputs of one file */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the child is doing. */
struct progress {
	unsigned long files, inputs;
	bool done;
	char what[512]; /* the running input, for people */
	size_t len;
	uint8_t input[MAX_FILE];
};

static struct progress *progress;

static void input_run(const uint8_t *data, size_t len)
{
	uint8_t *copy = len ? malloc(len) : NULL;

	if (!copy && len)
		abort();
	if (len) {
		memcpy(copy, data, len);
		memcpy(progress->input, data, len);
	}
	progress->len = len;
	progress->inputs++;
	/* libFuzzer, too, hands over a pointer that is not NULL when there are no bytes. */
	(void)LLVMFuzzerTestOneInput(copy ? copy : (const uint8_t *)"", len);
	free(copy);
}

static void name_input(const char *file, const char *kind, size_t off)
{
	(void)snprintf(progress->what, sizeof(progress->what), "%.300s, %s %zu", file, kind, off);
}

/* Runs one file, its prefixes and its changed copies. `data` comes back unchanged. */
static void file_run(const char *file, uint8_t *data, size_t len)
{
	static const struct {
		const char *name;
		uint8_t keep, flip; /* new byte = (old & keep) ^ flip */
	} changes[] = {
		{ "lowest bit flipped at", 0xff, 0x01 }, { "highest bit flipped at", 0xff, 0x80 },
		{ "byte zeroed at", 0x00, 0x00 },	 { "byte set to 255 at", 0x00, 0xff },
		{ "byte set to a quote at", 0x00, '"' },
	};
	size_t step = len / MAX_POSITIONS + 1;

	(void)alarm(TIMEOUT_S);
	progress->files++;
	name_input(file, "whole, bytes", len);
	input_run(data, len);
	for (size_t cut = 0; cut < len; cut += step) {
		name_input(file, "cut at", cut);
		input_run(data, cut);
	}
	for (size_t off = 0; off < len; off += step) {
		uint8_t old = data[off];
		for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
			name_input(file, changes[i].name, off);
			data[off] = (uint8_t)((old & changes[i].keep) ^ changes[i].flip);
			input_run(data, len);
		}
		data[off] = old;
	}
}

/* True for what belongs to the corpus: a README or a dot file does not. */
static int entry_is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "README.md") != 0;
}

/* The child: runs the corpus. 0, or an exit status with the reason in progress->what. */
static int corpus_run(const char *dir)
{
	static uint8_t data[MAX_FILE + 1];
	struct dirent **entries;
	int nr = scandir(dir, &entries, entry_is_input, alphasort);

	for (int i = 0; i < nr; i++) {
		char path[4096];
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		FILE *file = fopen(path, "rbe");
		size_t len = file ? fread(data, 1, sizeof(data), file) : 0;
		bool bad = !file || ferror(file) || len > MAX_FILE;
		if (file)
			(void)fclose(file);
		if (bad) {
			(void)snprintf(progress->what, sizeof(progress->what),
				       "%.300s: cannot be read, or over 1 MiB", path);
			return 2;
		}
		file_run(entries[i]->d_name, data, len);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	progress->what[0] = '\0'; /* from here on no input is to blame */
	progress->done = true;
	return 0;
}

static void keep_input(const char *program)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s.crash", program);
	FILE *file = fopen(path, "wbe");
	if (!file)
		return;
	bool written = fwrite(progress->input, 1, progress->len, file) == progress->len;
	if (fclose(file) == 0 && written)
		(void)fprintf(stderr, "the input is in %s\n", path);
}

int main(int argc, char **argv)
{
	int status;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: %s NAME DIR\n", argv[0]);
		return 3;
	}
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (progress == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	pid_t child = fork();
	if (child == 0)
		exit(corpus_run(argv[2]));
	if (child < 0) {
		perror("fork");
		return 2;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (ended && progress->done && progress->inputs > 0) {
		printf("ok replay/%s: %lu files, %lu inputs\n", argv[1], progress->files,
		       progress->inputs);
		return 0;
	}
	printf("not ok replay/%s: ", argv[1]);
	if (ended && progress->done)
		printf("no corpus in %s\n", argv[2]);
	else if (WIFSIGNALED(status))
		printf("%s: killed by SIG%s%s\n", progress->what, sigabbrev_np(WTERMSIG(status)),
		       WTERMSIG(status) == SIGALRM ? " (too slow)" : "");
	else
		printf("%s: exit status %d\n", progress->what, WEXITSTATUS(status));
	if (progress->inputs)
		keep_input(argv[0]);
	return 1;
}
