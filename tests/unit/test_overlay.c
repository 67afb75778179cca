/*
 * An overlay that takes all of a drive while it is written to: what a guest wrote is never put
 * back, what was answered outlives the process, and only what was flushed counts after a crash of
 * the host.
 */
#include "drive/overlay.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE	 ((3u << 20) + 70001u)
#define PADDED	 ((SIZE + 4095u) / 4096u * 4096u)
#define PAGE	 4096u
#define PIECE	 65536u
#define N_WRITES 400u

static uint8_t truth[SIZE];

static int read_truth(void *context, uint64_t offset, void *to, size_t n, bool now)
{
	(void)context;
	(void)now;
	memcpy(to, truth + offset, n);
	return 0;
}

static int status_of_truth(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	(void)context;
	*n = SIZE - offset;
	*zero = false;
	return 0;
}

static const struct drive_content below = {read_truth, status_of_truth, NULL, SIZE};
static struct overlay_shared shared;

/* As live restores have it: the data first, then the bits, durable and present. */
static struct drive *open_it(int *fd, bool crashed)
{
	struct overlay_place place = {.bits_at = PADDED, .kept = true, .shared = &shared};
	struct drive *drive = NULL;
	struct error err;

	*fd = open(scratch("f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(*fd >= 0 && ftruncate(*fd, PADDED + 2 * PAGE) == 0);
	CU_ASSERT_EQUAL(overlay_bits_size(SIZE), PAGE);
	place.fd = *fd;
	place.present_at = crashed ? 0 : PADDED + PAGE;
	shared = (struct overlay_shared){.n_left = UINT64_MAX / 2};
	pthread_mutex_init(&shared.flushing, NULL);
	CU_ASSERT_EQUAL_FATAL(drive_overlay_open(&drive, "d", &below, &place, &err), 0);
	return drive;
}

static void close_it(struct drive *drive, int fd)
{
	drive_close(drive);
	close(fd);
}

static bool holds(struct drive *drive, uint64_t offset, const void *bytes, uint32_t n)
{
	uint8_t *found = malloc(n);
	bool same = drive_fetch(drive, offset, found, n, 0) == 0 && memcmp(found, bytes, n) == 0;

	free(found);
	return same;
}

static void begin(void)
{
	unlink(scratch("f"));
	scratch_fill(truth, SIZE, 7);
}

static void what_was_answered_outlives_the_process(void)
{
	int fd;
	struct drive *drive;

	begin();
	drive = open_it(&fd, false);
	CU_ASSERT_EQUAL(drive_write(drive, 5000, "first", 5, 0), 0);
	CU_ASSERT_EQUAL(drive_flush(drive), 0);
	CU_ASSERT_EQUAL(drive_write(drive, 70000, "second", 6, 0), 0);
	CU_ASSERT_EQUAL(drive_overlay_fill(drive, 131072, truth + 131072, PIECE), 0);
	close_it(drive, fd);

	drive = open_it(&fd, false);
	CU_ASSERT_TRUE(holds(drive, 5000, "first", 5));
	CU_ASSERT_TRUE(holds(drive, 70000, "second", 6));
	CU_ASSERT_EQUAL(drive_overlay_missing_bytes(drive), SIZE - 2 * 4096 - PIECE);
	close_it(drive, fd);

	/* The host crashed: the file may have anything where no bit is durable. */
	drive = open_it(&fd, true);
	CU_ASSERT_TRUE(holds(drive, 5000, "first", 5));
	CU_ASSERT_TRUE(holds(drive, 70000, truth + 70000, 6));
	CU_ASSERT_EQUAL(drive_overlay_missing_bytes(drive), SIZE - 4096);
	close_it(drive, fd);

	/* One that was killed knows on its next run that bits are not durable yet. */
	drive = open_it(&fd, false);
	CU_ASSERT_EQUAL(drive_flush(drive), 0);
	close_it(drive, fd);
	drive = open_it(&fd, true);
	CU_ASSERT_TRUE(holds(drive, 70000, "second", 6));
	close_it(drive, fd);
}

struct guest {
	struct drive *drive;
	uint8_t *model;
	bool failed;
};

/* Writes, in and across blocks, from one end to the other and again; parts of blocks and zeros
 * among them. */
static void *guest_thread(void *argument)
{
	struct guest *guest = argument;
	uint32_t seed = 12345;

	for (unsigned i = 0; i < N_WRITES; i++) {
		uint32_t offset, n;

		seed = seed * 1664525u + 1013904223u;
		offset = seed / 7 % (SIZE - 10000);
		n = i % 3 == 0 ? 4096 : 1 + seed % 9999;
		if (i % 3 == 0)
			offset -= offset % 4096;
		if (i % 5 == 0) {
			memset(guest->model + offset, 0, n);
			guest->failed |= drive_zero(guest->drive, offset, n, DRIVE_MAY_TRIM) != 0;
		} else {
			scratch_fill(guest->model + offset, n, i);
			guest->failed |=
				drive_write(guest->drive, offset, guest->model + offset, n, 0) != 0;
		}
		guest->failed |= !holds(guest->drive, offset, guest->model + offset, n);
	}
	return NULL;
}

static void fill_all(struct drive *drive)
{
	uint64_t offset = 0, n;

	while (drive_overlay_missing(drive, &offset, &n)) {
		n = n < PIECE ? n : PIECE;
		CU_ASSERT_EQUAL(drive_overlay_fill(drive, offset, truth + offset, n), 0);
	}
}

static void filling_puts_nothing_over_what_a_guest_wrote(void)
{
	struct guest guest = {.model = malloc(SIZE)};
	pthread_t thread;
	int fd;

	begin();
	memcpy(guest.model, truth, SIZE);
	guest.drive = open_it(&fd, false);
	memcpy(guest.model + 8192, "before", 6);
	CU_ASSERT_EQUAL(drive_write(guest.drive, 8192, "before", 6, 0), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, guest_thread, &guest), 0);
	/* The range counts from before the guest wrote into it, as for what is read meanwhile. */
	for (uint64_t at = 0; at < SIZE; at += PIECE)
		CU_ASSERT_EQUAL(drive_overlay_fill(guest.drive, at, truth + at,
						   SIZE - at < PIECE ? SIZE - at : PIECE),
				0);
	pthread_join(thread, NULL);
	CU_ASSERT_FALSE(guest.failed);
	CU_ASSERT_EQUAL(drive_overlay_missing_bytes(guest.drive), 0);
	CU_ASSERT_TRUE(holds(guest.drive, 0, guest.model, SIZE));
	close_it(guest.drive, fd);
	free(guest.model);
}

static void one_that_is_complete_is_a_plain_file(void)
{
	struct stat st;
	int fd;
	struct drive *drive;

	begin();
	drive = open_it(&fd, false);
	CU_ASSERT_EQUAL(drive_write(drive, 4096, truth, 4096, 0), 0);
	fill_all(drive);
	CU_ASSERT_EQUAL(drive_overlay_complete(drive), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, SIZE), 0);
	memcpy(truth + 4096, truth, 4096);
	memcpy(truth + SIZE - 3, "end", 3);
	CU_ASSERT_EQUAL(drive_write(drive, SIZE - 3, "end", 3, DRIVE_FUA), 0);
	CU_ASSERT_EQUAL(drive_flush(drive), 0);
	CU_ASSERT_TRUE(fstat(fd, &st) == 0 && st.st_size == SIZE);
	CU_ASSERT_TRUE(holds(drive, 0, truth, SIZE));
	close_it(drive, fd);
	CU_ASSERT_TRUE(scratch_is(scratch("f"), truth, SIZE));
}

void test_overlay(void)
{
	CU_pSuite suite = CU_add_suite("overlay that takes all", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_was_answered_outlives_the_process);
	CU_ADD_TEST(suite, filling_puts_nothing_over_what_a_guest_wrote);
	CU_ADD_TEST(suite, one_that_is_complete_is_a_plain_file);
}
