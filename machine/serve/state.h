/*
 * A running serve, as its parts see it. Each uses those above it:
 *
 *   export.c    what the NBD server asks of a drive
 *   drives.c    opening and closing drives and their maps
 *   status.c    what status tells
 *   attend.c    what the client of a backup is given
 *   backup.c    one backup: the capture here, the archive in the client
 *   control.c   the control socket: a thread for it and one for each client
 *   serve.c     opens all, waits for the end, closes all
 */
#ifndef MACHINE_SERVE_STATE_H
#define MACHINE_SERVE_STATE_H

#include "cow/capture.h"
#include "drive/argument.h"
#include "machine/serve/options.h"
#include "nbd/server.h"

#include <pthread.h>

struct control;
struct serve_backup;
struct watcher;

struct served {
	struct drive_argument argument;
	char own_name[16]; /* of a drive without one: "disk0" */
	struct drive *drive;
	const char *map_file;	/* or NULL: the map is in memory */
	struct generation *map; /* NULL: read only */
	struct volume *volume;
};

struct serve {
	const struct serve_options *options;
	const struct watcher *watcher;
	struct served *drives;
	uint32_t n_drives;
	struct nbdserver *nbd;
	struct control *control;
	int wake;		/* an eventfd: readable when the serve is to end */
	struct error map_error; /* a map that could not be closed */
	double began_s;		/* by clock_s */

	pthread_mutex_t lock;	     /* guards backup and what it points to, and the counters */
	struct serve_backup *backup; /* NULL: none is running */
	uint64_t n_backups_done, n_backups_failed;
};

#endif
