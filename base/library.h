/*
 * Libraries that few runs need. Each brings others along, and to load them all would take more than
 * half of the time that this program needs to start. So one is loaded when it is first used:
 *
 *	#define FUNCTIONS(X) X(archive_read_new) X(archive_read_free)
 *	static struct { FUNCTIONS(LIBRARY_MEMBER) } lib;
 *	static struct library library = LIBRARY(FILE_archive, FUNCTIONS, lib);
 *
 *	TRY(library_load(&library, err));
 *	archive = lib.archive_read_new();
 */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include "base/error.h"

struct library {
	const char *file;
	const char *const *names; /* of functions or variables; NULL at the end */
	void *members;		  /* a pointer for each of them */
	void *handle;		  /* as of dlopen(3); NULL: not loaded */
};

#define LIBRARY_MEMBER(name) __typeof__(name) *name;
#define LIBRARY_NAME(name)   #name,
#define LIBRARY(file, functions, members) \
	{file, (const char *const[]){functions(LIBRARY_NAME) NULL}, &members, NULL}

/* ERR_UNSUPPORTED: it cannot be loaded, or lacks a function. Any thread. */
int library_load(struct library *library, struct error *err);

#endif
