/*
 * In a guest: writes 4 KiB at random places of a device, RATE times a second, one at a time, each
 * past the guest's page cache and flushed, and prints the microseconds that each took.
 *
 *	paced_writes DEVICE RATE
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_SIZE = 4096 };

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	uint64_t size_bytes = 0, state = 1;
	void *block;
	int fd;

	if (argc != 3)
		errx(2, "usage: paced_writes DEVICE RATE");
	fd = open(argv[1], O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC);
	if (fd == -1 || ioctl(fd, BLKGETSIZE64, &size_bytes) == -1)
		err(1, "%s", argv[1]);
	block = aligned_alloc(WRITE_SIZE, WRITE_SIZE);
	if (block == NULL)
		err(1, "memory");
	for (int64_t next_us = now_us(), pause_us = 1000000 / atoi(argv[2]);; next_us += pause_us) {
		int64_t begin_us = now_us();

		if (begin_us < next_us)
			usleep((useconds_t)(next_us - begin_us));
		else
			next_us = begin_us; /* late ones are not made up for */
		state = state * 6364136223846793005U + 1442695040888963407U;
		*(uint64_t *)block = state;
		begin_us = now_us();
		if (pwrite(fd, block, WRITE_SIZE,
			   (off_t)((state >> 20) % (size_bytes / WRITE_SIZE) * WRITE_SIZE)) !=
		    WRITE_SIZE)
			err(1, "%s", argv[1]);
		printf("write %lld\n", (long long)(now_us() - begin_us));
		fflush(stdout);
	}
}
