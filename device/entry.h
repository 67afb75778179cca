/*
 * What is in a folder of a file system, and whoever reads that. Private to device/.
 */
#ifndef DEVICE_ENTRY_H
#define DEVICE_ENTRY_H

#include "base/error.h"

#define ENTRY_NAME_MAX 255u
#define ENTRY_LINK_MAX 4096u /* bytes of a symbolic link, with its NUL */

enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_LINK, ENTRY_OTHER };

/* Untrusted, but for its name, which is that of one thing in a folder. */
struct file_entry {
	char name[ENTRY_NAME_MAX + 1];
	enum entry_kind kind;
	uint64_t id; /* the same for all names of a file; 0: not known */
	uint64_t size_bytes;
	uint32_t mode, uid, gid; /* if has_owner */
	uint32_t n_links;
	int64_t time_s; /* of its last change; if has_time */
	uint32_t time_ns;
	bool has_owner, has_time;
};

struct entries {
	struct file_entry *of; /* owned */
	size_t n, room;
	size_t most;	     /* there may be no more; 0: any number */
	uint64_t n_unusable; /* have names that cannot be used */
	char *unread;	     /* owned: names of others, in one text; or NULL */
};

/* False: it is not the name of one thing in a folder. */
bool entry_name_set(struct file_entry *entry, const char *name, size_t n);
int entries_add(struct entries *entries, const struct file_entry *entry, struct error *err);
void entries_free(struct entries *entries);

struct entry_sink {
	int (*take)(void *context, const void *bytes, size_t n); /* 0 or errno */
	void *context;
};

/* A program that reads file systems. Paths begin with '/'; id: what is known of the same, or 0. */
struct entry_reader {
	const char *program;
	/* Without "." and "..". */
	int (*list)(void *context, const char *path, uint64_t id, struct entries *out,
		    struct error *err);
	/* What a listing does not tell of it, and of a link where it leads. */
	int (*look)(void *context, struct file_entry *entry, char target[ENTRY_LINK_MAX],
		    struct error *err);
	/* All of its size_bytes go to the sink. */
	int (*read)(void *context, const char *path, const struct file_entry *entry,
		    const struct entry_sink *sink, struct error *err);
	void *context;
};

#endif
