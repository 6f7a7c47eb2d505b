// SPDX-License-Identifier: Apache-2.0
/*
 * What is said of a file of a package, from what should be and what is: every row, no filesystem.
 */
#include "suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "verify/packages.h"

static void judges_each_row(void)
{
	const int64_t s = NS_PER_S;
	static const struct {
		bool differs, conffile;
		int error, read_error;
		int64_t mtime_s, ctime_s, written_s, installed_s;
		enum package_class class;
	} rows[] = {
		{ 0, 0, 0, 0, 9, 999, 5, 7, PACKAGE_FILE_OK },
		{ 0, 1, 0, 0, 9, 999, 5, 7, PACKAGE_FILE_OK },
		{ 1, 0, 0, 0, 4, 7, 5, 7, PACKAGE_FILE_CORRUPT },
		{ 1, 0, 0, 0, 4, 67, 5, 7, PACKAGE_FILE_CORRUPT },
		{ 1, 0, 0, 0, 4, 68, 5, 7, PACKAGE_FILE_CHANGED },
		{ 1, 0, 0, 0, 5, 7, 5, 7, PACKAGE_FILE_CHANGED },
		{ 1, 0, 0, 0, 6, 68, 5, 7, PACKAGE_FILE_CHANGED },
		{ 1, 0, 0, 0, -9, -9, 0, 7, PACKAGE_FILE_CHANGED },
		{ 1, 0, 0, 0, -9, -9, 5, 0, PACKAGE_FILE_CHANGED },
		{ 1, 0, 0, 0, -9, -9, 5, INT64_MAX / NS_PER_S, PACKAGE_FILE_CHANGED },
		{ 1, 1, 0, 0, 4, 7, 5, 7, PACKAGE_FILE_CONFFILE },
		{ 1, 1, 0, 0, 9, 999, 5, 7, PACKAGE_FILE_CONFFILE },
		{ 1, 1, 0, -EIO, 4, 7, 5, 7, PACKAGE_FILE_UNREADABLE },
		{ 0, 0, 0, -EIO, 4, 7, 5, 7, PACKAGE_FILE_UNREADABLE },
		{ 0, 0, -EBADMSG, 0, 4, 7, 5, 7, PACKAGE_FILE_UNKNOWN },
		{ 1, 1, -EOPNOTSUPP, 0, 4, 7, 5, 7, PACKAGE_FILE_UNKNOWN },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct package_witness witness = {
			.is_conffile = rows[i].conffile,
			.written_ns = rows[i].written_s * s,
			.installed_ns = rows[i].installed_s * s,
		};
		struct package_look look = {
			.error = rows[i].error,
			.read_error = rows[i].read_error,
			.mtime_ns = rows[i].mtime_s * s,
			.ctime_ns = rows[i].ctime_s * s,
		};
		/* Each bit counts. */
		for (unsigned bit = 0; bit < (rows[i].differs ? 8 * MD5_LEN : 1); bit++) {
			look.md5[bit / 8] ^= (uint8_t)(rows[i].differs << bit % 8);
			CU_ASSERT_EQUAL(packages_judge(&witness, &look), rows[i].class);
			look.md5[bit / 8] = 0;
		}
	}
}

static void is_near_when_one_digit_differs(void)
{
	uint8_t a[MD5_LEN] = { 0 }, b[MD5_LEN] = { 0 };

	CU_ASSERT_FALSE(packages_is_near(a, b));
	b[3] = 0x70;
	CU_ASSERT_TRUE(packages_is_near(a, b));
	b[3] = 0x07;
	CU_ASSERT_TRUE(packages_is_near(a, b));
	b[3] = 0x11;
	CU_ASSERT_FALSE(packages_is_near(a, b));
	b[3] = 0x10;
	b[15] = 0x01;
	CU_ASSERT_FALSE(packages_is_near(a, b));
}

static void names_each_class(void)
{
	CU_ASSERT_STRING_EQUAL(package_class_name(PACKAGE_FILE_OK), "ok");
	CU_ASSERT_STRING_EQUAL(package_class_name(PACKAGE_FILE_UNKNOWN), "unknown");
	for (unsigned i = 0; i < PACKAGE_CLASS_COUNT_; i++)
		CU_ASSERT_PTR_NOT_NULL(package_class_name((enum package_class)i));
	CU_ASSERT_PTR_NULL(package_class_name(PACKAGE_CLASS_COUNT_));
}

static const struct test_case cases[] = {
	CASE(judges_each_row),
	CASE(is_near_when_one_digit_differs),
	CASE(names_each_class),
};

const struct test_suite suite_verify_packages_judge = { "verify/packages_judge", cases,
							array_size(cases) };
