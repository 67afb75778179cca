/*
 * A process of its own that cleans up after a backup that was killed: QEMU's jobs then wait for
 * answers that nobody gives, and with them the guest's writes. It is also the one that has the
 * guest agent freeze and thaw: when the backup is stopped in between, the guard thaws by its own
 * timer. It shares nothing with the backup but a socket.
 */
#ifndef MACHINE_GUARD_H
#define MACHINE_GUARD_H

#include "machine/options.h"

struct agent;
struct guard;

/* To be called before anything is done to QEMU, and before there is a folder. */
int guard_start(struct guard **out, const struct machine_options *options, const char *id,
		struct error *err);
/* The same with arguments of one's own, for a command that reads guard_last_word. */
int guard_spawn(struct guard **out, char *const arguments[], struct error *err);
void guard_tell(struct guard *guard, char word);
/* Has the guard clean up at once, and waits for it, but not for ever. True: it did all. Frees. */
bool guard_clean_up(struct guard *guard, unsigned timeout_s);
/* done: there is nothing left to clean up. Otherwise the guard does what it can, in the background.
 * NULL-safe. */
void guard_end(struct guard *guard, bool done);

/* Has the guard freeze the guest by the agent's connection, which is not to be used meanwhile. *n:
 * the file systems. Whatever it returns: guard_thaw. */
int guard_freeze(struct guard *guard, const struct agent *agent, uint64_t timeout_s, uint64_t *n,
		 struct error *err);
/* The instant is over. Waits until the guest is thawed; warning tells if that failed. ERR_SYSTEM:
 * it had been thawed before, so the instant may not have been quiet. */
int guard_thaw(struct guard *guard, struct agent *agent, struct error *warning, struct error *err);

/* In the guard: waits until the other side has gone, and returns its last word; 0: none. For a word
 * that comes with a descriptor, freeze is called. */
char guard_last_word(void (*freeze)(int fd));
/* In freeze: tells how it went. */
void guard_say_frozen(uint64_t n, const struct error *err);
/* Until the other side says that the instant is over, has gone, or the time is. */
void guard_await_instant(uint64_t timeout_s);
void guard_say_thawed(const struct error *err);

#endif
