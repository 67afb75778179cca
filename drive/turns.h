/*
 * Drives that are opened when they are read, and closed again when others need their place: so a
 * server that takes a limited number of connections can be read drive by drive, however many drives
 * it exports.
 */
#ifndef DRIVE_TURNS_H
#define DRIVE_TURNS_H

#include "base/error.h"

#include <pthread.h>

struct drive;
struct turn;

struct turns {
	unsigned
		n_places; /* so many drives are open at a time, or fewer if no more can be opened */
	/* Opens the drive of that name; one call at a time, from any thread that reads. Once it
	 * failed with no other drive to close for it, all that are not open fail as that one did.
	 */
	int (*open)(void *context, const char *name, struct drive **out, struct error *err);
	void *context;

	pthread_mutex_t lock; /* guards the rest, which turns_init sets */
	pthread_cond_t idle;
	struct turn *first;
	unsigned n_open;
	uint64_t clock; /* counts reads */
	struct error failure;
};

void turns_init(struct turns *turns);

/* A drive of that size, to be closed as any other, before turns goes. Nothing is opened yet: what
 * goes wrong then makes reading fail. name is copied. */
int turns_add(struct turns *turns, struct drive **out, const char *name, uint64_t size_bytes,
	      struct error *err);

#endif
