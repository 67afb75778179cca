/* Restoring some drives by way of the index gives what reading all in sequence gives. */
#include "reader/input/input.h"
#include "reader/reader.h"
#include "drive/target.h"
#include "tests/unit/sample.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct sample_options options = {
	FORMAT_VMAB, CLUSTER_XXH3_128, 1, WRAP_NONE, 2, 3, {4000000, 300000, 70000}, true};

/* Restores one drive of the archive into a new file and compares it. The code of reader_run. */
static int restore_one(const uint8_t *bytes, size_t size, const struct sample *sample,
		       uint32_t drive, bool by_index, struct error *err)
{
	struct target_options how = {0};
	struct target *targets[3] = {NULL, NULL, NULL};
	struct input *in = NULL;
	struct reader *reader = NULL;
	char archive[64], path[64];
	uint64_t size_bytes = sample->archive->drives[drive].size_bytes;
	int fd = memfd_create("archive", 0);
	CU_ASSERT_EQUAL(write(fd, bytes, size), (ssize_t)size);
	snprintf(archive, sizeof archive, "/proc/self/fd/%d", fd);
	snprintf(path, sizeof path, "/tmp/vmabak-unit-random-%d", (int)getpid());
	CU_ASSERT_EQUAL_FATAL(input_open(&in, archive, err), 0);
	CU_ASSERT_EQUAL_FATAL(reader_open(&reader, in, err), 0);
	CU_ASSERT_EQUAL_FATAL(target_open(&targets[drive], path, size_bytes, &how, err), 0);
	struct reader_job job = {
		.n_threads = 2, .targets = targets, .seek_in = by_index ? in : NULL};
	int code = reader_run(reader, &job, err);
	if (code == 0) {
		uint8_t *restored = calloc(1, size_bytes);
		CU_ASSERT_EQUAL(target_finish(targets[drive], err), 0);
		int file = open(path, O_RDONLY);
		CU_ASSERT_EQUAL(read(file, restored, size_bytes), (ssize_t)size_bytes);
		CU_ASSERT_EQUAL(memcmp(restored, sample->drives[drive], size_bytes), 0);
		close(file);
		free(restored);
		unlink(path);
	}
	target_close(targets[drive]);
	reader_free(reader);
	input_close(in);
	close(fd);
	return code;
}

static void test_each_drive(void)
{
	struct sample sample = {0};
	struct error err = {0};
	sample_make(&sample, &options);
	for (uint32_t drive = 0; drive < 3; drive++) {
		CU_ASSERT_EQUAL(restore_one(sample.bytes, sample.size, &sample, drive, true, &err),
				0);
		CU_ASSERT_EQUAL(restore_one(sample.bytes, sample.size, &sample, drive, false, &err),
				0);
	}
	sample_free(&sample);
}

/* What is not needed is not read: damage in another drive goes unnoticed, in sequence it does not.
 */
static void test_reads_only_what_is_wanted(void)
{
	struct sample sample = {0};
	struct error err = {0};
	sample_make(&sample, &options);
	uint64_t first_extent =
		head_size(sample.archive); /* of drive 0: the pieces come in order */
	sample.bytes[first_extent + 700] ^= 1;
	CU_ASSERT_EQUAL(restore_one(sample.bytes, sample.size, &sample, 1, true, &err), 0);
	CU_ASSERT_EQUAL(restore_one(sample.bytes, sample.size, &sample, 1, false, &err),
			ERR_DAMAGED);
	CU_ASSERT_EQUAL(restore_one(sample.bytes, sample.size, &sample, 0, true, &err),
			ERR_DAMAGED);
	sample_free(&sample);
}

/* Any byte of tail, index or the drive's own extents damaged, any end cut: never accepted. */
static void test_damage(void)
{
	struct sample sample = {0};
	struct error err = {0};
	size_t n_accepted = 0;
	sample_make(&sample, &options);
	for (size_t at = sample.size - 512; at < sample.size; at += 13) {
		sample.bytes[at] ^= 0x20;
		n_accepted += restore_one(sample.bytes, sample.size, &sample, 2, true, &err) == 0;
		sample.bytes[at] ^= 0x20;
	}
	for (size_t cut = 1; cut < sample.size - 512; cut += sample.size / 40)
		n_accepted +=
			restore_one(sample.bytes, sample.size - cut, &sample, 2, true, &err) == 0;
	CU_ASSERT_EQUAL(n_accepted, 0);
	sample_free(&sample);
}

void test_random(void)
{
	CU_pSuite suite = CU_add_suite("random access", NULL, NULL);
	CU_ADD_TEST(suite, test_each_drive);
	CU_ADD_TEST(suite, test_reads_only_what_is_wanted);
	CU_ADD_TEST(suite, test_damage);
}
