#include "base/human.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DURATION_MAX 3599999999.0 /* seconds: 999999:59:59 */

char *human_size(char out[HUMAN_SIZE], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	/* 1023.6 would be rounded to 1024. */
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

	/* NaN and infinity, too, are shown as very long. */
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

char *human_delay(char out[HUMAN_SIZE], uint64_t ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	double value = (double)ns;
	unsigned unit = 0;

	for (; unit < 3 && value >= 999.5; unit++)
		value /= 1000;
	snprintf(out, HUMAN_SIZE, value < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", value,
		 units[unit]);
	return out;
}

static char *format_time(char out[HUMAN_SIZE], int64_t ns, const char *format,
			 struct tm *(*split)(const time_t *when, struct tm *parts))
{
	int64_t seconds = ns / 1000000000 - (ns % 1000000000 < 0);
	time_t when = (time_t)seconds;
	struct tm parts;

	if (split(&when, &parts) == NULL || strftime(out, HUMAN_SIZE, format, &parts) == 0)
		snprintf(out, HUMAN_SIZE, "@%lld", (long long)seconds);
	return out;
}

char *human_time(char out[HUMAN_SIZE], int64_t ns)
{
	return format_time(out, ns, "%Y-%m-%dT%H:%M:%SZ", gmtime_r);
}

char *human_local_time(char out[HUMAN_SIZE], int64_t ns)
{
	return format_time(out, ns, "%Y-%m-%d %H:%M:%S %Z", localtime_r);
}

/* The length of the UTF-8 character at bytes, and its code point in *out; 0 if it is none. */
static size_t take_character(const uint8_t *bytes, size_t length, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = bytes[0] < 0x80	? 1
		      : bytes[0] < 0xc2 ? 0
		      : bytes[0] < 0xe0 ? 2
		      : bytes[0] < 0xf0 ? 3
		      : bytes[0] < 0xf5 ? 4
					: 0;
	uint32_t value = size <= 1 ? bytes[0] : bytes[0] & (0x7fu >> size);

	if (size == 0 || size > length)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3fu);
	}
	if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	*out = value;
	return size;
}

/* Not a control character, nor invisible, nor one that reorders the text around it. */
static bool is_harmless(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c)
		return false;
	if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e))
		return false;
	return !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff && !(c >= 0xfff0 && c <= 0xffff) &&
	       !(c >= 0xe0000 && c <= 0xe0fff);
}

size_t human_clean(const uint8_t *bytes, size_t length, char *out, size_t *used)
{
	uint32_t character = 0;
	size_t size = take_character(bytes, length, &character);

	if (size == 0 || !is_harmless(character)) {
		static const char digits[] = "0123456789abcdef";
		const char escaped[] = {'\\', 'x', digits[bytes[0] >> 4], digits[bytes[0] & 15]};

		memcpy(out + *used, escaped, sizeof(escaped));
		*used += sizeof(escaped);
		return 1;
	}
	memcpy(out + *used, bytes, size);
	*used += size;
	return size;
}

char *human_note(char *out, size_t out_size, const uint8_t *bytes, size_t length)
{
	size_t used = 0, at = 0;

	while (at < length) {
		/* Room for this character, for "..." and for the NUL. */
		if (used + HUMAN_CLEAN + 4 > out_size) {
			used += (size_t)sprintf(out + used, "...");
			break;
		}
		if (bytes[at] == '\\') {
			used += (size_t)sprintf(out + used, "\\x5c");
			at++;
		} else {
			at += human_clean(bytes + at, length - at, out, &used);
		}
	}
	out[used] = '\0';
	return out;
}
