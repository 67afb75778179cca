#include "base/pace.h"

#include "base/clock.h"
#include "base/parse.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_NS     1000000000
#define BURST_NS      100000000 /* how much lost time may be made up for */
#define SLICES	      20u	/* a second */
#define SLICE_MIN     512u	/* bytes */
#define SCHEDULE_BIT  (UINT64_C(1) << 63)
#define SCHEDULES_MAX 4u
#define SPANS_MAX     24u
#define DAY_MINUTES   1440u
#define TEXT_MAX      64u /* of one span */

struct span {
	uint64_t bytes_per_s;
	unsigned from, to; /* minutes of the day; the same: all of it */
};

static struct schedule {
	struct span spans[SPANS_MAX];
	unsigned n;
	uint64_t otherwise; /* bytes a second */
} schedules[SCHEDULES_MAX];
static unsigned n_schedules; /* filled while there is one thread, never changed after */

/* ---- schedules ---- */

/* HH:MM, up to 24:00. */
static bool take_time(const char **at, unsigned *minutes)
{
	unsigned hour, minute;
	int length = 0;

	if (sscanf(*at, "%2u:%2u%n", &hour, &minute, &length) != 2 || length != 5 ||
	    (*at)[0] < '0' || (*at)[0] > '9' || (*at)[3] < '0' || (*at)[3] > '9' || minute > 59 ||
	    hour * 60 + minute > DAY_MINUTES)
		return false;
	*minutes = hour * 60 + minute;
	*at += length;
	return true;
}

/* RATE@HH:MM-HH:MM */
static bool parse_span(char *text, struct span *span)
{
	char *times = strchr(text, '@');
	const char *at = times + 1;

	*times = '\0';
	return parse_rate(text, &span->bytes_per_s) && span->bytes_per_s <= INT64_MAX &&
	       take_time(&at, &span->from) && *at++ == '-' && take_time(&at, &span->to) &&
	       *at == '\0' && span->from != span->to;
}

static bool parse_schedule(const char *text, struct schedule *out)
{
	struct schedule schedule = {.n = 0};
	char part[TEXT_MAX];
	bool ended = false;

	for (const char *at = text; !ended; at += *at == ',') {
		size_t length = strcspn(at, ",");

		if (length == 0 || length >= sizeof(part))
			return false;
		memcpy(part, at, length);
		part[length] = '\0';
		at += length;
		ended = *at == '\0';
		if (ended && strchr(part, '@') != NULL)
			return false; /* nothing for all other hours */
		if (strchr(part, '@') == NULL) {
			*out = schedule;
			return ended && parse_rate(part, &out->otherwise) &&
			       out->otherwise <= INT64_MAX;
		}
		if (schedule.n == SPANS_MAX || !parse_span(part, &schedule.spans[schedule.n++]))
			return false;
	}
	*out = schedule;
	return true;
}

bool pace_parse(const char *text, uint64_t *rate)
{
	if (strpbrk(text, "@,") == NULL)
		return parse_rate(text, rate) && *rate <= INT64_MAX;
	if (n_schedules == SCHEDULES_MAX || !parse_schedule(text, &schedules[n_schedules]))
		return false;
	*rate = SCHEDULE_BIT | n_schedules++;
	return true;
}

uint64_t pace_at(uint64_t rate, int64_t now_s)
{
	const struct schedule *schedule = &schedules[(rate & ~SCHEDULE_BIT) % SCHEDULES_MAX];
	time_t now = (time_t)now_s;
	struct tm local;

	if ((rate & SCHEDULE_BIT) == 0)
		return rate;
	if (localtime_r(&now, &local) == NULL)
		return schedule->otherwise;
	unsigned minute = (unsigned)(local.tm_hour * 60 + local.tm_min);
	for (unsigned i = 0; i < schedule->n; i++) {
		const struct span *span = &schedule->spans[i];
		bool after = minute >= span->from, before = minute < span->to;

		if (span->from < span->to ? after && before : after || before)
			return span->bytes_per_s;
	}
	return schedule->otherwise;
}

/* ---- pace ---- */

/* Once a second: a time zone may change its hour, and somebody the clock. */
static void ask_schedule(struct pace *pace, int64_t now_ns)
{
	if ((pace->rate & SCHEDULE_BIT) == 0 || now_ns < pace->ask_ns)
		return;
	pace->bytes_per_s = pace_at(pace->rate, (int64_t)time(NULL));
	pace->ask_ns = now_ns + SECOND_NS;
}

void pace_start(struct pace *pace, uint64_t rate)
{
	int64_t now_ns = clock_ns();

	*pace = (struct pace){.rate = rate, .bytes_per_s = rate, .due_ns = now_ns};
	ask_schedule(pace, now_ns);
}

bool pace_limits(const struct pace *pace)
{
	return pace->rate != 0;
}

size_t pace_slice(const struct pace *pace)
{
	uint64_t slice = pace->bytes_per_s / SLICES;

	if (pace->bytes_per_s == 0 || slice > SIZE_MAX / 2)
		return SIZE_MAX / 2;
	return slice > SLICE_MIN ? (size_t)slice : SLICE_MIN;
}

/* By absolute times, so that the next wait makes up for one that took too long. A wait of seconds,
 * which a low rate can make of one piece, ends where the schedule changes. */
void pace_wait(struct pace *pace, size_t n)
{
	double left = (double)n;

	if (pace->rate == 0)
		return;
	while (left > 0) {
		int64_t now_ns = clock_ns();

		ask_schedule(pace, now_ns);
		if (pace->bytes_per_s == 0)
			return;
		if (pace->due_ns < now_ns - BURST_NS)
			pace->due_ns = now_ns - BURST_NS;
		double part = left < (double)pace->bytes_per_s ? left : (double)pace->bytes_per_s;
		pace->due_ns += (int64_t)(part * SECOND_NS / (double)pace->bytes_per_s);
		left -= part;
		clock_sleep_until_ns(pace->due_ns);
	}
}
