/*
 * What was got out of a file system.
 */
#ifndef DEVICE_PEEK_RESULT_H
#define DEVICE_PEEK_RESULT_H

#include <stdbool.h>
#include <stdint.h>

struct peek_result {
	const char *program; /* that read it */
	bool keeps_owners;   /* owners, modes and times are known */
	uint64_t n_files, n_folders, n_links, bytes;
	uint64_t n_failed;	/* of a folder: could not be read; each was told */
	uint64_t n_left;	/* links, devices and the like that were left out; each was told */
	uint64_t n_owners_lost; /* are known, and this user may not set them */
};

#endif
