/*
 * Which instants are kept, by the calendar of several places; and names in a folder of chains.
 */
#include "archive/folder_name.h"
#include "archive/keep.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_MAX 64u

/* Instants as "2026-11-30T01:15Z 2026-..." in the order in which they were made. */
static unsigned parse_times(const char *text, int64_t *times_ns)
{
	unsigned n = 0;

	for (; *text != '\0'; text += strcspn(text, " "), text += strspn(text, " ")) {
		struct tm parts = {0};

		CU_ASSERT_FATAL(sscanf(text, "%d-%d-%dT%d:%dZ", &parts.tm_year, &parts.tm_mon,
				       &parts.tm_mday, &parts.tm_hour, &parts.tm_min) == 5);
		parts.tm_year -= 1900;
		parts.tm_mon--;
		CU_ASSERT_FATAL(n < N_MAX);
		times_ns[n++] = (int64_t)timegm(&parts) * 1000000000;
	}
	return n;
}

/* wanted: a letter for each instant, in the same order: '-' it goes, 'k' it is kept. */
static void check(const char *zone, const struct keep_options *options, const char *text,
		  const char *wanted)
{
	int64_t times[N_MAX], newest_first[N_MAX];
	unsigned rules[N_MAX], n;
	char found[N_MAX + 1] = "";
	struct error err = {0};

	setenv("TZ", zone, 1);
	tzset();
	n = parse_times(text, times);
	for (unsigned i = 0; i < n; i++)
		newest_first[i] = times[n - 1 - i];
	CU_ASSERT_EQUAL(keep_choose(options, newest_first, n, rules, &err), 0);
	for (unsigned i = 0; i < n; i++)
		found[n - 1 - i] = rules[i] != 0 ? 'k' : '-';
	found[n] = '\0';
	CU_ASSERT_STRING_EQUAL(found, wanted);
	if (strcmp(found, wanted) != 0)
		printf("\n%s: %s: %s\n", zone, text, found);
	setenv("TZ", "UTC", 1);
	tzset();
}

static void keeps_the_last(void)
{
	const char *times = "2026-01-01T01:00Z 2026-01-01T01:00Z 2026-01-01T02:00Z";

	check("UTC", &(struct keep_options){.last = 1}, times, "--k");
	check("UTC", &(struct keep_options){.last = 2}, times, "-kk");
	check("UTC", &(struct keep_options){.last = 9}, times, "kkk");
	check("UTC", &(struct keep_options){.last = 1}, "", "");
	CU_ASSERT_FALSE(keep_is_set(&(struct keep_options){0}));
	CU_ASSERT_TRUE(keep_is_set(&(struct keep_options){.yearly = 1}));
}

/* Days without backups count for nothing. */
static void keeps_the_last_of_a_day(void)
{
	check("UTC", &(struct keep_options){.daily = 2},
	      "2026-01-01T01:00Z 2026-01-10T01:00Z 2026-01-10T23:59Z 2026-01-20T00:00Z", "--kk");
	/* The same instants fall on other days elsewhere. */
	check("IST-5:30", &(struct keep_options){.daily = 2},
	      "2026-01-10T18:29Z 2026-01-10T18:30Z 2026-01-11T18:29Z", "k-k");
	check("UTC", &(struct keep_options){.daily = 2},
	      "2026-01-10T18:29Z 2026-01-10T18:30Z 2026-01-11T18:29Z", "-kk");
}

static void keeps_weeks_months_and_years(void)
{
	/* A Sunday and the Monday after it; the week of a new year is one. */
	check("UTC", &(struct keep_options){.weekly = 9},
	      "2026-11-28T12:00Z 2026-11-29T23:00Z 2026-11-30T01:00Z", "-kk");
	check("UTC", &(struct keep_options){.weekly = 9}, "2026-12-31T12:00Z 2027-01-01T12:00Z",
	      "-k");
	check("UTC", &(struct keep_options){.weekly = 9}, "1969-12-28T12:00Z 1969-12-29T12:00Z",
	      "kk");
	check("UTC", &(struct keep_options){.monthly = 9},
	      "2025-12-01T00:00Z 2026-11-01T00:00Z 2026-11-30T23:00Z 2026-12-01T00:00Z", "k-kk");
	check("UTC", &(struct keep_options){.yearly = 2},
	      "2024-12-31T23:59Z 2025-01-01T00:00Z 2025-12-31T23:59Z 2026-01-01T00:00Z", "--kk");
	check("EST5EDT,M3.2.0,M11.1.0", &(struct keep_options){.yearly = 2},
	      "2026-01-01T04:59Z 2026-01-01T05:00Z", "kk");
	/* Each rule counts by itself. */
	check("UTC", &(struct keep_options){.daily = 2, .monthly = 2},
	      "2026-01-30T01:00Z 2026-01-31T01:00Z 2026-02-01T01:00Z 2026-02-02T01:00Z", "-kkk");
}

