/*
 * Mirrors under load: guests on threads of their own change and read two drives, each its own parts
 * of them, and hold what they read against what they wrote; meanwhile both drives are mirrored, and
 * the guests led to the targets, again and again. What a mirror held is the same as the drive at
 * the pivot.
 */
#include "base/clock.h"
#include "cow/capture.h"
#include "cow/mirror.h"
#include "drive/drive.h"
#include "tests/unit/fake_drive.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_DRIVES 2u
#define N_GUESTS 3u
#define UNIT	 24576u /* bytes that belong to one guest */
#define N_UNITS	 (3u * 100u)
#define SIZE	 ((uint64_t)N_UNITS * UNIT - 1000)
#define N_PIVOTS 8u

static struct volume *volumes[N_DRIVES];
static struct drive *drives[N_DRIVES];
static struct generation *maps[N_DRIVES];
static uint8_t *models[N_DRIVES];
static unsigned sides[N_DRIVES]; /* which of its two files a drive is */
static atomic_bool stopping;
static atomic_uint n_wrong;

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x7fb5d329728ea185u;
	x = (x ^ x >> 27) * 0x81dadef4bc2dd44du;
	return x ^ x >> 33;
}

/* One change or look, within a unit of the guest. */
static void operate(unsigned guest, uint64_t n, uint8_t *bytes)
{
	uint64_t x = mix((uint64_t)guest << 40 | n), length = 1 + (x >> 20) % UNIT;
	unsigned i = (unsigned)(x >> 50) % N_DRIVES;
	uint64_t unit = (x % (N_UNITS / N_GUESTS)) * N_GUESTS + guest;
	uint64_t offset = unit * UNIT + (x >> 10) % UNIT, end = (unit + 1) * UNIT;
	unsigned flags = x >> 47 & 1 ? DRIVE_FUA : 0;
	int code = 0;

	end = end < SIZE ? end : SIZE;
	if (offset >= end)
		return;
	length = length < end - offset ? length : end - offset;
	uint8_t *model = models[i] + offset;
	switch (x >> 44 & 7) {
	case 0:
		code = volume_zero(volumes[i], offset, length, DRIVE_MAY_TRIM);
		memset(model, 0, length);
		break;
	case 1:
	case 2:
	case 3:
		memset(bytes, (int)(n & 0xff), length);
		code = volume_write(volumes[i], offset, bytes, (uint32_t)length,
				    n % 64 == 0 ? flags : 0);
		memcpy(model, bytes, length);
		break;
	case 4:
		if (n % 32 == 0)
			code = volume_flush(volumes[i]);
		break;
	default:
		code = volume_read(volumes[i], offset, bytes, (uint32_t)length, 0);
		if (code == 0 && memcmp(bytes, model, length) != 0)
			n_wrong++;
	}
	if (code != 0)
		n_wrong++;
}

static void *run_guest(void *argument)
{
	unsigned guest = (unsigned)(uintptr_t)argument;
	uint8_t *bytes = malloc(UNIT);

	for (uint64_t n = 1; !stopping && bytes != NULL; n++) {
		operate(guest, n, bytes);
		if (n % 16 == 0)
			clock_sleep_ms(1);
	}
	free(bytes);
	return NULL;
}

static const char *path_of(unsigned i, unsigned side)
{
	const char names[3] = {(char)('a' + i), (char)('0' + side), '\0'};

	return scratch(names);
}

static struct drive *open_side(unsigned i, unsigned side)
{
	const struct drive_options how = {.format = "raw", .writable = true};
	struct drive *drive = NULL;
	struct error err;

	CU_ASSERT_EQUAL_FATAL(drive_open(&drive, path_of(i, side), &how, &err), 0);
	return drive;
}

