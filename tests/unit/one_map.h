/* A map in a file of the scratch folder, and the drive that it belongs to. */
#ifndef TESTS_UNIT_ONE_MAP_H
#define TESTS_UNIT_ONE_MAP_H

#include "cow/generation.h"
#include "cow/map_parts.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB 1048576u

static inline void write_drive(uint64_t at)
{
	int fd = open(scratch("drive"), O_WRONLY | O_CREAT, 0600);

	if (pwrite(fd, "x", 1, (off_t)at) != 1)
		CU_FAIL("writing");
	close(fd);
}

static inline void make_drive(void)
{
	unlink(scratch("map"));
	unlink(scratch("drive"));
	write_drive(3 * MIB - 1);
}

static inline int open_map(struct generation **out, struct error *err)
{
	struct stat drive;

	*out = NULL;
	if (stat(scratch("drive"), &drive) != 0)
		CU_FAIL_FATAL("no drive");
	memset(err, 0, sizeof *err);
	return generation_open(out, scratch("map"), scratch("drive"), (uint64_t)drive.st_size, err);
}

/* Changes the header that counts. */
static inline void patch_header(void (*change)(struct map_header *header))
{
	size_t n;
	uint8_t *file = (uint8_t *)scratch_read(scratch("map"), &n);
	struct map_header header;
	struct error err;

	CU_ASSERT(map_header_get(&header, file, "map", &err) == 0);
	header.sequence++;
	change(&header);
	map_header_put(file, &header);
	scratch_write(scratch("map"), file, n);
	free(file);
}

static inline void other_boot(struct map_header *header)
{
	header->boot_id[3] ^= 1;
}

#endif
