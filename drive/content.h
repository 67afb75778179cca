/*
 * What the bytes of a drive look like. That never chooses how they are read or written, because a
 * guest controls them. But when nobody said what they are, and they look like something else than
 * the name says, going on would be a guess with somebody's data.
 */
#ifndef DRIVE_CONTENT_H
#define DRIVE_CONTENT_H

#include "base/error.h"

#define CONTENT_END_SIZE 512u

struct content {
	uint8_t head[CONTENT_END_SIZE];
	uint8_t tail[CONTENT_END_SIZE]; /* the last bytes, if there are so many */
	size_t n_head, n_tail;
};

/* What can be read of it: a short or failed read gives less to look at. */
void content_read(struct content *out, int fd, uint64_t size_bytes);
struct nbdclient;
void content_ask(struct content *out, struct nbdclient *client);

enum content_use {
	CONTENT_SOURCE,	     /* is read */
	CONTENT_SERVED,	     /* is read and written by a guest */
	CONTENT_NBD_SOURCE,  /* the same, behind a URI: what is there is raw */
	CONTENT_FILE_TARGET, /* is overwritten */
	CONTENT_RAW_TARGET,  /* the same, where no image can be made: a device, a URI */
};

/* ERR_USAGE, and the ways out, when it looks like another format than this one, which nobody but
 * the name of the file has chosen. */
int content_check(const struct content *content, const char *path, const char *format,
		  enum content_use use, struct error *err);

#endif
