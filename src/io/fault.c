/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first rule that touches a read strikes it.
 */
#include "io/fault.h"

#include <assert.h>
#include <errno.h>

void fault_add(struct fault *fault, const struct fault_rule *rule)
{
	assert(fault->nr_rules < array_size(fault->rules));
	fault->rules[fault->nr_rules++] = *rule;
}

static bool rule_touches(const struct fault_rule *rule, uint64_t off, uint64_t len)
{
	return off >= rule->off ? off - rule->off < rule->len : rule->off - off < len;
}

const struct fault_rule *fault_strike(struct fault *fault, uint64_t off, uint64_t len)
{
	fault->nr_reads++;
	for (unsigned i = 0; i < fault->nr_rules; i++) {
		const struct fault_rule *rule = &fault->rules[i];
		if (!rule_touches(rule, off, len) || (rule->longer_than && len <= rule->longer_than) ||
		    (rule->times && fault->struck[i] >= rule->times))
			continue;
		fault->struck[i]++;
		return rule;
	}
	return NULL;
}

void fault_flip(const struct fault_rule *rule, uint64_t off, void *buf, uint64_t len)
{
	if (rule->kind == FAULT_FLIP && rule->off >= off && rule->off < off + len)
		((uint8_t *)buf)[rule->off - off] ^= 1;
}

static int source_fault_read(struct source *src, uint64_t off, void *buf, uint64_t len, uint64_t *ret_n)
{
	struct fault *fault = src->ctx;
	const struct fault_rule *rule = fault_strike(fault, off, len);

	if (rule && rule->kind == FAULT_ERROR)
		return rule->error;
	if (rule && rule->kind == FAULT_HANG)
		return -ETIMEDOUT;
	if (rule && rule->kind == FAULT_SHORT)
		len = min_of(len, (uint64_t)rule->keep);
	int r = fault->inner->ops->read(fault->inner, off, buf, len, ret_n);
	if (r == 0 && rule)
		fault_flip(rule, off, buf, *ret_n);
	return r;
}

static int source_fault_size(struct source *src, uint64_t *ret_size)
{
	const struct fault *fault = src->ctx;

	return source_size(fault->inner, ret_size);
}

static void source_fault_close(struct source *src)
{
	(void)src;
}

static const struct source_ops source_fault_ops = {
	.read = source_fault_read,
	.size = source_fault_size,
	.close = source_fault_close,
};

void source_init_fault(struct source *src, struct source *inner, struct fault *fault)
{
	fault->inner = inner;
	*src = (struct source){ .ops = &source_fault_ops, .fd = -1, .ctx = fault };
}