static void make_machine(void)
{
	struct error err;

	for (unsigned i = 0; i < N_DRIVES; i++) {
		models[i] = calloc(1, SIZE);
		CU_ASSERT_FATAL(models[i] != NULL);
		scratch_fill(models[i], SIZE / 2, i + 1);
		scratch_write(path_of(i, 0), models[i], SIZE);
		scratch_write(path_of(i, 1), "", 0);
		CU_ASSERT_FATAL(truncate(path_of(i, 1), SIZE) == 0);
		sides[i] = 0;
		drives[i] = open_side(i, 0);
		CU_ASSERT_EQUAL_FATAL(generation_new(&maps[i], SIZE, &err), 0);
		CU_ASSERT_EQUAL_FATAL(volume_new(&volumes[i], "drive", drives[i], maps[i], &err),
				      0);
	}
}

static void free_machine(void)
{
	struct error err;

	for (unsigned i = 0; i < N_DRIVES; i++) {
		struct drive *drive = volume_drive(volumes[i]);
		volume_free(volumes[i]);
		drive_close(drive);
		generation_close(maps[i], &err);
		CU_ASSERT(scratch_is(path_of(i, sides[i]), models[i], SIZE));
		free(models[i]);
	}
}

/* ---- pivots ---- */

static bool pivot_works; /* or else its record fails */

static int note(void *context, const struct mirror_point *points, struct error *err)
{
	struct mirror_point *to = context;

	memcpy(to, points, N_DRIVES * sizeof(*points));
	return pivot_works ? 0 : fail(err, ERR_SYSTEM, "no record");
}

static int keep(void *context, struct error *err)
{
	(void)context, (void)err;
	return 0;
}

static void begin(struct mirror *mirrors[N_DRIVES], const struct mirror_point *known,
		  unsigned lanes)
{
	struct error err;

	for (unsigned i = 0; i < N_DRIVES; i++) {
		const struct mirror_options options = {
			.target = open_side(i, 1 - sides[i]),
			.known = known[i],
			.n_lanes = lanes,
			.may_hold = lanes > 1,
			.advance = true,
		};
		CU_ASSERT_EQUAL_FATAL(mirror_begin(&mirrors[i], volumes[i], &options, &err), 0);
	}
}

static void end(struct mirror *mirrors[N_DRIVES])
{
	for (unsigned i = 0; i < N_DRIVES; i++)
		CU_ASSERT_FATAL(mirror_end(mirrors[i], 60000));
}

/* Both files of a drive are as they were when one was left: the guests are at the other. */
static bool pivot(struct mirror *mirrors[N_DRIVES], struct mirror_point *points)
{
	struct mirror_pivot how = {
		.record = note, .keep = keep, .context = points, .limit_ms = 200};
	struct error err = {0};
	bool pivoted = false;

	mirror_pivot(mirrors, N_DRIVES, &how, &pivoted, &err);
	for (unsigned i = 0; i < N_DRIVES && pivoted; i++)
		sides[i] = 1 - sides[i];
	return pivoted;
}

static void pivots_under_load(void)
{
	struct mirror_point points[N_DRIVES] = {{0}};
	struct mirror *mirrors[N_DRIVES];
	pthread_t guests[N_GUESTS];
	unsigned n_pivoted = 0;

	make_machine();
	stopping = false;
	n_wrong = 0;
	for (uintptr_t i = 0; i < N_GUESTS; i++)
		pthread_create(&guests[i], NULL, run_guest, (void *)i);
	for (unsigned n = 0; n < N_PIVOTS; n++) {
		begin(mirrors, points, 1 + n % 3);
		pivot_works = n % 4 != 3;
		bool pivoted = pivot(mirrors, points);
		/* On a busy machine it may take more attempts than one pivot makes. */
		for (unsigned k = 0; k < 20 && pivot_works && !pivoted; k++)
			pivoted = pivot(mirrors, points);
		n_pivoted += pivoted;
		/* What the points say is of the drive that was left, or of nothing. */
		if (!pivot_works)
			memset(points, 0, sizeof(points));
		end(mirrors);
	}
	stopping = true;
	for (unsigned i = 0; i < N_GUESTS; i++)
		pthread_join(guests[i], NULL);
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT_EQUAL(n_pivoted, N_PIVOTS - N_PIVOTS / 4);
	free_machine();
}

