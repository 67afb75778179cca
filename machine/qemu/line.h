/*
 * Lines of text to and from another program on a unix socket: QEMU's monitor, the guest agent. The
 * peer is not trusted: it may be slow, send too much, or hang up; memory and time are bounded.
 */
#ifndef MACHINE_QEMU_LINE_H
#define MACHINE_QEMU_LINE_H

#include "base/error.h"

#include <sys/socket.h>

#define LINE_SIZE_MAX (16u << 20) /* bytes; the longest known, QEMU's schema, has 300 KiB */

struct line;

/* what: for messages, before the path. Both borrowed. */
int line_open(struct line **out, const char *what, const char *path, struct error *err);
/* Takes over a connected socket, also when it fails. */
int line_adopt(struct line **out, const char *what, const char *path, int fd, struct error *err);
void line_close(struct line *line);   /* NULL-safe */
int line_fd(const struct line *line); /* borrowed */

int line_send(struct line *line, const char *bytes, size_t n, int timeout_ms, struct error *err);
/* The next line without its end, as a text that is borrowed until the next call. 1: there it is, 0:
 * not in time. */
int line_read(struct line *line, int timeout_ms, char **text, size_t *n, struct error *err);

/* "WHAT PATH" */
const char *line_name(const struct line *line);
/* The process that listens, and its owner now. False: not known, as over TCP. */
bool line_peer(const struct line *line, struct ucred *peer);

#endif
