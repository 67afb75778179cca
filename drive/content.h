/*
 * What the bytes of a drive look like. This never decides how they are read or written, because a
 * guest controls them. But if the user gave no format, and they look like another format than the
 * name says, going on would be a gamble with the user's data.
 */
#ifndef DRIVE_CONTENT_H
#define DRIVE_CONTENT_H

#include "base/error.h"

#define CONTENT_END_SIZE 512u

struct content {
	uint8_t head[CONTENT_END_SIZE];
	uint8_t tail[CONTENT_END_SIZE]; /* the last bytes */
	size_t n_head, n_tail;
};

/* Reads both ends. After a short or failed read there is less to look at. */
void content_read(struct content *out, int fd, uint64_t size_bytes);
struct nbdclient;
void content_ask(struct content *out, struct nbdclient *client);

enum content_use {
	CONTENT_SOURCE,	     /* to be read */
	CONTENT_SERVED,	     /* to be read and written by a guest */
	CONTENT_NBD_SOURCE,  /* to be read, as the raw bytes that a server has */
	CONTENT_FILE_TARGET, /* to be overwritten */
	CONTENT_RAW_TARGET,  /* the same, where no image can be created: a device, a URI */
};

/* ERR_USAGE, with the ways out, if the content looks like another format than this one, which only
 * the name of the file suggests. */
int content_check(const struct content *content, const char *path, const char *format,
		  enum content_use use, struct error *err);

#endif
