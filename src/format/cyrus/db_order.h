/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The orders in which databases of Cyrus hold their keys. Source: files written by 3.6.1, and its
 * comparison functions called with every pair of bytes.
 */
#ifndef FORMAT_CYRUS_DB_ORDER_H
#define FORMAT_CYRUS_DB_ORDER_H

#include "base/span.h"

/*
 * BYTES is what Cyrus uses everywhere since 3.6, and before unless `improved_mboxlist_sort` is on
 * for a mailbox list; skiplist compares bytes as the host's `char`, signed on most. MAILBOX: first
 * NUL, then TAB and LF (equal), then '.', then all others as they are; flat files are always in it.
 */
enum db_order { DB_ORDER_BYTES, DB_ORDER_CHARS, DB_ORDER_MAILBOX };

/* <0, 0, >0; the shorter first when one is a prefix of the other. */
int db_order_compare(enum db_order order, struct span a, struct span b);

#endif
