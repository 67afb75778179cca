/*
 * Whoever watches an operation: it is told what a user should know, and how far things are. The
 * command line prints it; tests may leave all of it out. Operations report their results by small
 * structs of their own.
 */
#ifndef BASE_WATCHER_H
#define BASE_WATCHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum watcher_level {
	WATCHER_DETAIL,	 /* for those who asked for more */
	WATCHER_NOTE,	 /* to be known, not to be worried about */
	WATCHER_WARNING, /* done, but the user must know */
};

/* How far a run is. The counters are borrowed until the end, and may be NULL. What is counted is
 * work: data of drives that are backed up, bytes of an archive that is read. Holes are no work. */
struct progress_view {
	const char *label; /* the name of the archive */
	_Atomic uint64_t *done_bytes;
	uint64_t total_bytes; /* of done_bytes at the end; 0: unknown */
	/* NULL, or finds total_bytes in a thread of its own, and ends soon after *stop is set.
	 * UINT64_MAX: unknown. */
	uint64_t (*survey)(void *context, const atomic_bool *stop);
	void *survey_context;
	/* Of the drives, holes included; with of_drives they bound what can be left. */
	_Atomic uint64_t *covered_bytes;
	uint64_t drives_bytes;
	bool of_drives; /* done_bytes are bytes of drives */
	/* The drive at work, and its name made harmless; NULL: unknown. */
	_Atomic uint32_t *drive;
	void (*drive_name)(const void *drives, uint32_t drive, char *out, size_t out_size);
	const void *drives;
	unsigned part, n_parts; /* this is part of n_parts, from 0; percents cover all */
};

/* Pointers that are NULL are not called. One operation at a time has a watcher. */
struct watcher {
	void *context;
	void (*tell)(void *context, enum watcher_level level, const char *text);
	void (*begin)(void *context, const struct progress_view *view);
	void (*end)(void *context, bool done); /* done: all went well */
	/* Ends the process, as a signal would: a thread that does not come back from a call into
	 * the system or a library holds what an orderly end needs. Any thread; does not return. */
	void (*give_up)(void *context, const struct error *why);
};

/* Any of them with a watcher of NULL does nothing. */
void watcher_tell(const struct watcher *watcher, enum watcher_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
#define watcher_warn(watcher, ...)   watcher_tell(watcher, WATCHER_WARNING, __VA_ARGS__)
#define watcher_note(watcher, ...)   watcher_tell(watcher, WATCHER_NOTE, __VA_ARGS__)
#define watcher_detail(watcher, ...) watcher_tell(watcher, WATCHER_DETAIL, __VA_ARGS__)
void watcher_begin(const struct watcher *watcher, const struct progress_view *view);
void watcher_end(const struct watcher *watcher, bool done);
void watcher_give_up(const struct watcher *watcher, const struct error *why);

#endif
