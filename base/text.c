#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool strings_join(struct strings *out, const char *first, const struct strings *then,
		  const struct strings *last)
{
	const struct strings *lists[] = {then, last};
	unsigned n = 1;

	for (unsigned i = 0; i < 2; i++)
		n += lists[i] != NULL ? lists[i]->n : 0;
	*out = (struct strings){malloc(n * sizeof(*out->items)), 1};
	if (out->items == NULL)
		return false;
	out->items[0] = first;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; lists[i] != NULL && j < lists[i]->n; j++)
			out->items[out->n++] = lists[i]->items[j];
	return true;
}

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
