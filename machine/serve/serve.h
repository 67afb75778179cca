/*
 * A running serve, and who does what in it:
 *
 *   cmd_serve.c       opens all, waits for the end, closes all in order
 *   serve_export.c    what the NBD server asks of a drive
 *   serve_control.c   the control socket: a thread for it and one for each client
 *   serve_backup.c    one backup: the capture here, the archive in the client
 *   serve_attend.c    what that client is given meanwhile
 *   serve_status.c    what status tells
 */
#ifndef MACHINE_SERVE_SERVE_H
#define MACHINE_SERVE_SERVE_H

#include "base/name.h"
#include "drive/argument.h"
#include "cow/capture.h"
#include "nbd/server.h"

#include <pthread.h>
#include <time.h>

#define SERVED_MAX 64u /* drives of one serve */

struct json_t;
struct watcher;
struct serve_control;
struct session;

struct served {
	struct drive_argument argument;
	char own_name[16]; /* of a drive without one: "disk0" */
	struct drive *drive;
	const char *map_file;	/* or NULL: the map is in memory */
	struct generation *map; /* NULL: read only */
	struct volume *volume;
};

/* What a user may say about a serve. */
struct serve_options {
	struct strings arguments; /* [NAME=]DRIVE */
	const char *control;	  /* the control socket */
	struct strings nbd;	  /* unix:PATH or HOST:PORT */
	bool read_only;
	struct strings maps; /* [NAME=]FILE */
	const char *tls_certificates;
	const char *tls_psk;
	bool tls_verify_peer;
	bool plain_loopback;
};

struct serve {
	const struct serve_options *options;
	const struct watcher *watcher;
	struct served *drives;
	uint32_t n_drives;
	struct nbdserver *nbd;
	struct serve_control *control;
	int wake;		/* an eventfd: readable when it is to end */
	struct error map_error; /* a map that could not be closed */
	struct timespec began;

	pthread_mutex_t lock; /* guards session and what it points to, and the counters */
	struct session *session;
	uint64_t n_backups_done, n_backups_failed;
};

/* Has the main thread end the serve in order. Any thread. */
void serve_wake(const struct serve *serve);

/* The export of a drive; what it points to is borrowed from served. */
struct nbdserver_export serve_export(const struct served *served, bool read_only);

/* From here on clients are served. */
int serve_control_open(struct serve *serve, struct error *err);
/* No new clients; the others are cut, and so the backup ends, but for one that asked to stop. */
void serve_control_cut(struct serve *serve);
/* After that: the one that asked is told how it went. */
void serve_control_close(struct serve *serve, const struct error *how);

/* A whole backup, with the client at fd that asked for it. Comes back when the client has gone,
 * or with an error it could be told. */
int serve_backup(struct serve *serve, int fd, const struct json_t *request, struct error *err);
/* What a capture did so far. */
void serve_backup_counts(struct json_t *out, const struct capture *capture,
			 const struct buffer *buffer);
/* Into "backup", if one runs. */
void serve_backup_status(struct serve *serve, struct json_t *out);

void serve_status(struct serve *serve, struct json_t *out);

#endif
