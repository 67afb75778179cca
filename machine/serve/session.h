/*
 * Between serve_backup.c and serve_attend.c.
 */
#ifndef MACHINE_SERVE_SESSION_H
#define MACHINE_SERVE_SESSION_H

#include "machine/serve/client.h"
#include "machine/serve/serve.h"

#include <stdatomic.h>

/* A thread, and the client's way to it. */
struct attendant {
	struct session *session;
	int fd; /* the control socket, borrowed, or a channel's end, owned */
	pthread_t thread;
	bool started;
};

struct session {
	struct serve *serve;
	int fd;			      /* borrowed: the client */
	const struct served **drives; /* owned array, as volumes */
	struct volume **volumes;
	uint32_t n_volumes;	 /* and drives */
	struct buffer *buffer;	 /* owned */
	struct capture *capture; /* owned; NULL before the instant */
	uint32_t n_chunks;
	_Atomic(struct chunk *) *lent; /* by index: the client has it. Owned array */
	struct timespec began;

	struct attendant listener; /* at the control socket */
	struct attendant channels[LIVE_CHANNELS_MAX];
	uint32_t n_channels;
	atomic_bool done; /* all was given */

	pthread_mutex_t lock;  /* guards the rest */
	bool over;	       /* the client has gone, or is to be left */
	struct error nonsense; /* why it is left, if it is told */
};

/* One more, for a channel that the client is sent an end of. Before attendants_start. */
int attendants_add(struct session *session, struct error *err);
/* On failure nothing is left of them but what attendants_join waits for. */
int attendants_start(struct session *session, struct error *err);
/* The buffer has failed: ends the channels, and waits until the client has gone. */
void attendants_join(struct session *session);
void attendants_free(struct session *session);

/* The client has gone, or is to be left. */
bool session_is_over(struct session *session);

#endif
