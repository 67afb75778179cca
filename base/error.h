/*
 * How an error is told.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/grain.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Codes are chosen by what the caller does next. Every function that can fail returns 0 or one of
 * these, and where its header says so a positive result. */
enum code {
	ERR_SYSTEM = -1,      /* a system call or a library failed: see sys */
	ERR_DAMAGED = -2,     /* the archive is not what its format demands */
	ERR_INCOMPLETE = -3,  /* the archive ends before its end */
	ERR_UNSUPPORTED = -4, /* a version or feature this program does not know */
	ERR_USAGE = -5,	      /* the user asked for what cannot be */
	ERR_FULL = -6,	      /* no room left on the output or target */
	ERR_LOCKED = -7,      /* something else uses it */
};

/* Filled once, by the line that detects the fault. Callers pass it on untouched. */
struct error {
	int code;	/* enum code; 0 while nothing failed */
	int sys;	/* errno, or 0 */
	bool has_place; /* place is set, and the archive being read is at fault */
	uint64_t place; /* byte position in that archive */
	char text[1000]; /* lower case, no full stop; names from an archive are escaped in it */
};

/* Each fills *err and returns code, so that "return fail(...)" is one statement. */
#define NO_PLACE UINT64_MAX
int fail_at(struct error *err, int code, uint64_t place, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
#define fail(err, code, ...) fail_at(err, code, NO_PLACE, __VA_ARGS__)
/* Adds ": strerror(sys)", and the resource limit of this process that it comes from. The code is
 * ERR_FULL for ENOSPC, EDQUOT and EFBIG, else ERR_SYSTEM. fail_start: for a thread or process that
 * cannot be started; there EAGAIN is a limit on their number. */
int fail_for(struct error *err, int sys, bool starting, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
#define fail_system(err, sys, ...) fail_for(err, sys, false, __VA_ARGS__)
#define fail_start(err, sys, ...)  fail_for(err, sys, true, __VA_ARGS__)

/* There is no memory, and under which limit. */
int fail_memory(struct error *err);
/* Puts "PREFIX: " before the text, or adds to its end. What does not fit is cut. */
void error_prefix(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void error_append(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The fault is in this file, not in the archive that the command is about: its place, if it has one,
 * goes into the text. */
void error_in_file(struct error *err, const char *name);
/* The name of a code in JSON and in messages between programs, and back; what is not known is
 * "system". */
const char *error_code_name(int code);
int error_code_of(const char *name);

/* Adds the limit that this errno value comes from, if one is set. */
void fail_add_limit(struct error *err, int sys, bool starting);

/* For code that owns nothing it would have to free on the way out, as the parsers and the reader:
 * the check is the line, and what an attacker can send is a list of such lines. */
#define DEMAND_ELSE(code, condition, place, ...)                       \
	do {                                                           \
		if (!(condition))                                      \
			return fail_at(err, code, place, __VA_ARGS__); \
	} while (0)
#define DEMAND(condition, ...)	  DEMAND_ELSE(ERR_DAMAGED, condition, __VA_ARGS__)
#define SUPPORTED(condition, ...) DEMAND_ELSE(ERR_UNSUPPORTED, condition, __VA_ARGS__)
#define TRY(call)                        \
	do {                             \
		int try_code = (call);   \
		if (try_code != 0)       \
			return try_code; \
	} while (0)

#endif
