/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of blocks share: a stage, which is a store in a room, an image of a filesystem
 * made from it by mke2fs, and the blocks of that image, read into a tally. Nothing is mounted; the
 * image stands for the device. Each function asserts what must not fail.
 */
#ifndef TESTS_UNIT_VERIFY_BLOCKS_ROOM_H
#define TESTS_UNIT_VERIFY_BLOCKS_ROOM_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "io/fault.h"
#include "skip.h"
#include "verify/blocks.h"
#include "verify/scanning.h"
#include "verify_room.h"

enum { MESSAGES_MAX = 200, SUSPICIONS_MAX = 64, TEST_DEV = 77 };

#define LONG_AGO INT64_C(1600000000) /* seconds: when messages on the image were changed */

/* One message file, its witness, and where it lies on the image. */
struct letter {
	char path[512]; /* on the host */
	struct witness witness;
	uint32_t ino;
	uint64_t at; /* its first byte on the image; 0: none is in blocks */
	size_t nr_extents;
	bool has_unwritten;
	bool fell_back;
};

/* A suspicion that is not the planted one. */
struct suspected {
	struct witness witness;
	struct observation seen;
	struct judgement first;
};

struct stage {
	struct scene scene;
	char image[ROOM_DIR_SIZE + 16];
	struct letter letters[MESSAGES_MAX];
	uint32_t nr;
	struct mailbox *mailbox;
	struct tally *tally;
	struct blocks *blocks;
	struct blocks_options options;
	struct blocks_carry carry;
	struct fault fault;
	volatile sig_atomic_t stop;
	int dirfd;
	int fallback_result;
	unsigned nr_fallbacks;
	struct suspected suspected[SUSPICIONS_MAX];
	unsigned nr_suspected, nr_canaries;
	bool done; /* the mailbox came out */
	uint64_t unread;
};

/* Runs a command of the shell and returns its status. */
static inline int printf_like(1, 2) run_command(const char *fmt, ...)
{
	char command[4096], whole[4200];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	(void)snprintf(whole, sizeof(whole), "PATH=$PATH:/usr/sbin:/sbin; exec >/dev/null 2>&1; %s",
		       command);
	int status = system(whole);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the store ---- */

/* The witness of a file as it is. */
static inline void letter_look(struct letter *letter)
{
	struct sha1 *sha1 = sha1_new();
	uint8_t bytes[4096];
	size_t n;

	FILE *file = fopen(letter->path, "rbe");
	CU_ASSERT_TRUE_FATAL(file && sha1);
	CU_ASSERT_EQUAL(sha1_begin(sha1), 0);
	letter->witness.size = 0;
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0) {
		CU_ASSERT_EQUAL(sha1_update(sha1, bytes, n), 0);
		letter->witness.size += (uint32_t)n;
	}
	CU_ASSERT_EQUAL(sha1_end(sha1, letter->witness.guid), 0);
	(void)fclose(file);
	sha1_free(sha1);
}

/* The path of a message file, which may not be there yet. */
static inline struct letter *stage_add_letter(struct stage *t, uint32_t uid)
{
	struct letter *letter = &t->letters[t->nr++];
	char leaf[16];

	CU_ASSERT_TRUE_FATAL(t->nr <= MESSAGES_MAX);
	(void)snprintf(leaf, sizeof(leaf), "%u.", uid);
	path_in(&t->scene, "user.u001", leaf, letter->path);
	letter->witness.uid = uid;
	return letter;
}

