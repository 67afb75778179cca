/*
 * Which of a machine's instants are kept: so many of the last ones, and the last one of each of so
 * many hours, days, weeks, months and years that have any. These are those of the calendar at this
 * host's place (TZ): a day has 23 or 25 hours when clocks change, and a week begins on Monday.
 */
#ifndef ARCHIVE_KEEP_H
#define ARCHIVE_KEEP_H

#include "base/error.h"

/* Reasons to keep an instant, as bits. */
enum keep_rule {
	KEEP_LAST = 1,
	KEEP_HOURLY = 2,
	KEEP_DAILY = 4,
	KEEP_WEEKLY = 8,
	KEEP_MONTHLY = 16,
	KEEP_YEARLY = 32,
};
#define KEEP_RULES 6u

struct keep_options {
	uint64_t last, hourly, daily, weekly, monthly, yearly;
};

/* Whether any number is above 0. */
bool keep_is_set(const struct keep_options *options);
/* times_ns: of n instants, newest first: in the order in which they were made, whatever a clock
 * that was set says. rules[i] gets the reasons to keep instant i; 0: none. */
int keep_choose(const struct keep_options *options, const int64_t *times_ns, unsigned n,
		unsigned *rules, struct error *err);
/* "last", "hourly", ... for the bit of that number. */
const char *keep_rule_name(unsigned number);

#endif
