#include "cli/say.h"

#include "base/human.h"

#include <stdarg.h>
#include <string.h>

#define LINE_SIZE 8192u /* bytes of a call; the rest is cut */

/* Written in one piece, so that lines of several programs do not mix. */
void say(FILE *to, const char *format, ...)
{
	char line[LINE_SIZE], clean[HUMAN_CLEAN * LINE_SIZE];
	size_t used = 0, at = 0, length, end = strlen(format);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	length = strlen(line);
	if (length > 0 && format[0] == '\n')
		clean[used++] = line[at++];
	end = end > 1 && format[end - 1] == '\n';
	if (end && length > 0 && line[length - 1] == '\n')
		length--;
	while (at < length)
		at += human_clean((const uint8_t *)line + at, length - at, clean, &used);
	if (end)
		clean[used++] = '\n';
	fwrite(clean, 1, used, to);
}

void say_lines(FILE *to, const uint8_t *bytes, size_t length)
{
	char clean[HUMAN_CLEAN];
	size_t used;

	for (size_t at = 0; at < length;) {
		used = 0;
		if (bytes[at] == '\n' || bytes[at] == '\t')
			clean[used++] = (char)bytes[at++];
		else
			at += human_clean(bytes + at, length - at, clean, &used);
		fwrite(clean, 1, used, to);
	}
}
