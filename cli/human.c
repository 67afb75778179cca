#include "cli/human.h"

#include <stdio.h>
#include <time.h>

#define DURATION_MAX 3599999999.0 /* seconds: 999999:59:59 */

char *human_size(char out[HUMAN_SIZE], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	/* 1023.6 would be shown as 1024. */
	while (value >= 1023.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, HUMAN_SIZE, unit > 0 && value < 99.95 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return out;
}

char *human_duration(char out[HUMAN_SIZE], double seconds)
{
	unsigned long whole;

	/* What cannot be reckoned is shown as very long. */
	if (!(seconds < DURATION_MAX))
		seconds = DURATION_MAX;
	whole = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;

	if (seconds < 9.95)
		snprintf(out, HUMAN_SIZE, "%.1f s", seconds > 0 ? seconds : 0.0);
	else if (whole < 60)
		snprintf(out, HUMAN_SIZE, "%lu s", whole);
	else if (whole < 3600)
		snprintf(out, HUMAN_SIZE, "%lu:%02lu", whole / 60, whole % 60);
	else
		snprintf(out, HUMAN_SIZE, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60,
			 whole % 60);
	return out;
}

char *human_time(char out[HUMAN_SIZE], int64_t ns)
{
	int64_t seconds = ns / 1000000000 - (ns % 1000000000 < 0);
	time_t when = (time_t)seconds;
	struct tm parts;

	if (gmtime_r(&when, &parts) == NULL ||
	    strftime(out, HUMAN_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(out, HUMAN_SIZE, "@%lld", (long long)seconds);
	return out;
}

char *human_plain(char *text)
{
	for (char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	}
	return text;
}
