#include "cli/say.h"

#include "base/human.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 8192u /* bytes of a call; the rest is cut */
#define READER_MS 200	/* a pipe whose reader is slow takes what is small */

static size_t clean_up(char clean[HUMAN_CLEAN * LINE_SIZE], const char *format, va_list arguments)
{
	char line[LINE_SIZE];
	size_t used = 0, at = 0, length, end = strlen(format);

	vsnprintf(line, sizeof(line), format, arguments);
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
	return used;
}

/* Written in one piece, so that lines of several programs do not mix. */
void say(FILE *to, const char *format, ...)
{
	char clean[HUMAN_CLEAN * LINE_SIZE];
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	used = clean_up(clean, format, arguments);
	va_end(arguments);
	fwrite(clean, 1, used, to);
}

void say_now(int fd, const char *format, ...)
{
	struct pollfd one = {.fd = fd, .events = POLLOUT};
	char clean[HUMAN_CLEAN * LINE_SIZE];
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	used = clean_up(clean, format, arguments);
	va_end(arguments);
	if (poll(&one, 1, READER_MS) > 0 && write(fd, clean, used) < 0)
		return; /* which nobody can be told */
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
