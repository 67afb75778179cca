/* Errors of the system, and errors that grow: the parts of error.h that parsing does without. */
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
	/* A thread whose stack finds no memory fails like one too many. */
	{EAGAIN, true, RLIMIT_NPROC, "RLIMIT_NPROC", "-u"},
	{EAGAIN, true, RLIMIT_AS, "RLIMIT_AS", "-v"},
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
		add(err, "; some limit on processes or memory is reached, perhaps a cgroup's "
			 "pids.max, systemd's TasksMax");
}

int fail_for(struct error *err, int sys, bool starting, const char *format, ...)
{
	bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
	char text[sizeof err->text];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args); /* its arguments may lie in *err */
	va_end(args);
	*err = (struct error){.code = full ? ERR_FULL : ERR_SYSTEM, .sys = sys};
	add(err, "%s: %s", text, strerror(sys));
	fail_add_limit(err, sys, starting);
	return err->code;
}

int fail_memory(struct error *err)
{
	fail(err, ERR_SYSTEM, "out of memory");
	err->sys = ENOMEM;
	fail_add_limit(err, ENOMEM, false);
	return err->code;
}

void error_prefix(struct error *err, const char *format, ...)
{
	struct error told = *err;
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	add(err, ": %s", told.text);
}

void error_append(struct error *err, const char *format, ...)
{
	char more[sizeof err->text];
	va_list args;

	va_start(args, format);
	vsnprintf(more, sizeof more, format, args);
	va_end(args);
	add(err, "%s", more);
}

static const struct {
	int code;
	const char *name;
} code_names[] = {
	{ERR_SYSTEM, "system"},		  {ERR_DAMAGED, "damaged"}, {ERR_INCOMPLETE, "incomplete"},
	{ERR_UNSUPPORTED, "unsupported"}, {ERR_USAGE, "usage"},	    {ERR_FULL, "full"},
	{ERR_LOCKED, "locked"},
};

const char *error_code_name(int code)
{
	for (size_t i = 0; i < sizeof code_names / sizeof code_names[0]; i++) {
		if (code_names[i].code == code)
			return code_names[i].name;
	}
	return "system";
}

int error_code_of(const char *name)
{
	for (size_t i = 0; i < sizeof code_names / sizeof code_names[0]; i++) {
		if (strcmp(code_names[i].name, name) == 0)
			return code_names[i].code;
	}
	return ERR_SYSTEM;
}

void error_in_file(struct error *err, const char *name)
{
	static const char incomplete[] = "incomplete: ";
	size_t length = sizeof(incomplete) - 1;
	bool cut = err->code == ERR_INCOMPLETE;

	if (!err->has_place)
		return;
	err->has_place = false;
	/* The place says so. */
	if (cut && strncmp(err->text, incomplete, length) == 0)
		memmove(err->text, err->text + length, strlen(err->text + length) + 1);
	error_prefix(err, "%s: %s at byte %llu", name, cut ? "incomplete" : "damaged",
		     (unsigned long long)err->place);
}
