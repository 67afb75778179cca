/*
 * The capture, case by case: what is read and written, and what a guest notices when a backup
 * fails.
 */
#include "cow/capture_state.h"
#include "tests/unit/one_capture.h"
#include "tests/unit/suites.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* ---- what it costs ---- */

/* The headline: to overwrite a cluster costs one read and two writes, one of them to the buffer. */
static void one_read_and_two_writes(void)
{
	const uint64_t k = 70, n = 200;

	make_volume(n);
	begin(0, FULL_FAIL);
	for (uint64_t i = 0; i < k; i++)
		CU_ASSERT_EQUAL(write_cluster(i * 2, 0), 0);
	for (uint64_t i = 0; i < k; i++)
		CU_ASSERT_EQUAL(write_cluster(i * 2, 0), 0); /* and the second time nothing */
	for (uint64_t c = 0; c < n; c++)
		CU_ASSERT_EQUAL(fake.n_reads[c], c % 2 == 0 && c < 2 * k);
	CU_ASSERT_EQUAL(fake.n_changes, 2 * k);
	CU_ASSERT_EQUAL(buffer_counts(buffer)->urgent_clusters, k);
	CU_ASSERT_EQUAL(status_now().saved_clusters, k);
	CU_ASSERT_EQUAL(status_now().delays.n, 2 * k);
	CU_ASSERT(complete());
	for (uint64_t c = 0; c < n; c++)
		CU_ASSERT_EQUAL(fake.n_reads[c], 1);
	CU_ASSERT_EQUAL(status_now().read_clusters, n);
	CU_ASSERT_EQUAL(status_now().swept_clusters, n - k);
	CU_ASSERT_EQUAL(status_now().todo_clusters, 0);
	end();
	/* Without a capture nothing is read. */
	memset(fake.n_reads, 0, n * sizeof *fake.n_reads);
	fake.counting = true;
	CU_ASSERT_EQUAL(write_cluster(3, 0), 0);
	CU_ASSERT_EQUAL(fake.n_reads[3], 0);
	free_volume();
}

static void holes_are_not_read(void)
{
	make_volume(100);
	fake.holes[0] = false;
	CU_ASSERT_EQUAL(volume_zero(volume, 10 * CLUSTER_SIZE, 80 * CLUSTER_SIZE, DRIVE_MAY_TRIM),
			0);
	begin(0, FULL_FAIL);
	CU_ASSERT_EQUAL(volume_zero(volume, 0, 50 * CLUSTER_SIZE + 5, 0), 0);
	CU_ASSERT_EQUAL(status_now().zero_clusters, 41);
	CU_ASSERT_EQUAL(status_now().read_clusters, 10);
	CU_ASSERT(complete());
	CU_ASSERT_EQUAL(status_now().zero_clusters, 80);
	CU_ASSERT_EQUAL(status_now().read_clusters, 20);
	end();
	free_volume();
}

/* tmpfs takes files that large. What is written before the pass comes there makes it in two. */
static void sixteen_tib_of_nothing(void)
{
	const struct drive_options options = {.format = "raw", .writable = true};
	const uint64_t size = (uint64_t)16 << 40;
	char path[] = "/dev/shm/vmabak-unit-XXXXXX";
	int fd = mkstemp(path);
	struct drive *drive = NULL;

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
		printf("\nskipped: no tmpfs at /dev/shm for a file of 16 TiB\n");
	} else {
		CU_ASSERT_EQUAL_FATAL(drive_open(&drive, path, &options, &err), 0);
		CU_ASSERT_EQUAL_FATAL(volume_new(&volume, "v", drive, NULL, &err), 0);
		double start = scratch_processor_seconds();
		fake.drive.size_bytes = size;
		begin(0, FULL_FAIL);
		CU_ASSERT_EQUAL(write_cluster(clusters_of(size) / 2, 0), 0);
		CU_ASSERT_EQUAL(volume_zero(volume, 0, (uint64_t)1 << 32, DRIVE_MAY_TRIM), 0);
		CU_ASSERT(complete());
		CU_ASSERT_EQUAL(status_now().zero_clusters, clusters_of(size));
		end();
		CU_ASSERT(scratch_processor_seconds() - start < 10);
		volume_free(volume);
		drive_close(drive);
	}
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
}

/* ---- failing ---- */

