#include "base/parse.h"

#include <stdio.h>
#include <string.h>

/* Takes digits off the front of *text; false when there are none or they overflow. */
static bool take_digits(const char **text, uint64_t *out)
{
	uint64_t value = 0;
	const char *at = *text;

	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (at == *text)
		return false;
	*text = at;
	*out = value;
	return true;
}

bool parse_number(const char *text, uint64_t *out)
{
	uint64_t value;

	if (!take_digits(&text, &value) || *text != '\0')
		return false;
	*out = value;
	return true;
}

/* The factor of a unit such as "", "M", "MiB" or "MB"; 0 when it is none. Bits ("Mb") are nobody's
 * wish here. */
static uint64_t unit_factor(const char *unit, size_t length)
{
	static const char upper[] = "KMGTP", lower[] = "kmgtp";
	const char *found;
	uint64_t base = 1024, factor = 1;

	if (length == 0)
		return 1;
	if (length > 3)
		return 0;
	found = memchr(upper, unit[0], 5);
	if (found == NULL) {
		const char *small = memchr(lower, unit[0], 5);

		found = small == NULL ? NULL : upper + (small - lower);
	}
	if (found == NULL)
		return length == 1 && unit[0] == 'B';
	if (length == 2 && unit[1] == 'B')
		base = 1000;
	else if (length == 2 || (length == 3 && memcmp(unit + 1, "iB", 2) != 0))
		return 0;
	for (long i = 0; i <= found - upper; i++)
		factor *= base;
	return factor;
}

static bool parse_size_of(const char *text, size_t length, uint64_t *out)
{
	const char *unit = text;
	uint64_t value, factor;

	if (!take_digits(&unit, &value) || (size_t)(unit - text) > length)
		return false;
	factor = unit_factor(unit, length - (size_t)(unit - text));
	if (factor == 0 || value > UINT64_MAX / factor)
		return false;
	*out = value * factor;
	return true;
}

bool parse_size(const char *text, uint64_t *out)
{
	return parse_size_of(text, strlen(text), out);
}

bool parse_rate(const char *text, uint64_t *out)
{
	size_t length = strlen(text);

	if (length > 2 && strcmp(text + length - 2, "/s") == 0)
		length -= 2;
	return parse_size_of(text, length, out);
}

bool parse_compress(const char *text, struct compress *out)
{
	static const struct {
		const char *name;
		enum compress_method method;
		uint64_t level_max;
	} methods[] = {
		{"none", COMPRESS_NONE, 0},
		{"zstd", COMPRESS_ZSTD, 19},
		{"gzip", COMPRESS_GZIP, 9},
	};
	size_t length = strcspn(text, ":");

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		uint64_t level = 0;

		if (strlen(methods[i].name) != length || memcmp(methods[i].name, text, length) != 0)
			continue;
		if (text[length] == ':' && (!parse_number(text + length + 1, &level) || level < 1 ||
					    level > methods[i].level_max))
			return false;
		*out = (struct compress){methods[i].method, (int)level};
		return true;
	}
	return false;
}

int parse_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool parse_uuid(const char *text, uint8_t out[UUID_SIZE])
{
	uint8_t uuid[UUID_SIZE] = {0}, any = 0;
	size_t n = 0;

	if (strlen(text) != UUID_TEXT_SIZE - 1)
		return false;
	for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
		int digit = parse_hex_digit(text[i]);

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (digit < 0)
			return false;
		uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 | digit);
		any |= (uint8_t)digit;
		n++;
	}
	if (any == 0)
		return false;
	memcpy(out, uuid, UUID_SIZE);
	return true;
}

char *format_uuid(char out[UUID_TEXT_SIZE], const uint8_t uuid[UUID_SIZE])
{
	char *at = out;

	for (size_t i = 0; i < UUID_SIZE; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += sprintf(at, "%02x", uuid[i]);
	}
	return out;
}
