/*
 * A running backup, between backup.c, attend.c and status.c.
 */
#ifndef MACHINE_SERVE_BACKUP_STATE_H
#define MACHINE_SERVE_BACKUP_STATE_H

#include "machine/serve/protocol.h"
#include "machine/serve/state.h"

#include <stdatomic.h>

/* A thread, and the client's way to it. */
struct attendant {
	struct serve_backup *backup;
	int fd; /* the control socket, borrowed, or our end of a data channel, owned */
	pthread_t thread;
	bool started;
};

struct serve_backup {
	struct serve *serve;
	int fd;			      /* borrowed: the client's control socket */
	const struct served **drives; /* owned array, as volumes */
	struct volume **volumes;
	uint32_t n_volumes;	 /* and drives */
	struct buffer *buffer;	 /* owned */
	struct capture *capture; /* owned; NULL before the instant */
	uint32_t n_chunks;
	_Atomic(struct chunk *) *lent; /* by index: the client has it. Owned array */
	double began_s;		       /* the instant, by clock_s */

	struct attendant listener; /* at the control socket */
	struct attendant channels[PROTOCOL_CHANNELS_MAX];
	uint32_t n_channels;
	atomic_bool done; /* all was given */

	pthread_mutex_t lock; /* guards the rest */
	bool over;	      /* the client has gone, or is to be dropped */
	struct error misuse;  /* why it is dropped, if it is to be told */
};

#endif
