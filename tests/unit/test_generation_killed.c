/*
 * Maps in files whose process was killed at any moment, and maps of devices.
 */
#include "tests/unit/one_map.h"
#include "tests/unit/suites.h"

#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/* ---- killed at any moment ---- */

#define KILLED_CLUSTERS 4096u

/* Marks and writes one cluster after the other, in an order that jumps, and counts them. */
static void write_on(unsigned seed, _Atomic unsigned *n_done)
{
	struct generation *map;
	struct error err;
	int fd = open(scratch("drive"), O_WRONLY);
	uint32_t at = seed;

	if (open_map(&map, &err) != 0)
		_exit(1);
	for (unsigned i = 0; i < KILLED_CLUSTERS; i++, at += 1237) {
		generation_mark(map, at % KILLED_CLUSTERS, 1);
		if (pwrite(fd, "x", 1, (off_t)(at % KILLED_CLUSTERS) * 65536) != 1)
			_exit(1);
		if (i % 64 == 0)
			generation_advance(map);
		*n_done = i + 1;
	}
	pause();
}

/* Each cluster that has its byte on the drive is in the map. Returns how many are. */
static unsigned check_killed(struct generation *map)
{
	int fd = open(scratch("drive"), O_RDONLY);
	unsigned n_written = 0;

	for (uint64_t at = 0; at < KILLED_CLUSTERS; at++) {
		char byte = 0;
		uint64_t n;
		if (pread(fd, &byte, 1, (off_t)(at * 65536)) != 1)
			CU_FAIL("reading");
		n_written += byte != 0;
		if (byte != 0 && !generation_changed(map, 0, at, &n))
			CU_FAIL("a written cluster is not in the map");
	}
	close(fd);
	return n_written;
}

static void killed_at_any_moment(void)
{
	_Atomic unsigned *n_done = mmap(NULL, sizeof *n_done, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned n_partly = 0;

	CU_ASSERT_FATAL(n_done != MAP_FAILED);
	srand(2);
	for (unsigned round = 0; round < 30; round++) {
		struct generation *map;
		struct error err;
		/* Some while the map is made, the others when so many are written. */
		unsigned wanted = round < 6 ? 0 : 1 + (unsigned)rand() % (KILLED_CLUSTERS / 2);

		*n_done = 0;
		make_drive();
		if (truncate(scratch("drive"), (off_t)KILLED_CLUSTERS * 65536) != 0)
			CU_FAIL("growing");
		pid_t child = fork();
		if (child == 0)
			write_on(round * 7, n_done);
		struct timespec time = {.tv_nsec = 100000 + rand() % 100000};
		do
			nanosleep(&time, NULL);
		while (*n_done < wanted && waitpid(child, NULL, WNOHANG) == 0);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_KILLED || generation_trust(map) == MAP_NEW);
		unsigned n = check_killed(map);
		n_partly += n > 0 && n < KILLED_CLUSTERS;
		CU_ASSERT(generation_close(map, &err) == 0);
	}
	CU_ASSERT(n_partly >= 3);
	munmap(n_done, sizeof *n_done);
}

/* ---- killed while marks come from another map ---- */

#define RAISED_CLUSTERS (24 * 2048u)
#define RAISED_AT_ONCE	(5 * 2048u + 64)

static bool is_raised(uint64_t cluster)
{
	return cluster * 2654435761u % 64 < 3;
}

static void raise_on(_Atomic unsigned *n_done)
{
	uint8_t bits[RAISED_AT_ONCE / 8];
	struct generation *map;
	struct error err;

	if (open_map(&map, &err) != 0)
		_exit(1);
	for (unsigned at = 0; at < RAISED_CLUSTERS; at += RAISED_AT_ONCE) {
		unsigned n = RAISED_CLUSTERS - at;

		n = n < RAISED_AT_ONCE ? n : RAISED_AT_ONCE;
		memset(bits, 0, sizeof(bits));
		for (unsigned i = 0; i < n; i++)
			if (is_raised(at + i))
				bits[i / 8] |= (uint8_t)(1u << i % 8);
		generation_raise(map, 0, at, bits, n);
		*n_done = at + n;
	}
	pause();
}

static unsigned check_raised(const struct generation *map, unsigned n_done)
{
	unsigned n_raised = 0;

	for (unsigned at = 0; at < RAISED_CLUSTERS; at++) {
		uint64_t n;
		bool raised = generation_changed(map, 0, at, &n);

		n_raised += raised;
		if (raised != is_raised(at) && (raised || at < n_done))
			CU_FAIL("a mark that came is not in the map, or one that did not is");
	}
	return n_raised;
}

