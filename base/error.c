#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int fail_at(struct error *err, int code, uint64_t place, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	*err = (struct error){.code = code, .has_place = place != NO_PLACE, .place = place};
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	return code;
}
