// SPDX-License-Identifier: Apache-2.0
/*
 * Keys are compared byte by byte, each by its rank.
 */
#include "format/cyrus/db_order.h"

static int rank_in_mailbox_order(uint8_t byte)
{
	switch (byte) {
	case '\0':
		return 0;
	case '\t':
	case '\n':
		return 1;
	case '.':
		return 2;
	default:
		return 3 + byte;
	}
}

static int rank_of(enum db_order order, uint8_t byte)
{
	return order == DB_ORDER_MAILBOX ? rank_in_mailbox_order(byte) : (char)byte;
}

int db_order_compare(enum db_order order, struct span a, struct span b)
{
	if (order == DB_ORDER_BYTES)
		return span_compare(a, b);
	for (uint64_t i = 0; i < a.len && i < b.len; i++) {
		int difference = rank_of(order, a.data[i]) - rank_of(order, b.data[i]);
		if (difference)
			return difference;
	}
	return (a.len > b.len) - (a.len < b.len);
}