/* 2026-10-25 has 25 hours in Berlin: 2:00 to 3:00 comes twice, from 0:00Z and from 1:00Z.
 * 2026-03-29 has 23. */
static void keeps_hours_when_clocks_change(void)
{
	const char *autumn =
		"2026-10-24T21:30Z 2026-10-24T22:30Z 2026-10-24T23:30Z 2026-10-25T00:30Z "
		"2026-10-25T01:30Z 2026-10-25T02:30Z 2026-10-25T22:30Z";

	check("CET-1CEST,M3.5.0,M10.5.0/3", &(struct keep_options){.hourly = 7}, autumn, "kkkkkkk");
	check("CET-1CEST,M3.5.0,M10.5.0/3", &(struct keep_options){.daily = 2}, autumn, "k-----k");
	check("CET-1CEST,M3.5.0,M10.5.0/3", &(struct keep_options){.hourly = 2},
	      "2026-03-29T00:59Z 2026-03-29T01:00Z 2026-03-29T01:59Z", "k-k");
	/* The day begins at 23:00Z and ends at 22:00Z. */
	check("CET-1CEST,M3.5.0,M10.5.0/3", &(struct keep_options){.daily = 9},
	      "2026-03-28T22:59Z 2026-03-28T23:00Z 2026-03-29T21:59Z 2026-03-29T22:00Z", "k-kk");
	/* Half hours: an hour is one of the local clock. */
	check("IST-5:30", &(struct keep_options){.hourly = 9},
	      "2026-01-01T00:20Z 2026-01-01T00:40Z 2026-01-01T01:20Z", "k-k");
}

/* The order is that in which they were made, and a day that comes again is the same day. */
static void bears_clocks_that_were_set_back(void)
{
	check("UTC", &(struct keep_options){.last = 1}, "2036-01-01T00:00Z 2026-01-01T00:00Z",
	      "-k");
	check("UTC", &(struct keep_options){.daily = 3},
	      "2026-01-01T01:00Z 2026-01-03T01:00Z 2026-01-01T02:00Z 2026-01-02T02:00Z", "-kkk");
}

static void check_name(const char *file, const char *machine, int64_t time_s)
{
	size_t length = 0;
	int64_t found = 0;
	bool is = folder_name_parse(file, &length, &found);
	char *again;

	CU_ASSERT_EQUAL(is, machine != NULL);
	if (is && machine != NULL) {
		CU_ASSERT_EQUAL(length, strlen(machine));
		CU_ASSERT_EQUAL(found, time_s);
		again = folder_name_make(NULL, machine, time_s);
		CU_ASSERT_STRING_EQUAL(again, file);
		free(again);
	}
}

static void names_are_strict(void)
{
	check_name("web-2026-11-30T011500Z.vmab", "web", 1796001300);
	check_name("web-db.x-1970-01-01T000000Z.vmab", "web-db.x", 0);
	check_name("a-2026-11-30T011500Z-9999-12-31T235959Z.vmab", "a-2026-11-30T011500Z",
		   FOLDER_NAME_TIME_MAX);
	check_name("-2026-11-30T011500Z.vmab", NULL, 0);
	check_name(".web-2026-11-30T011500Z.vmab", NULL, 0);
	check_name("../web-2026-11-30T011500Z.vmab", NULL, 0);
	check_name("web-2026-13-30T011500Z.vmab", NULL, 0);
	check_name("web-2026-02-30T011500Z.vmab", NULL, 0);
	check_name("web-2026-11-30T011560Z.vmab", NULL, 0);
	check_name("web-2026-11- 3T011500Z.vmab", NULL, 0);
	check_name("web-+026-11-30T011500Z.vmab", NULL, 0);
	check_name("web-2026-11-30T011500Z.vmab.sums", NULL, 0);
	check_name("web-2026-11-30T011500Z.vma", NULL, 0);
	check_name("w\neb-2026-11-30T011500Z.vmab", NULL, 0);
}

void test_keep(void)
{
	CU_pSuite suite = CU_add_suite("keep", NULL, NULL);

	CU_ADD_TEST(suite, keeps_the_last);
	CU_ADD_TEST(suite, keeps_the_last_of_a_day);
	CU_ADD_TEST(suite, keeps_weeks_months_and_years);
	CU_ADD_TEST(suite, keeps_hours_when_clocks_change);
	CU_ADD_TEST(suite, bears_clocks_that_were_set_back);
	CU_ADD_TEST(suite, names_are_strict);
}
