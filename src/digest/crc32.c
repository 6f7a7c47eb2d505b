/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32 by IPsec-MB, where it agrees with zlib; else by zlib. What Cyrus checks is short: 108
 * bytes of an index record, some ninety of a line that counts in a sync CRC. For so few, zlib
 * begins five interleaved sums and has to bring them together again, byte by byte (135 ns);
 * IPsec-MB folds them with the carry-less multiplication of the CPU (16 ns).
 *
 * Like every assembly here it is tried first, once in a process. A CRC that was computed wrongly
 * would be a finding about somebody's disk.
 */
#include <pthread.h>
#include <zlib.h>

#define NO_COMPAT_IMB_API_053 /* else its old names shadow ours */
#include <intel-ipsec-mb.h>

#include "digest/digest.h"

#define TRIAL_SHORT 300u /* bytes: every length up to here */
#define TRIAL_LONG 4096u /* bytes */

typedef uint32_t (*crc_fn)(const void *data, const uint64_t len);

static uint32_t crc_by_zlib(const void *data, const uint64_t len)
{
	return (uint32_t)crc32_z(0, data, len);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static crc_fn chosen = crc_by_zlib; /* changed once, before its first use */

static bool crc_agrees(crc_fn crc)
{
	uint8_t bytes[TRIAL_LONG + 16];
	uint32_t random = 1;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		random = random * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(random >> 24);
	}
	for (uint64_t len = 1; len <= TRIAL_SHORT; len++)
		if (crc(bytes + len % 16, len) != crc_by_zlib(bytes + len % 16, len))
			return false;
	for (uint64_t off = 0; off < 16; off++)
		if (crc(bytes + off, TRIAL_LONG) != crc_by_zlib(bytes + off, TRIAL_LONG))
			return false;
	return true;
}

static void crc_choose(void)
{
	IMB_ARCH arch = IMB_ARCH_NONE;
	IMB_MGR *mgr = alloc_mb_mgr(0);

	if (!mgr)
		return;
	init_mb_mgr_auto(mgr, &arch);
	crc_fn crc = mgr->crc32_ethernet_fcs;
	if (arch != IMB_ARCH_NONE && imb_get_errno(mgr) == 0 && crc && crc_agrees(crc))
		chosen = crc;
	free_mb_mgr(mgr);
}

uint32_t crc32_of(struct span bytes)
{
	(void)pthread_once(&once, crc_choose);
	return bytes.len ? chosen(bytes.data, bytes.len) : 0;
}

/* zlib takes a NULL pointer as the wish for an initial value, and forgets what it was given. */
uint32_t crc32_with(uint32_t crc, struct span bytes)
{
	return bytes.len ? (uint32_t)crc32_z(crc, bytes.data, bytes.len) : crc;
}
