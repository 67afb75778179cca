/*
 * Files and folders of the file systems on a drive of an archive, read by grub-fstest of GRUB, and
 * where it can, by debugfs of e2fsprogs, which also tells owners, modes, times and links.
 *
 * They get the drives by a private mount that is there for as long, and can open nothing but these
 * and the system's programs and libraries, and change nothing but the folder that is got, where the
 * kernel has Landlock. It gives up after five minutes without an answer.
 */
#ifndef DEVICE_PEEK_H
#define DEVICE_PEEK_H

#include "archive/view.h"
#include "device/peek_result.h"

struct peek_options {
	struct view_options view;
	const char *place;   /* DRIVE[:PARTITION][:/PATH] */
	uint64_t most_bytes; /* of a file; 0: as many as its drive has */
	bool streams;	     /* a file is written where fd stands, also if that is a file */
};

struct peek_listing {
	char *text; /* owned, untrusted */
	size_t length;
	bool of_drive; /* its partitions and volumes: "PLACE  WHAT" */
};

/* A line of the listing of a folder. */
struct peek_line {
	char name[256];
	bool is_folder, has_time;
	uint64_t size_bytes;
	int64_t time_s;
};

/* What is in a folder, a line each; without PARTITION and PATH the partitions and volumes of the
 * drive. Even after an error what came before, or a text that is NULL. */
int peek_list(struct peek_listing *out, const struct peek_options *options,
	      const struct watcher *watcher, struct error *err);
/* False: it is of the folder itself or the one above, or of a name that cannot be used. */
bool peek_parse_line(const char *line, size_t n, struct peek_line *out);
/* The bytes of a file are written to fd: where that is a file, and it does not stream, from its
 * start, with holes for zeros, and with its owner, mode and time as far as they are known.
 * ERR_USAGE before anything is read: no PATH of a file is given. */
int peek_get(int fd, struct peek_result *result, const struct peek_options *options,
	     const struct watcher *watcher, struct error *err);
/* A folder with all that is below it becomes the folder at that path, which must not exist. What
 * cannot be read does not keep the rest from being there: *result tells, and ERR_DAMAGED that it is
 * the archive's fault. sync: once all is durable. */
int peek_get_folder(const char *path, bool sync, struct peek_result *result,
		    const struct peek_options *options, const struct watcher *watcher,
		    struct error *err);

/* The last part of PATH, which can be the name of a file; NULL: it has none. */
const char *peek_file_name(const char *place);

#endif
