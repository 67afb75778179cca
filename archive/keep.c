#include "archive/keep.h"

#include <stdlib.h>
#include <time.h>

/* Two instants of one period have the same number. */
typedef int64_t period_of(int64_t time_ns);

static int64_t instant(int64_t time_ns)
{
	return time_ns;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static struct tm local(int64_t time_ns)
{
	time_t seconds = (time_t)floor_divide(time_ns, 1000000000);
	struct tm parts = {0};

	localtime_r(&seconds, &parts);
	return parts;
}

/* Days from 1970-01-01 to the local date. */
static int64_t day(int64_t time_ns)
{
	struct tm parts = local(time_ns);
	struct tm date = {
		.tm_year = parts.tm_year, .tm_mon = parts.tm_mon, .tm_mday = parts.tm_mday};

	return floor_divide((int64_t)timegm(&date), 86400);
}

/* An hour that the clocks go through twice is two hours: their offsets from UTC differ. */
static int64_t hour(int64_t time_ns)
{
	int64_t offset = local(time_ns).tm_gmtoff;
	int64_t number = floor_divide(floor_divide(time_ns, 1000000000) + offset, 3600);

	return number * 131072 + offset;
}

/* 1970-01-01 was a Thursday. */
static int64_t week(int64_t time_ns)
{
	return floor_divide(day(time_ns) + 3, 7);
}

static int64_t month(int64_t time_ns)
{
	struct tm parts = local(time_ns);

	return parts.tm_year * INT64_C(12) + parts.tm_mon;
}

static int64_t year(int64_t time_ns)
{
	return local(time_ns).tm_year;
}

/* A clock that was set back may come to a period again: it is the same one. */
static bool is_new(const int64_t *periods, unsigned i, const unsigned *rules, unsigned rule)
{
	for (unsigned j = i; j-- > 0;)
		if ((rules[j] & rule) != 0 && periods[j] == periods[i])
			return false;
	return true;
}

bool keep_is_set(const struct keep_options *options)
{
	return (options->last | options->hourly | options->daily | options->weekly |
		options->monthly | options->yearly) != 0;
}

int keep_choose(const struct keep_options *options, const int64_t *times_ns, unsigned n,
		unsigned *rules, struct error *err)
{
	const struct {
		uint64_t wanted;
		period_of *period;
	} all[KEEP_RULES] = {{options->last, instant},	{options->hourly, hour},
			     {options->daily, day},	{options->weekly, week},
			     {options->monthly, month}, {options->yearly, year}};
	int64_t *periods = calloc(n + 1u, sizeof(*periods));

	if (periods == NULL)
		return fail_memory(err);
	for (unsigned i = 0; i < n; i++)
		rules[i] = 0;
	for (unsigned rule = 0; rule < KEEP_RULES; rule++) {
		uint64_t left = all[rule].wanted;

		for (unsigned i = 0; i < n && left > 0; i++) {
			periods[i] = all[rule].period(times_ns[i]);
			if (rule > 0 && !is_new(periods, i, rules, 1u << rule))
				continue;
			rules[i] |= 1u << rule;
			left--;
		}
	}
	free(periods);
	return 0;
}

const char *keep_rule_name(unsigned number)
{
	static const char *const names[KEEP_RULES] = {"last",	"hourly",  "daily",
						      "weekly", "monthly", "yearly"};

	return names[number];
}