/* A message file of these bytes: pieces of `len`, each followed by a hole of `hole`. */
static inline struct letter *stage_write_letter(struct stage *t, uint32_t uid, uint32_t len,
						uint32_t hole, unsigned pieces)
{
	struct letter *letter = stage_add_letter(t, uid);
	uint8_t *bytes = malloc(len + 1);
	off_t off = 0;

	int fd = open(letter->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_TRUE_FATAL(bytes && fd >= 0);
	for (unsigned i = 0; i < pieces; i++, off += len + hole) {
		for (uint32_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)(1 + (k * 7 + uid + i) % 255);
		CU_ASSERT_EQUAL(pwrite(fd, bytes, len, off), (ssize_t)len);
	}
	CU_ASSERT_EQUAL(ftruncate(fd, off), 0);
	(void)close(fd);
	free(bytes);
	letter_look(letter);
	return letter;
}

static inline struct mailbox *stage_mailbox(const struct stage *t)
{
	struct mailbox_row row = {
		.key = span_of_str(mkstore_get_unique_id(t->scene.store, "user.u001")),
		.name = span_of_str("user.u001"),
		.partition = span_of_str("default"),
		.has_unique_id = true,
	};
	struct mailbox *mailbox = NULL;

	CU_ASSERT_EQUAL_FATAL(mailbox_new(&t->scene.target.imapd_conf, NULL, &row, &mailbox), 0);
	return mailbox;
}

/* user.u001 with `nr` messages of sizes from 400 bytes up. */
static inline void stage_make_store(struct stage *t, unsigned nr, uint64_t step)
{
	struct mkstore_options options = { .seed = 4 };

	memset(t, 0, sizeof(*t));
	scene_make_room(&t->scene, "blocks");
	scene_make_store(&t->scene, &options);
	CU_ASSERT_EQUAL_FATAL(room_add_mailbox(t->scene.store, "user.u001", nr, 400, step), 0);
	scene_open(&t->scene);
	for (uint32_t uid = 1; uid <= nr; uid++)
		letter_look(stage_add_letter(t, uid));
	t->dirfd = open(t->scene.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(t->dirfd >= 0);
	(void)snprintf(t->image, sizeof(t->image), "%s/image", t->scene.dir);
	t->options = (struct blocks_options){
		.nr_workers = 2,
		.window = MESSAGES_MAX,
		.timeout_ns = 60 * NS_PER_S,
		.stop = &t->stop,
		.fault = &t->fault,
	};
}

static inline void stage_remove(struct stage *t)
{
	(void)close(t->dirfd);
	scene_close(&t->scene);
}

/* ---- the image ---- */

/* Where the message is on the image. */
static inline const char *letter_inside(const struct stage *t, const struct letter *letter)
{
	return letter->path + strlen(scene_path(&t->scene, "store"));
}

/* False, and the test is skipped: no mke2fs, or one that knows not these options. */
static inline bool stage_make_image(struct stage *t, const char *options)
{
	if (run_command("command -v mke2fs && command -v debugfs")) {
		test_skip("mke2fs or debugfs is missing");
		stage_remove(t);
		return false;
	}
	if (run_command("mke2fs -q -F -t ext4 -d %s/store %s %s 48M", t->scene.dir, options,
			t->image)) {
		test_skip("mke2fs refuses %s", options);
		stage_remove(t);
		return false;
	}
	return true;
}

/* Has debugfs do these things to the image, a line each. */
static inline void printf_like(2, 3) stage_change(const struct stage *t, const char *fmt, ...)
{
	char script[32 * 1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(script, sizeof(script), fmt, args);
	va_end(args);
	CU_ASSERT_EQUAL_FATAL(room_write(scene_path(&t->scene, "script"), script), 0);
	CU_ASSERT_EQUAL(run_command("debugfs -w -f %s/script %s", t->scene.dir, t->image), 0);
}

/* Makes every message old: what was changed just now is not read in blocks. */
static inline void stage_age(const struct stage *t)
{
	struct buf script = BUF_NULL;

	for (uint32_t i = 0; i < t->nr; i++)
		buf_addf(&script, "sif %s ctime @%lld\n", letter_inside(t, &t->letters[i]),
			 (long long)LONG_AGO);
	stage_change(t, "%s", buf_str(&script));
	buf_fini(&script);
}

static inline int on_letter_inode(const struct ext4_inode *inode, int error, void *ctx)
{
	struct letter *letter = ctx;

	CU_ASSERT_EQUAL(error, 0);
	letter->nr_extents = inode->nr_extents;
	if (inode->nr_extents && inode->content == EXT4_CONTENT_BLOCKS)
		letter->at = inode->extents[0].physical;
	for (size_t i = 0; i < inode->nr_extents; i++)
		letter->has_unwritten |= inode->extents[i].unwritten;
	return 0;
}

/* The volume that the image stands for, open. */
static inline struct volume *stage_open_volume(const struct stage *t)
{
	struct volume *volume = calloc(1, sizeof(*volume));

	CU_ASSERT_PTR_NOT_NULL_FATAL(volume);
	volume->dev = TEST_DEV;
	volume->usable = volume->direct = true;
	volume->sector = 4096;
	volume->fd = open(t->image, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (volume->fd < 0)
		volume->fd = open(t->image, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(volume->fd >= 0);
	CU_ASSERT_EQUAL_FATAL(source_open_device(&volume->source, t->image), 0);
	CU_ASSERT_EQUAL_FATAL(ext4_open(&volume->source, &volume->fs), 0);
	ext4_get_info(volume->fs, &volume->info);
	return volume;
}

/* Finds every message on the image. */
static inline void stage_find_letters(struct stage *t)
{
	struct volume *volume = stage_open_volume(t);

	for (uint32_t i = 0; i < t->nr; i++) {
		struct letter *letter = &t->letters[i];
		CU_ASSERT_EQUAL_FATAL(ext4_lookup(volume->fs, EXT4_ROOT_INO,
						  letter_inside(t, letter), &letter->ino),
				      0);
		CU_ASSERT_EQUAL(ext4_read_inode(volume->fs, letter->ino, on_letter_inode, letter),
				0);
	}
	volume_close(volume);
}

/* Flips the lowest bit of a byte of the image. */
static inline void stage_flip(const struct stage *t, uint64_t off)
{
	CU_ASSERT_EQUAL(mkstore_flip_bit(t->image, off, 0), 0);
}

/* A store of `nr` messages and its image, aged and looked through. False: skipped. */
static inline bool stage_make(struct stage *t, unsigned nr, uint64_t step, const char *options)
{
	stage_make_store(t, nr, step);
	if (!stage_make_image(t, options))
		return false;
	stage_age(t);
	stage_find_letters(t);
	return true;
}

/* ---- reading ---- */

static inline void stage_open(struct stage *t)
{
	t->mailbox = stage_mailbox(t);
	atomic_store(&t->mailbox->pending, 1); /* the pass itself */
	CU_ASSERT_EQUAL_FATAL(tally_new(&t->tally), 0);
	CU_ASSERT_EQUAL_FATAL(blocks_new(stage_open_volume(t), t->tally, &t->options, &t->blocks),
			      0);
}

static inline int stage_on_fallback(struct mailbox *mailbox, const struct witness *witness,
				    void *ctx)
{
	struct stage *t = ctx;

	CU_ASSERT_PTR_EQUAL(mailbox, t->mailbox);
	CU_ASSERT_TRUE(atomic_load(&mailbox->pending) > 1);
	for (uint32_t i = 0; i < t->nr; i++)
		if (t->letters[i].witness.uid == witness->uid) {
			CU_ASSERT_FALSE(t->letters[i].fell_back);
			t->letters[i].fell_back = true;
		}
	t->nr_fallbacks++;
	return t->fallback_result;
}

/* Starts the window that was collected, and returns how it ended. */
static inline int stage_read_window(struct stage *t)
{
	uint64_t unread;
	int r = blocks_start(t->blocks, t->dirfd, &t->carry, stage_on_fallback, t);

	while (blocks_is_busy(t->blocks, NS_PER_S))
		;
	int ended = blocks_take_result(t->blocks, &unread);
	t->unread += unread;
	return r ? r : ended;
}

/* Offers every message, in as many windows as that takes. */
static inline int stage_read(struct stage *t)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < t->nr; i++) {
		const struct letter *letter = &t->letters[i];
		if (blocks_offer(t->blocks, t->mailbox, &letter->witness, letter->ino, true))
			continue;
		r = stage_read_window(t);
		CU_ASSERT_TRUE_FATAL(
			blocks_offer(t->blocks, t->mailbox, &letter->witness, letter->ino, true));
	}
	return r ? r : stage_read_window(t);
}

/* Takes what was suspected, as if it had been resolved. */
static inline void stage_take_suspicions(struct stage *t)
{
	struct suspicion *next = NULL;

	for (struct suspicion *s = tally_take_suspicions(t->tally); s; s = next) {
		next = s->next;
		CU_ASSERT_EQUAL(s->kind, SUSPECT_MESSAGE);
		CU_ASSERT_PTR_EQUAL(s->mailbox, t->mailbox);
		t->nr_canaries += s->canary;
		if (!s->canary && t->nr_suspected < SUSPICIONS_MAX)
			t->suspected[t->nr_suspected++] =
				(struct suspected){ s->witness, s->seen, s->first };
		tally_count_down(t->tally, s->mailbox);
		mailbox_unref(s->mailbox);
		free(s);
	}
}

/* Ends what stage_open began. Whatever happened, the mailbox is done now, and only now. */
static inline void stage_close(struct stage *t)
{
	blocks_free(t->blocks);
	stage_take_suspicions(t);
	CU_ASSERT_PTR_NULL(tally_take_done(t->tally));
	tally_count_down(t->tally, t->mailbox);
	CU_ASSERT_PTR_EQUAL(tally_take_done(t->tally), t->mailbox);
	CU_ASSERT_EQUAL(atomic_load(&t->mailbox->pending), 0);
	tally_free(t->tally);
	mailbox_unref(t->mailbox);
	t->mailbox = NULL;
}

static inline uint64_t stage_gaps(const struct stage *t)
{
	return atomic_load(&t->mailbox->gaps);
}

static inline uint64_t stage_judged(const struct stage *t)
{
	return atomic_load(&t->mailbox->messages);
}

#endif