/* What is known of a target that is left behind is enough to make it the same again. */
static void a_target_catches_up(void)
{
	struct mirror_point points[N_DRIVES] = {{0}};
	struct mirror_instant instant;
	struct mirror *mirrors[N_DRIVES];
	struct mirror_status status;
	struct error err;
	uint8_t bytes[3000];

	make_machine();
	begin(mirrors, points, 2);
	for (unsigned i = 0; i < N_DRIVES; i++) {
		do {
			clock_sleep_ms(5);
			mirror_status(mirrors[i], &status);
		} while (!status.in_sync);
		CU_ASSERT_EQUAL_FATAL(
			mirror_instant(mirrors[i], true, clock_ms() + 60000, &instant, &err), 0);
		CU_ASSERT_EQUAL_FATAL(mirror_settle(mirrors[i], &instant, clock_ms() + 60000, &err),
				      0);
		mirror_known(mirrors[i], &points[i]);
	}
	end(mirrors);
	scratch_fill(bytes, sizeof(bytes), 9);
	for (unsigned i = 0; i < N_DRIVES; i++) {
		CU_ASSERT_EQUAL(volume_write(volumes[i], 500000, bytes, sizeof(bytes), 0), 0);
		memcpy(models[i] + 500000, bytes, sizeof(bytes));
		CU_ASSERT(!scratch_is(path_of(i, 1), models[i], SIZE));
	}
	begin(mirrors, points, 1);
	for (unsigned i = 0; i < N_DRIVES; i++) {
		do {
			clock_sleep_ms(5);
			mirror_status(mirrors[i], &status);
		} while (!status.in_sync || status.left_bytes > 0);
		CU_ASSERT(status.copied_bytes <= 2 * CLUSTER_SIZE);
		CU_ASSERT(scratch_is(path_of(i, 1), models[i], SIZE));
	}
	end(mirrors);
	free_machine();
}

static int break_target(void *context, const struct mirror_point *points, struct error *err)
{
	struct fake_drive *target = context;

	(void)points, (void)err;
	target->fail_flush = EIO;
	return 0;
}

/* A drive tells an error of its own once. */
static void a_flush_that_fails_in_a_pivot_is_the_guests(void)
{
	struct fake_drive source, target;
	struct volume *volume;
	struct mirror *mirror;
	struct mirror_options options = {.target = &target.drive, .n_lanes = 1};
	struct mirror_pivot how = {.record = break_target, .keep = keep, .limit_ms = 200};
	struct error err = {0};
	bool pivoted = false;

	fake_make(&source, 10 * CLUSTER_SIZE);
	fake_make(&target, 10 * CLUSTER_SIZE);
	how.context = &target;
	CU_ASSERT_EQUAL_FATAL(volume_new(&volume, "a", &source.drive, NULL, &err), 0);
	CU_ASSERT_EQUAL_FATAL(mirror_begin(&mirror, volume, &options, &err), 0);
	CU_ASSERT_EQUAL(mirror_pivot(&mirror, 1, &how, &pivoted, &err), ERR_SYSTEM);
	CU_ASSERT(pivoted);
	CU_ASSERT_EQUAL(volume_flush(volume), EIO);
	CU_ASSERT_EQUAL(volume_flush(volume), 0);
	CU_ASSERT(mirror_end(mirror, 60000));
	volume_free(volume);
	fake_free(&source);
	fake_free(&target);
}

void test_mirror(void)
{
	CU_pSuite suite = CU_add_suite("mirror", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, a_target_catches_up);
	CU_ADD_TEST(suite, pivots_under_load);
	CU_ADD_TEST(suite, a_flush_that_fails_in_a_pivot_is_the_guests);
}