/* The old data cannot be read: the backup is over, the write is done. */
static void a_bad_cluster_harms_the_backup_only(void)
{
	struct chunk *chunk;

	for (int by_pass = 0; by_pass < 2; by_pass++) {
		make_volume(100);
		fake.fail_cluster = 70;
		begin(0, FULL_FAIL);
		if (by_pass) {
			while (capture_step(capture, &err) > 0)
				;
		} else {
			CU_ASSERT_EQUAL(volume_write(volume, 68 * CLUSTER_SIZE, fake.bytes,
						     5 * CLUSTER_SIZE, 0),
					0);
			CU_ASSERT_EQUAL(memcmp(fake.bytes, fake.bytes + 68 * CLUSTER_SIZE,
					       5 * CLUSTER_SIZE),
					0);
		}
		CU_ASSERT(buffer_has_failed(buffer));
		CU_ASSERT_EQUAL(buffer_next(buffer, &chunk, BUFFER_FOR_WORK, &err), ERR_SYSTEM);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a bad cluster"));
		CU_ASSERT(capture_step(capture, &err) < 0);
		memset(fake.n_reads, 0, 100 * sizeof *fake.n_reads);
		CU_ASSERT_EQUAL(write_cluster(70, 0), 0);
		CU_ASSERT_EQUAL(fake.n_reads[70], 0);
		end();
		fake.fail_cluster = UINT64_MAX;
		begin(0, FULL_FAIL);
		CU_ASSERT(complete());
		end();
		free_volume();
	}
}

static void a_full_buffer_ends_the_backup(void)
{
	make_volume(400);
	begin(2 * CLUSTER_SIZE, FULL_FAIL);
	for (uint64_t c = 0; c < 256 + 2; c++)
		CU_ASSERT_EQUAL(write_cluster(c, 0), 0);
	CU_ASSERT_FALSE(buffer_has_failed(buffer));
	CU_ASSERT_EQUAL(buffer_counts(buffer)->spilled_clusters, 2);
	CU_ASSERT_EQUAL(write_cluster(300, 0), 0);
	CU_ASSERT(buffer_has_failed(buffer));
	CU_ASSERT(buffer_error(buffer, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "16 MiB of memory"));
	CU_ASSERT_EQUAL(write_cluster(301, 0), 0);
	CU_ASSERT_EQUAL(fake.n_reads[301], 0);
	end();
	begin(0, FULL_FAIL);
	CU_ASSERT(complete());
	end();
	free_volume();
}

/* With FULL_WAIT the guest waits until the writer takes something, or until the capture ends. */
static void a_guest_that_waits_for_room(void)
{
	for (int by_end = 0; by_end < 2; by_end++) {
		uint64_t cluster = 300, n = 0;
		pthread_t guest;

		make_volume(400);
		begin(0, FULL_WAIT);
		for (uint64_t c = 0; c < 256; c++)
			CU_ASSERT_EQUAL(write_cluster(c, 0), 0);
		pthread_create(&guest, NULL, write_it, &cluster);
		CU_ASSERT_FALSE(is_over(guest, 50));
		if (by_end) {
			capture_end(capture);
			CU_ASSERT(is_over(guest, 5000));
			buffer_free(buffer);
		} else {
			CU_ASSERT_EQUAL(empty_buffer(&n), 2);
			CU_ASSERT(is_over(guest, 5000));
			empty_buffer(&n);
			CU_ASSERT_EQUAL(n, 257);
			end();
		}
		CU_ASSERT_EQUAL(fake.n_changes, 257);
		free_volume();
	}
}

/* What has yet to be saved is not trimmed while memory is short: it would fill it for nothing. */
static void trimming_yields(void)
{
	make_volume(400);
	begin(0, FULL_FAIL);
	CU_ASSERT_EQUAL(volume_trim(volume, 200 * CLUSTER_SIZE, CLUSTER_SIZE, 0), 0);
	CU_ASSERT_EQUAL(fake.bytes[200 * CLUSTER_SIZE], 0);
	for (uint64_t c = 0; c < 128; c++)
		CU_ASSERT_EQUAL(write_cluster(c, 0), 0);
	uint64_t before = buffer_counts(buffer)->urgent_clusters;
	CU_ASSERT_EQUAL(volume_trim(volume, 100 * CLUSTER_SIZE, 300 * CLUSTER_SIZE, 0), 0);
	CU_ASSERT_EQUAL(buffer_counts(buffer)->urgent_clusters, before);
	CU_ASSERT_EQUAL(fake.bytes[100 * CLUSTER_SIZE], 0);
	CU_ASSERT_EQUAL(fake.bytes[127 * CLUSTER_SIZE], 0);
	CU_ASSERT_NOT_EQUAL(fake.bytes[128 * CLUSTER_SIZE], 0);
	CU_ASSERT_NOT_EQUAL(fake.bytes[399 * CLUSTER_SIZE], 0);
	CU_ASSERT(complete());
	end();
	free_volume();
}

