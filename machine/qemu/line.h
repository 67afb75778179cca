/*
 * Lines of text to and from another program on a unix socket: QEMU's monitor, the guest agent. The
 * other side is not trusted: it can be slow, say too much, or hang up, and costs a bounded memory
 * and time.
 */
#ifndef MACHINE_QEMU_LINE_H
#define MACHINE_QEMU_LINE_H

#include "base/error.h"

#include <sys/socket.h>

#define CHANNEL_LINE_MAX (16u << 20) /* bytes; the longest known, QEMU's schema, has 300 KiB */

struct channel;

/* what: for messages, before the path. Both borrowed. */
int channel_open(struct channel **out, const char *what, const char *path, struct error *err);
/* Takes over a connected socket. */
struct channel *channel_adopt(const char *what, const char *path, int fd);
void channel_close(struct channel *channel);   /* NULL-safe */
int channel_fd(const struct channel *channel); /* borrowed */

int channel_send(struct channel *channel, const char *bytes, size_t n, int timeout_ms,
		 struct error *err);
/* The next line without its end, as a text that is borrowed until the next call. 1: there it is, 0:
 * not in time. */
int channel_line(struct channel *channel, int timeout_ms, char **line, size_t *n,
		 struct error *err);

/* "WHAT PATH" */
const char *channel_name(const struct channel *channel);
/* Who the other side is: who owns the process that listens. False: not known. */
bool channel_peer(const struct channel *channel, struct ucred *peer);

/* Milliseconds of a clock that only goes on. */
int64_t channel_now_ms(void);

#endif
