/* Errors of the system and text for people: the parts of common.h that parsing does without. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void add(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct error *err, const char *format, ...)
{
	size_t length = strlen(err->text);
	va_list args;

	va_start(args, format);
	vsnprintf(err->text + length, sizeof err->text - length, format, args);
	va_end(args);
}

/* The limits that nobody thinks of when a program fails. */
static const struct {
	int sys;
	bool starting; /* only then */
	unsigned resource;
	const char *name, *option;
} limits[] = {
	{EMFILE, false, RLIMIT_NOFILE, "RLIMIT_NOFILE", "-n"},
	{EFBIG, false, RLIMIT_FSIZE, "RLIMIT_FSIZE", "-f"},
	{ENOMEM, false, RLIMIT_AS, "RLIMIT_AS", "-v"},
	{EAGAIN, true, RLIMIT_NPROC, "RLIMIT_NPROC", "-u"},
};

void fail_add_limit(struct error *err, int sys, bool starting)
{
	struct rlimit limit;

	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		if (limits[i].sys != sys || (limits[i].starting && !starting) ||
		    getrlimit(limits[i].resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
			continue;
		add(err, " (%s, ulimit %s, is %llu)", limits[i].name, limits[i].option,
		    (unsigned long long)limit.rlim_cur);
	}
	if (starting && sys == EAGAIN)
		add(err, "; a cgroup's pids.max, systemd's TasksMax, can be the reason too");
}

static int fail_for(struct error *err, int sys, bool starting, const char *text)
{
	bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;

	*err = (struct error){.code = full ? ERR_FULL : ERR_SYSTEM, .sys = sys};
	add(err, "%s: %s", text, strerror(sys));
	fail_add_limit(err, sys, starting);
	return err->code;
}

int fail_system(struct error *err, int sys, const char *format, ...)
{
	char text[sizeof err->text];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return fail_for(err, sys, false, text);
}

int fail_start(struct error *err, int sys, const char *format, ...)
{
	char text[sizeof err->text];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return fail_for(err, sys, true, text);
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
