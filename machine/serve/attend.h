/*
 * What the client of a backup asks for while it runs, and gives back.
 */
#ifndef MACHINE_SERVE_ATTEND_H
#define MACHINE_SERVE_ATTEND_H

#include "machine/serve/backup_state.h"

/* One more, for a data channel that the client is sent an end of. Before attendants_start. */
int attendants_add(struct serve_backup *backup, struct error *err);
/* attendants_join has to be called on failure, too. */
int attendants_start(struct serve_backup *backup, struct error *err);
/* The buffer has failed: ends the data channels, and waits until the client has gone. */
void attendants_join(struct serve_backup *backup);
void attendants_free(struct serve_backup *backup);

/* The client has gone, or is to be dropped. */
bool backup_is_over(struct serve_backup *backup);

#endif
