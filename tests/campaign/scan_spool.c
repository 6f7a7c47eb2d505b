// SPDX-License-Identifier: Apache-2.0
/*
 * The store of the scan campaign: sixty mailboxes of up to 48 messages, one of them empty; sizes
 * from 200 bytes to 40 KiB, small ones more often; here and there an expunged message, with or
 * without its file, and a gap in the UIDs. A quarter of the messages have one of three sizes, so
 * that there are always some that differ in nothing but their bytes.
 */
#include <stdio.h>

#include "campaign/scan_parts.h"
#include "format/cyrus/index.h"

#define SIZE_MIN_BYTES 200u
#define SIZE_MAX_BYTES (40u * 1024)
#define SIZE_DOUBLINGS 8u /* from the smallest to beyond the largest */

static uint64_t draw_size(uint64_t *random)
{
	static const uint64_t common[] = { 900, 4096, 12288 };

	if (random_below(random, 4) == 0)
		return common[random_below(random, array_size(common))];
	uint64_t base = (uint64_t)SIZE_MIN_BYTES << random_below(random, SIZE_DOUBLINGS);
	return min_of(base + random_below(random, base), (uint64_t)SIZE_MAX_BYTES);
}

static uint32_t draw_flags(uint64_t *random)
{
	switch (random_below(random, 40)) {
	case 0:
		return INDEX_FLAG_EXPUNGED;
	case 1:
		return INDEX_FLAG_EXPUNGED | INDEX_FLAG_UNLINKED;
	default:
		return 0;
	}
}

/* Now and then one to three UIDs that no message ever gets; they lie below the next one's. */
static void skip_some(struct spool_mailbox *mailbox, struct mkstore_mailbox *builder,
		      uint32_t next_uid, uint64_t *random)
{
	uint32_t count = (uint32_t)random_below(random, 3) + 1;

	if (random_below(random, 10) != 0)
		return;
	mkstore_skip_uids(builder, count);
	for (uint32_t i = 0; i < count && mailbox->nr_gaps < SPOOL_GAPS_MAX; i++)
		mailbox->gaps[mailbox->nr_gaps++] = next_uid + i;
}

static int add_messages(struct spool_mailbox *mailbox, struct mkstore_mailbox *builder,
			uint32_t count, uint64_t *random)
{
	uint32_t last_uid = 0;
	int r = 0;

	while (r == 0 && mailbox->nr_messages < count) {
		struct spool_message *message = &mailbox->messages[mailbox->nr_messages];
		skip_some(mailbox, builder, last_uid + 1, random);
		uint32_t flags = draw_flags(random);
		message->size = draw_size(random);
		message->is_live = flags == 0;
		message->record = ++mailbox->nr_messages;
		r = mkstore_message(builder, flags, message->size, &message->uid);
		last_uid = message->uid;
	}
	return r;
}

static int build_mailbox(struct spool *spool, unsigned nr, uint64_t *random)
{
	struct spool_mailbox *mailbox = &spool->mailboxes[nr];
	struct mkstore_mailbox *builder;
	uint32_t count = 2 + (uint32_t)random_below(random, SPOOL_MESSAGES_MAX - 1);

	/* Every third one lies below the one before it; the last one is empty. */
	(void)snprintf(mailbox->name, sizeof(mailbox->name), "user.u%03u%s", nr - (nr % 3 == 1),
		       nr % 3 == 1 ? ".Sent" : "");
	int r = mkstore_mailbox_begin(spool->store, mailbox->name, &builder);
	if (r)
		return r;
	if (nr + 1 < SPOOL_MAILBOXES)
		r = add_messages(mailbox, builder, count, random);
	int ended = mkstore_mailbox_end(builder);
	return r ? r : ended;
}

int spool_build(struct spool *spool, const char *dir, uint64_t seed)
{
	struct mkstore_options options = { .seed = seed };
	uint64_t random = seed;
	int r = mkstore_new(dir, &options, &spool->store);

	for (unsigned i = 0; r == 0 && i < SPOOL_MAILBOXES; i++)
		r = build_mailbox(spool, i, &random);
	return r ? r : mkstore_finish(spool->store);
}

void spool_fini(struct spool *spool)
{
	mkstore_free(spool->store);
	spool->store = NULL;
}
