#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

char *escape_text(char *out, size_t out_size, const uint8_t *bytes, size_t length)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < length; i++) {
		bool plain = bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\';
		size_t room = i + 1 < length ? sizeof "..." - 1 : 0;
		if (used + (plain ? 1 : 4) + room + 1 > out_size) {
			snprintf(out + used, out_size - used, "...");
			break;
		}
		used += (size_t)snprintf(out + used, out_size - used, plain ? "%c" : "\\x%02x",
					 bytes[i]);
	}
	return out;
}

char *text_make(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? NULL : text;
}
