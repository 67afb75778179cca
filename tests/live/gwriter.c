/*
 * The dependent writers of tests/live/chain.h on files and block devices, for inside a guest: no
 * library but libc, so that it can be linked statically. One chain; it ends on SIGTERM or SIGINT or
 * after --operations.
 *
 *	gwriter [--seed N] [--align N] [--longest N] [--no-zeroes] [--no-trims] [--operations N]
 *		[--rate N] [--resume] [--direct] FILE-OR-DEVICE...
 *
 * --direct opens with O_DIRECT and O_DSYNC: what is answered has reached the device. It is what a
 * guest must use, as its page cache is not on the drive. Alignment is then 512 or more.
 */
#include "tests/live/options.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct drive {
	const char *path;
	int fd;
	bool device;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t open_drive(struct drive *drive, const char *path, bool direct)
{
	struct stat st;
	uint64_t size_bytes = 0;

	drive->path = path;
	drive->fd = open(path, O_RDWR | O_CLOEXEC | (direct ? O_DIRECT | O_DSYNC : 0));
	if (drive->fd == -1 || fstat(drive->fd, &st) == -1)
		err(1, "%s", path);
	drive->device = S_ISBLK(st.st_mode);
	size_bytes = (uint64_t)st.st_size;
	if (drive->device && ioctl(drive->fd, BLKGETSIZE64, &size_bytes) == -1)
		err(1, "%s: size", path);
	return size_bytes;
}

static int zero_or_trim(const struct drive *drive, const struct step *step)
{
	uint64_t range[2] = {step->offset, step->n};
	bool zero = step->kind == STEP_ZERO;

	if (drive->device)
		return ioctl(drive->fd, zero ? BLKZEROOUT : BLKDISCARD, range);
	return fallocate(drive->fd,
			 FALLOC_FL_KEEP_SIZE | (zero ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE),
			 (off_t)step->offset, step->n);
}

static void do_step(const struct chain_set *set, const struct drive *drives,
		    const struct step *step, uint8_t *bytes)
{
	const struct drive *drive = &drives[step->drive];

	if (step->kind != STEP_WRITE) {
		if (zero_or_trim(drive, step) == -1)
			err(1, "%s: byte %" PRIu64, drive->path, step->offset);
		return;
	}
	chain_fill(set, step, bytes);
	ssize_t n = pwrite(drive->fd, bytes, step->n, (off_t)step->offset);
	if (n != (ssize_t)step->n)
		err(1, "%s: byte %" PRIu64 ": %zd written", drive->path, step->offset, n);
}

/* The header of 0 on all drives, or the place to go on from. */
static uint64_t begin(const struct writer_options *o, const struct drive *drives, uint8_t *bytes)
{
	uint64_t place = 0, least = UINT64_MAX, operation = 0;
	struct chain_set found;
	uint32_t chain, drive;
	struct step step;

	for (uint32_t i = 0; i < o->set.n_drives; i++) {
		chain_header(&o->set, 0, i, 0, &step);
		if (!o->resume) {
			do_step(&o->set, drives, &step, bytes);
			continue;
		}
		if (pread(drives[i].fd, bytes, step.n, (off_t)step.offset) != (ssize_t)step.n ||
		    !chain_parse(bytes, &found, &chain, &drive, &operation))
			errx(1, "%s: no header to go on from", drives[i].path);
		if (!chain_same(&found, &o->set))
			errx(1, "%s: was written to with other options", drives[i].path);
		if (operation < least) {
			least = operation;
			place = 2 * (least * o->set.n_drives + i);
		}
	}
	return place;
}

int main(int argc, char **argv)
{
	struct drive drives[CHAIN_DRIVES_MAX];
	struct writer_options o;
	struct sigaction act = {.sa_handler = stop};
	uint8_t *bytes;

	options_read(&o, argc, argv);
	for (uint32_t i = 0; i < o.set.n_drives; i++)
		o.set.size_bytes[i] = open_drive(&drives[i], o.drives[i], o.direct);
	const char *wrong = chain_check(&o.set);
	if (wrong != NULL || o.set.n_chains != 1)
		errx(2, "%s", wrong != NULL ? wrong : "one chain");
	bytes = aligned_alloc(CHAIN_ALIGN_MAX, CHAIN_LONGEST_MAX);
	if (bytes == NULL)
		err(1, "memory");
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	uint64_t place = begin(&o, drives, bytes), round = 2 * o.set.n_drives;
	struct timespec pause = {0, o.rate != 0 ? (long)(1000000000u / (o.rate + 1)) : 0};
	puts("ready");
	fflush(stdout);
	for (; !stopped && (o.operations == 0 || place < o.operations * round); place++) {
		struct step step;
		chain_step(&o.set, 0, place, &step);
		do_step(&o.set, drives, &step, bytes);
		if (o.rate != 0)
			nanosleep(&pause, NULL);
	}
	printf("{\"operations\": %" PRIu64 "}\n", place / round);
	free(bytes);
	return 0;
}
