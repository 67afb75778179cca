/*
 * Who puts another tape into the drive: a command of the user's, or the user, who is asked at the
 * terminal.
 *
 * A shell that waits for its first order is started before this process gives up access to files,
 * so what it runs is not confined. It ends with this process. Not for several threads at once.
 */
#ifndef BASE_CHANGER_H
#define BASE_CHANGER_H

#include "base/error.h"

struct changer;

/* For all tapes of this process. command: run by /bin/sh, borrowed; NULL: the user is asked, if
 * there is a terminal. */
void changer_set(const char *command);
/* Whether there is anybody to change tapes. */
bool changer_is_set(void);
/* Whether this is a tape whose drive may have to be opened again for the next one. */
bool changer_may_change(const char *tape);

/* What is wanted. In the environment of the command these are VMABAK_TAPE, VMABAK_VOLUME,
 * VMABAK_ARCHIVE, VMABAK_USE (write or read) and VMABAK_WHY. Borrowed. */
struct changer_order {
	const char *tape, *archive; /* the name of the drive; the uuid of the archive */
	const char *use;
	const char *why; /* one line: what is wanted, or what was wrong with the last tape */
	uint32_t volume;
};

/* tape: the name of the drive. *out is NULL where nobody is set. */
int changer_start(struct changer **out, const char *tape, struct error *err);
/* Returns when the tape is said to be in the drive. The drive must not be open meanwhile. An error:
 * there will be none. */
int changer_next(struct changer *changer, const struct changer_order *order, struct error *err);
/* How many tapes to look at before the volume is given up: a command that does nothing must not be
 * asked for ever. */
unsigned changer_tries(const struct changer *changer);
void changer_free(struct changer *changer); /* NULL-safe */

#endif
