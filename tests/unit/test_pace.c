/*
 * Rates that hold for hours of the day.
 */
#include "base/clock.h"
#include "base/pace.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MIB  (UINT64_C(1) << 20)
#define NOON 1700049600 /* 2023-11-15 12:00 UTC */

static time_t pretended; /* what time(2) says; 0: the truth */

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	time_t seconds = pretended != 0 ? pretended : now.tv_sec;
	if (out != NULL)
		*out = seconds;
	return seconds;
}

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static uint64_t rate_at(const char *zone, uint64_t rate, int hours, int minutes)
{
	set_zone(zone);
	return pace_at(rate, NOON + hours * 3600 + minutes * 60);
}

/* There is room for four in a process: all that these tests make. */
static void what_holds_when(void)
{
	uint64_t day = 0, night = 0;

	CU_ASSERT_FATAL(pace_parse("20M@08:00-18:00,0", &day));
	CU_ASSERT(rate_at("UTC", day, -4, -1) == 0 && rate_at("UTC", day, -4, 0) == 20 * MIB);
	CU_ASSERT(rate_at("UTC", day, 5, 59) == 20 * MIB && rate_at("UTC", day, 6, 0) == 0);
	CU_ASSERT(rate_at("EAST-7", day, 0, 0) == 0 && rate_at("WEST4", day, 0, 0) == 20 * MIB);
	CU_ASSERT_FATAL(pace_parse("0@22:00-05:30,1M/s@12:00-12:01,7@00:00-24:00,5M", &night));
	CU_ASSERT(rate_at("UTC", night, 9, 59) == 7 && rate_at("UTC", night, 10, 0) == 0);
	CU_ASSERT(rate_at("UTC", night, 12, 0) == 0 && rate_at("UTC", night, 17, 29) == 0);
	CU_ASSERT(rate_at("UTC", night, 17, 30) == 7 && rate_at("UTC", night, 0, 0) == MIB);
	set_zone("UTC");
}

static void what_is_no_rate(void)
{
	static const char *const texts[] = {
		"",
		"20",
		"20M@08:00-18:00",
		"20M@08:00-18:00,",
		",20M",
		"20M,30M",
		"20M@08:00-18:00,0,0",
		"20M@8:00-18:00,0",
		"20M@08:00-24:01,0",
		"20M@08:60-18:00,0",
		"20M@08:00-08:00,0",
		"20M@08:00,0",
		"20M@08:00-18:00x,0",
		"@08:00-18:00,0",
		"20M@ 8:00-18:00,0",
		"20M@08:+1-18:00,0",
		"20M@08:00-18:00@1,0",
		"20000000000000000000@08:00-18:00,0",
		"9223372036854775808@08:00-18:00,0",
		"9223372036854775808",
	};
	uint64_t rate;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT(pace_parse(texts[i], &rate) == (strcmp(texts[i], "20") == 0));
}

static void it_changes_under_way(void)
{
	struct pace pace;
	uint64_t rate = 0;
	unsigned n = 0;

	set_zone("UTC");
	CU_ASSERT_FATAL(pace_parse("200K@11:59-12:00,0", &rate));
	pretended = NOON - 1;
	pace_start(&pace, rate);
	CU_ASSERT(pace.bytes_per_s == 200 << 10 && pace_slice(&pace) == (200 << 10) / 20);
	pretended = NOON;
	for (; pace.bytes_per_s != 0 && n < 1000; n++)
		pace_wait(&pace, 10240);
	pretended = 0;
	CU_ASSERT(n > 1 && n < 1000);
	CU_ASSERT(pace_limits(&pace));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t said;
static bool word;

static void *say_it(void *context)
{
	(void)context;
	pthread_mutex_lock(&lock); /* not before the other waits */
	word = true;
	pthread_cond_signal(&said);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void a_wait_without_an_end(void)
{
	pthread_t thread;
	int code = 0;

	clock_cond_init(&said);
	pthread_mutex_lock(&lock);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, say_it, NULL) == 0);
	while (!word && code == 0)
		code = clock_cond_wait(&said, &lock, INT64_MAX);
	CU_ASSERT(word && code == 0);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	pthread_cond_destroy(&said);
}

void test_pace(void)
{
	CU_pSuite suite = CU_add_suite("rates for hours of the day", NULL, NULL);

	CU_ADD_TEST(suite, what_is_no_rate);
	CU_ADD_TEST(suite, what_holds_when);
	CU_ADD_TEST(suite, it_changes_under_way);
	CU_ADD_TEST(suite, a_wait_without_an_end);
}
