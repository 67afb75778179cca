/* Errors of the system and text for people: the parts of common.h that parsing does without. */
#include "format/common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail_system(struct error *err, int sys, const char *format, ...)
{
	va_list args;
	bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
	va_start(args, format);
	*err = (struct error){.code = full ? ERR_FULL : ERR_SYSTEM};
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	err->sys = sys;
	size_t length = strlen(err->text);
	snprintf(err->text + length, sizeof err->text - length, ": %s", strerror(sys));
	return err->code;
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
