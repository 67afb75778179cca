#include "base/watcher.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_SIZE 8192u /* bytes; longer texts are cut */

void watcher_tell(const struct watcher *watcher, enum watcher_level level, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list arguments;

	if (watcher == NULL || watcher->tell == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	watcher->tell(watcher->context, level, text);
}

void watcher_begin(const struct watcher *watcher, const struct progress_view *view)
{
	if (watcher != NULL && watcher->begin != NULL)
		watcher->begin(watcher->context, view);
}

void watcher_end(const struct watcher *watcher, bool done)
{
	if (watcher != NULL && watcher->end != NULL)
		watcher->end(watcher->context, done);
}

void watcher_give_up(const struct watcher *watcher, const struct error *why)
{
	if (watcher != NULL && watcher->give_up != NULL)
		watcher->give_up(watcher->context, why);
}
