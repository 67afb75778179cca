/*
 * A process of its own that cleans up after a push backup that was killed: QEMU's jobs then wait
 * for answers that nobody gives, and with them the guest's writes. It has nothing else to do, and
 * shares nothing with the backup that could go wrong with it but the pipe by which it learns of its
 * end.
 */
#ifndef CLI_GUARD_H
#define CLI_GUARD_H

#include "cli/options.h"

struct guard;

/* To be called before anything is done to QEMU, and before there is a folder. */
int guard_start(struct guard **out, const struct options *options, const char *id,
		struct error *err);
/* The same with arguments of one's own, for a command that reads guard_last_word. */
int guard_spawn(struct guard **out, char *const arguments[], struct error *err);
void guard_tell(struct guard *guard, char word);
/* Has the guard clean up at once, and waits for it, but not for ever. True: it did all. Frees. */
bool guard_clean_up(struct guard *guard, unsigned timeout_s);
/* In the guard: waits until the other side has gone. 0: it said nothing. */
char guard_last_word(void);

/* The guest is about to be frozen, or is thawed: if we die in between, the guard thaws. */
void guard_frozen(struct guard *guard, bool frozen);
/* done: there is nothing left to clean up. Otherwise the guard does what it can, in the background.
 * NULL-safe. */
void guard_end(struct guard *guard, bool done);

#endif
