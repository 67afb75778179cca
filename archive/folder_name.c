#include "archive/folder_name.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENDING_FORMAT "-%Y-%m-%dT%H%M%SZ.vmab"
#define ENDING_LENGTH (sizeof("-2026-11-30T011500Z.vmab") - 1)

/* The ending of a name, or "". */
static void make_ending(int64_t time_s, char out[ENDING_LENGTH + 1])
{
	time_t seconds = (time_t)time_s;
	struct tm parts;

	out[0] = '\0';
	if (time_s < 0 || time_s > FOLDER_NAME_TIME_MAX || gmtime_r(&seconds, &parts) == NULL ||
	    strftime(out, ENDING_LENGTH + 1, ENDING_FORMAT, &parts) != ENDING_LENGTH)
		out[0] = '\0';
}

bool folder_name_parse(const char *file, size_t *length, int64_t *time_s)
{
	size_t n = strlen(file);
	char again[ENDING_LENGTH + 1];
	struct tm parts = {0};
	int64_t seconds;

	if (n <= ENDING_LENGTH || !name_usable((const uint8_t *)file, n - ENDING_LENGTH) ||
	    sscanf(file + n - ENDING_LENGTH, "-%4d-%2d-%2dT%2d%2d%2dZ.vmab", &parts.tm_year,
		   &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min,
		   &parts.tm_sec) != 6)
		return false;
	parts.tm_year -= 1900;
	parts.tm_mon--;
	seconds = (int64_t)timegm(&parts);
	make_ending(seconds, again);
	if (strcmp(again, file + n - ENDING_LENGTH) != 0)
		return false;
	*length = n - ENDING_LENGTH;
	*time_s = seconds;
	return true;
}

char *folder_name_make(const char *folder, const char *machine, int64_t time_s)
{
	char ending[ENDING_LENGTH + 1];

	make_ending(time_s, ending);
	return text_make("%s%s%s%s", folder == NULL ? "" : folder, folder == NULL ? "" : "/",
			 machine, ending);
}