static void what_is_not_writable(void)
{
	make_volume(3);
	volume_free(volume);
	fake.drive.writable = false;
	CU_ASSERT_EQUAL_FATAL(volume_new(&volume, "v", &fake.drive, NULL, &err), 0);
	CU_ASSERT_EQUAL(write_cluster(0, 0), EPERM);
	CU_ASSERT_EQUAL(write_cluster(0, DRIVE_NOW), EPERM);
	CU_ASSERT_EQUAL(volume_zero(volume, 0, 1, DRIVE_NOW), EPERM);
	CU_ASSERT_EQUAL(volume_trim(volume, 0, 1, 0), EPERM);
	CU_ASSERT_EQUAL(volume_flush(volume), 0);
	begin(0, FULL_FAIL);
	CU_ASSERT(complete());
	end();
	free_volume();
}

/* ---- delays ---- */

static void delays_are_counted(void)
{
	static const uint64_t values[] = {0,	 1,	7,	 8,	    9,		 15,
					  16,	 17,	1000,	 65535,	    65536,	 1000000,
					  99999, 12345, 5000000, 999999999, 123456789012};
	struct delay_counts *counts = calloc(1, sizeof *counts);
	struct delays sum;

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		memset(counts, 0, sizeof *counts);
		delays_add(counts, values[i]);
		delays_sum_up(counts, &sum);
		CU_ASSERT_EQUAL(sum.n, 1);
		CU_ASSERT_EQUAL(sum.max_ns, values[i]);
		CU_ASSERT_EQUAL(sum.p50_ns, values[i]);
		delays_add(counts, UINT64_MAX);
		delays_sum_up(counts, &sum);
		CU_ASSERT(sum.p50_ns >= values[i] && sum.p50_ns <= values[i] + values[i] / 8);
		CU_ASSERT_EQUAL(sum.max_ns, UINT64_MAX);
	}
	memset(counts, 0, sizeof *counts);
	for (uint64_t i = 1; i <= 1000; i++)
		delays_add(counts, i > 900 ? i * 1000 : 0);
	delays_sum_up(counts, &sum);
	CU_ASSERT_EQUAL(sum.n, 1000);
	CU_ASSERT_EQUAL(sum.p50_ns, 0);
	CU_ASSERT(sum.p99_ns >= 990000 && sum.p99_ns <= 1000000);
	CU_ASSERT_EQUAL(sum.max_ns, 1000000);
	free(counts);
}

/* Chunks come as they are wanted; guests' first, and one that is not full last of all. */
static void the_pass_goes_as_it_is_wanted(void)
{
	static const uint64_t swept[] = {0, 63, 127, 191};
	struct chunk *chunk;

	make_volume(200);
	begin(0, FULL_FAIL);
	CU_ASSERT_EQUAL(write_cluster(10, 0), 0);
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(status_now().swept_clusters, swept[i]);
		CU_ASSERT_EQUAL_FATAL(capture_next(capture, &chunk, &err), 1);
		CU_ASSERT_FALSE(chunk->urgent);
		buffer_release(buffer, chunk);
	}
	CU_ASSERT_EQUAL_FATAL(capture_next(capture, &chunk, &err), 1);
	CU_ASSERT(chunk->urgent);
	CU_ASSERT_EQUAL(chunk->n_clusters, 1);
	buffer_release(buffer, chunk);
	CU_ASSERT_EQUAL(capture_next(capture, &chunk, &err), 0);
	end();
	free_volume();
}

static void guests_at_work(void)
{
	const struct timespec moment = {.tv_sec = 1, .tv_nsec = 50000000};

	make_volume(10);
	begin(0, FULL_FAIL);
	CU_ASSERT_FALSE(capture_guest_is_active(capture));
	CU_ASSERT_EQUAL(volume_read(volume, 0, bytes, 512, 0), 0);
	CU_ASSERT(capture_guest_is_active(capture));
	nanosleep(&moment, NULL);
	CU_ASSERT_FALSE(capture_guest_is_active(capture));
	CU_ASSERT_EQUAL(write_cluster(1, 0), 0);
	CU_ASSERT(capture_guest_is_active(capture));
	end();
	free_volume();
}

void test_capture(void)
{
	CU_pSuite suite = CU_add_suite("capture", NULL, NULL);

	CU_ADD_TEST(suite, one_read_and_two_writes);
	CU_ADD_TEST(suite, holes_are_not_read);
	CU_ADD_TEST(suite, sixteen_tib_of_nothing);
	CU_ADD_TEST(suite, a_bad_cluster_harms_the_backup_only);
	CU_ADD_TEST(suite, a_full_buffer_ends_the_backup);
	CU_ADD_TEST(suite, a_guest_that_waits_for_room);
	CU_ADD_TEST(suite, trimming_yields);
	CU_ADD_TEST(suite, what_is_not_writable);
	CU_ADD_TEST(suite, the_pass_goes_as_it_is_wanted);
	CU_ADD_TEST(suite, guests_at_work);
	CU_ADD_TEST(suite, delays_are_counted);
	test_capture_waits();
	test_capture_since();
	test_capture_threads();
}