static void killed_while_marks_come(void)
{
	_Atomic unsigned *n_done = mmap(NULL, sizeof *n_done, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(n_done != MAP_FAILED);
	srand(3);
	for (unsigned round = 0; round < 20; round++) {
		unsigned wanted = 1 + (unsigned)rand() % RAISED_CLUSTERS;
		struct generation *map;
		struct error err;

		*n_done = 0;
		make_drive();
		if (truncate(scratch("drive"), (off_t)RAISED_CLUSTERS * 65536) != 0)
			CU_FAIL("growing");
		pid_t child = fork();
		if (child == 0)
			raise_on(n_done);
		struct timespec time = {.tv_nsec = rand() % 200000};
		do
			nanosleep(&time, NULL);
		while (*n_done < wanted && waitpid(child, NULL, WNOHANG) == 0);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_KILLED);
		unsigned n = check_raised(map, *n_done);
		CU_ASSERT(generation_count(map, 0) == n);
		CU_ASSERT(generation_close(map, &err) == 0);
	}
	munmap(n_done, sizeof *n_done);
}

/* ---- a mark is in the file once it is made ---- */

#define MARKS_AT (2 * MAP_PAGE) /* of clusters: after the header and a page of groups */
#define ROUNDS	 30u

struct marking {
	struct generation *map;
	pthread_barrier_t *round;
	int fd; /* of the map */
	unsigned n_missing;
};

/* The kernel keeps what is in the file when the process is killed, so whoever writes next to a
 * cluster that another thread is just marking waits for that. */
static void *mark_all(void *context)
{
	struct marking *marking = context;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint16_t current = generation_current(marking->map);

		for (uint64_t at = 0; at < KILLED_CLUSTERS; at++) {
			uint8_t mark[2];

			generation_mark(marking->map, at, 1);
			if (pread(marking->fd, mark, 2, (off_t)(MARKS_AT + 2 * at)) != 2 ||
			    (mark[0] | mark[1] << 8) != current)
				marking->n_missing++;
		}
		if (pthread_barrier_wait(marking->round) == PTHREAD_BARRIER_SERIAL_THREAD)
			generation_advance(marking->map);
		pthread_barrier_wait(marking->round);
	}
	return NULL;
}

static void two_mark_the_same(void)
{
	struct marking marking[2] = {{0}};
	pthread_barrier_t round;
	pthread_t thread[2];
	struct error err;

	make_drive();
	CU_ASSERT(truncate(scratch("drive"), (off_t)KILLED_CLUSTERS * 65536) == 0);
	CU_ASSERT_FATAL(open_map(&marking[0].map, &err) == 0);
	pthread_barrier_init(&round, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		marking[i].map = marking[0].map;
		marking[i].round = &round;
		marking[i].fd = open(scratch("map"), O_RDONLY);
		CU_ASSERT_FATAL(pthread_create(&thread[i], NULL, mark_all, &marking[i]) == 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		CU_ASSERT(marking[i].n_missing == 0);
		close(marking[i].fd);
	}
	pthread_barrier_destroy(&round);
	CU_ASSERT(generation_close(marking[0].map, &err) == 0);
}

/* ---- devices ---- */

static enum map_trust device_trust(const char *device, bool kill_it)
{
	struct generation *map;
	struct error err;
	enum map_trust trust = MAP_NEW;
	pid_t child = kill_it ? fork() : -1;

	if (kill_it && child != 0) {
		waitpid(child, NULL, 0);
		return trust;
	}
	CU_ASSERT_FATAL(generation_open(&map, scratch("map"), device, 3 * MIB, &err) == 0);
	if (kill_it)
		raise(SIGKILL);
	trust = generation_trust(map);
	CU_ASSERT(generation_close(map, &err) == 0);
	return trust;
}

static void maps_of_devices(void)
{
	char device[64];

	make_drive();
	if (!scratch_loop(scratch("drive"), 512, device))
		return;
	CU_ASSERT(device_trust(device, false) == MAP_NEW);
	CU_ASSERT(device_trust(device, false) == MAP_CLEAN);
	int fd = open(device, O_WRONLY);
	CU_ASSERT(pwrite(fd, "written", 7, 0) == 7 && fsync(fd) == 0);
	close(fd);
	CU_ASSERT(device_trust(device, false) == MAP_DRIVE_CHANGED);
	CU_ASSERT(device_trust(device, false) == MAP_CLEAN);
	/* Counted only when it reaches the device: not yet, here. */
	fd = open(device, O_WRONLY);
	CU_ASSERT(pwrite(fd, "again", 5, 0) == 5);
	CU_ASSERT(device_trust(device, false) == MAP_DRIVE_CHANGED);
	CU_ASSERT(device_trust(device, false) == MAP_CLEAN);
	/* Sectors that are discarded are not written. */
	if (ioctl(fd, BLKDISCARD, (uint64_t[]){0, MIB}) == 0)
		CU_ASSERT(device_trust(device, false) == MAP_DRIVE_CHANGED);
	close(fd);
	CU_ASSERT(device_trust(device, false) == MAP_CLEAN);
	device_trust(device, true);
	CU_ASSERT(device_trust(device, false) == MAP_UNSURE);
	patch_header(other_boot);
	CU_ASSERT(device_trust(device, false) == MAP_UNSURE);
	scratch_unloop(device);
}

void test_generation_killed(void)
{
	CU_pSuite suite =
		CU_add_suite("generation maps of the killed", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, killed_at_any_moment);
	CU_ADD_TEST(suite, killed_while_marks_come);
	CU_ADD_TEST(suite, two_mark_the_same);
	CU_ADD_TEST(suite, maps_of_devices);
}
