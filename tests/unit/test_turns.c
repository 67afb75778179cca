/*
 * Drives that are opened in turn.
 */
#include "drive/turns.h"
#include "drive/kind.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SIZE	 4096u
#define PLACES	 3u
#define N_DRIVES 10u

/* Reads as its name's first letter. */
struct one {
	struct drive drive;
	char letter;
};

/* One test at a time. */
static struct {
	_Atomic unsigned n_open, most_open, n_opened, n_busy;
	uint64_t size_bytes;
	unsigned limit; /* so many can be opened */
} seen;

static int read_one(struct drive *drive, uint64_t offset, void *buffer, size_t n, struct error *err)
{
	(void)offset;
	(void)err;
	memset(buffer, ((struct one *)drive)->letter, n);
	return 0;
}

static int status_one(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		      struct error *err)
{
	(void)err;
	*n = drive->size_bytes - offset;
	*zero = false;
	return 0;
}

static void close_one(struct drive *drive)
{
	seen.n_open--;
	free(drive);
}

static const struct drive_ops ops = {.read = read_one, .status = status_one, .close = close_one};

static int open_one(void *context, const char *name, struct drive **out, struct error *err)
{
	struct one *one;

	CU_ASSERT_PTR_EQUAL(context, &seen);
	CU_ASSERT_EQUAL(seen.n_busy++, 0);
	seen.n_opened++;
	if (seen.n_open >= seen.limit) {
		seen.n_busy--;
		return fail(err, ERR_SYSTEM, "%s: no", name);
	}
	one = calloc(1, sizeof(*one));
	one->drive = (struct drive){.ops = &ops, .size_bytes = seen.size_bytes};
	one->letter = name[0];
	pthread_mutex_init(&one->drive.asking, NULL);
	if (++seen.n_open > seen.most_open)
		seen.most_open = seen.n_open;
	*out = &one->drive;
	seen.n_busy--;
	return 0;
}

static void begin(struct turns *turns, struct drive **drives)
{
	struct error err;

	memset(&seen, 0, sizeof(seen));
	seen.size_bytes = SIZE;
	seen.limit = PLACES;
	*turns = (struct turns){.n_places = PLACES, .open = open_one, .context = &seen};
	turns_init(turns);
	for (unsigned i = 0; i < N_DRIVES; i++) {
		const char name[] = {(char)('a' + i), '\0'};

		CU_ASSERT_EQUAL_FATAL(turns_add(turns, &drives[i], name, SIZE, &err), 0);
		CU_ASSERT_EQUAL(drive_size(drives[i]), SIZE);
	}
}

static void end(struct drive **drives)
{
	/* Neither in the order they came, nor in the reverse one. */
	for (unsigned i = 0; i < N_DRIVES; i++)
		drive_close(drives[(i + 4) % N_DRIVES]);
	CU_ASSERT_EQUAL(seen.n_open, 0);
}

static bool reads(struct drive *drive, char letter)
{
	uint8_t bytes[2] = {0};
	struct error err;

	return drive_read(drive, 1, bytes, 2, &err) == 0 && bytes[0] == letter &&
	       bytes[1] == letter;
}

static void few_are_open(void)
{
	struct turns turns;
	struct drive *drives[N_DRIVES];
	struct error err;
	uint64_t n;
	bool zero;

	begin(&turns, drives);
	CU_ASSERT_EQUAL(seen.n_opened, 0);
	for (unsigned i = 0; i < N_DRIVES; i++) {
		CU_ASSERT_EQUAL(drive_status(drives[i], 1, &n, &zero, &err), 0);
		CU_ASSERT_EQUAL(n, SIZE - 1);
		CU_ASSERT(reads(drives[i], (char)('a' + i)));
	}
	CU_ASSERT_EQUAL(seen.most_open, PLACES);
	CU_ASSERT_EQUAL(seen.n_opened, N_DRIVES);
	/* The one that was left first goes. */
	CU_ASSERT(reads(drives[7], 'h'));
	CU_ASSERT(reads(drives[0], 'a'));
	CU_ASSERT(reads(drives[9], 'j'));
	CU_ASSERT(reads(drives[7], 'h'));
	CU_ASSERT_EQUAL(seen.n_opened, N_DRIVES + 1);
	end(drives);
}

static void *read_all(void *context)
{
	struct drive **drives = context;
	bool good = true;

	for (unsigned i = 0; i < 2000; i++) {
		unsigned drive = i * 7 % N_DRIVES;

		good = good && reads(drives[drive], (char)('a' + drive));
	}
	return good ? drives : NULL;
}

static void many_threads(void)
{
	struct turns turns;
	struct drive *drives[N_DRIVES];
	pthread_t threads[8];

	begin(&turns, drives);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, read_all, drives), 0);
	for (unsigned i = 0; i < 8; i++) {
		void *good;

		pthread_join(threads[i], &good);
		CU_ASSERT_PTR_NOT_NULL(good);
	}
	CU_ASSERT_EQUAL(seen.most_open, PLACES);
	end(drives);
}

static void fewer_than_there_are_places(void)
{
	struct turns turns;
	struct drive *drives[N_DRIVES];

	begin(&turns, drives);
	seen.limit = 2;
	for (unsigned i = 0; i < N_DRIVES; i++)
		CU_ASSERT(reads(drives[i], (char)('a' + i)));
	CU_ASSERT_EQUAL(seen.n_opened, N_DRIVES + 1); /* one attempt fails */
	CU_ASSERT_EQUAL(seen.n_open, 2);
	end(drives);
}

static void the_failure_stays(void)
{
	struct turns turns;
	struct drive *drives[N_DRIVES];
	struct error err;
	uint8_t byte;

	begin(&turns, drives);
	CU_ASSERT(reads(drives[0], 'a'));
	seen.limit = 0;
	CU_ASSERT_EQUAL(drive_read(drives[1], 0, &byte, 1, &err), ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(err.text, "b: no");
	seen.limit = PLACES;
	CU_ASSERT_EQUAL(drive_read(drives[2], 0, &byte, 1, &err), ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(err.text, "b: no");
	CU_ASSERT_EQUAL(seen.n_opened, 3);
	end(drives);
}

static void another_size(void)
{
	struct turns turns;
	struct drive *drives[N_DRIVES];
	struct error err;
	uint8_t byte;

	begin(&turns, drives);
	seen.size_bytes = SIZE - 1;
	CU_ASSERT_EQUAL(drive_read(drives[5], 0, &byte, 1, &err), ERR_SYSTEM);
	CU_ASSERT_STRING_EQUAL(err.text, "f: its size changed while the backup began");
	CU_ASSERT_EQUAL(seen.n_open, 0);
	end(drives);
}

void test_turns(void)
{
	CU_pSuite suite = CU_add_suite("turns", NULL, NULL);

	CU_ADD_TEST(suite, few_are_open);
	CU_ADD_TEST(suite, many_threads);
	CU_ADD_TEST(suite, fewer_than_there_are_places);
	CU_ADD_TEST(suite, the_failure_stays);
	CU_ADD_TEST(suite, another_size);
}
