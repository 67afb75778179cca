/*
 * Small archives, every bit flipped, every length cut, every sector deleted, doubled, swapped,
 * zeroed: what salvage gives as good is what was backed up, and what lies outside the damage is
 * given.
 */
#include "tests/unit/sample.h"
#include "tests/unit/suites.h"

#include "reader/input/input.h"
#include "reader/salvage.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_KINDS	     (sizeof kinds / sizeof *kinds)
#define CLUSTERS_MAX 32u /* of a sample, in all drives */

static const struct sample_options kinds[] = {
	{FORMAT_VMAB, CLUSTER_XXH3_128, 1, WRAP_NONE, 1, 2, {5 * 65536 + 700}, false},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 0, WRAP_NONE, 1, 2, {9000, 5000}, false},
	{FORMAT_VMAB, CLUSTER_XXH3_128, 0, WRAP_NONE, 1, 1, {100000}, true},
	{FORMAT_VMA1, CLUSTER_XXH3_64, 0, WRAP_NONE, 1, 2, {8704, 69632}, false},
	{FORMAT_VMA1, CLUSTER_UNPROTECTED, 0, WRAP_NONE, 1, 2, {8704, 69632}, false},
};

/* Sectors with headers are done bit by bit, data in steps that reach every bit of a byte.
 * Sanitizers make it slow, and have larger steps. With VMABAK_LONG=1 in the environment all steps
 * are 1. */
#if defined __SANITIZE_THREAD__
#define HEADER_STEP 1009
#define BIT_STEP    20011
#define LENGTH_STEP 2003
#define SECTOR_STEP 13
#elif defined __SANITIZE_ADDRESS__
#define HEADER_STEP 29
#define BIT_STEP    2003
#define LENGTH_STEP 997
#define SECTOR_STEP 5
#else
#define HEADER_STEP 5
#define BIT_STEP    1009
#define LENGTH_STEP 101
#define SECTOR_STEP 1
#endif

static size_t step(size_t usual)
{
	return getenv("VMABAK_LONG") != NULL ? 1 : usual;
}

/* What a run gave. */
struct outcome {
	const struct sample *sample;
	unsigned n_good, n_unverified, n_wrong;
	bool good[CLUSTERS_MAX]; /* of drive 0, then drive 1 */
	int code;
	enum salvage_head head;
};

/* One for all runs, as there are so many of them. */
static struct salvage *salvage;
static int fd;

static int set_up(void)
{
	fd = memfd_create("archive", 0);
	return fd < 0;
}

static int tear_down(void)
{
	salvage_free(salvage);
	salvage = NULL;
	return close(fd);
}

static uint64_t n_clusters(const struct sample *sample, uint32_t drive)
{
	return clusters_of(sample->archive->drives[drive].size_bytes);
}

/* The number of a cluster among all drives. */
static size_t place_of(const struct sample *sample, uint32_t drive, uint64_t cluster)
{
	for (uint32_t i = 0; i < drive; i++)
		cluster += n_clusters(sample, i);
	return (size_t)cluster;
}

static unsigned n_all(const struct sample *sample)
{
	return (unsigned)place_of(sample, sample->archive->n_drives, 0);
}

static int put(void *context, const struct slot *slot, enum salvage_state state,
	       const uint8_t *cluster, struct error *err)
{
	static const uint8_t zeros[CLUSTER_SIZE];
	struct outcome *out = context;
	(void)err;
	if (state == SALVAGE_BAD || state == SALVAGE_NAMED)
		return 0;
	for (uint64_t i = slot->cluster; i < slot->cluster + slot->n_clusters; i++) {
		bool there = slot->drive < out->sample->archive->n_drives &&
			     i < n_clusters(out->sample, slot->drive);
		const uint8_t *wanted =
			there ? out->sample->drives[slot->drive] + i * CLUSTER_SIZE : zeros;
		bool same = memcmp(cluster != NULL ? cluster : zeros, wanted, CLUSTER_SIZE) == 0;
		out->n_wrong += !there || (state == SALVAGE_GOOD && !same);
		if (!there || out->good[place_of(out->sample, slot->drive, i)])
			continue;
		out->good[place_of(out->sample, slot->drive, i)] = true;
		out->n_good += state == SALVAGE_GOOD;
		out->n_unverified += state == SALVAGE_UNVERIFIED;
	}
	return 0;
}

static void rescue(const uint8_t *bytes, size_t size, const struct sample *sample,
		   struct outcome *out)
{
	struct salvage_sink sink = {out, put};
	struct input *in = NULL;
	struct error err = {0}, ended;
	char path[64];
	*out = (struct outcome){.sample = sample};
	CU_ASSERT_FATAL(ftruncate(fd, (off_t)size) == 0 &&
			pwrite(fd, bytes, size, 0) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	out->code = input_open_damaged(&in, path, &err);
	if (out->code == 0)
		out->code = salvage_open(&salvage, in, NULL, &err);
	if (out->code == 0 && salvage_head(salvage) == SALVAGE_HEAD_LOST) {
		out->code = salvage_survey(salvage, &err);
		input_close(in);
		CU_ASSERT_EQUAL_FATAL(input_open_damaged(&in, path, &err), 0);
		salvage_again(salvage, in);
	}
	if (out->code == 0) {
		out->head = salvage_head(salvage);
		out->code = salvage_run(salvage, &sink, &ended, &err);
	}
	input_close(in);
}

static void test_intact(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct outcome out;
		sample_make(&sample, &kinds[kind]);
		CU_ASSERT_FATAL(n_all(&sample) <= CLUSTERS_MAX);
		rescue(sample.bytes, sample.size, &sample, &out);
		CU_ASSERT_EQUAL(out.code, 0);
		CU_ASSERT_EQUAL(out.n_wrong, 0);
		CU_ASSERT_EQUAL(out.n_good + out.n_unverified, n_all(&sample));
		bool proof = kinds[kind].cluster_checksum != CLUSTER_UNPROTECTED;
		CU_ASSERT_EQUAL(out.n_unverified == 0, proof);
		sample_free(&sample);
	}
}

/* Whether the sector of this byte begins with a magic. */
static bool in_header(const struct sample *sample, size_t at)
{
	const uint8_t *sector = sample->bytes + at / SECTOR_SIZE * SECTOR_SIZE;
	struct landmark found;
	return landmark_recognise(sector, &found);
}

/* Two is the most clusters in an extent: what a single change can cost. */
static void test_every_bit(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct outcome out;
		size_t n_wrong = 0, n_few = 0, n_headless = 0;
		sample_make(&sample, &kinds[kind]);
		for (size_t bit = 0; bit < sample.size * 8;
		     bit += step(in_header(&sample, bit / 8) ? HEADER_STEP : BIT_STEP)) {
			sample.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			rescue(sample.bytes, sample.size, &sample, &out);
			sample.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			n_wrong += out.code != 0 ? 0 : out.n_wrong;
			n_few += out.n_good + out.n_unverified + 2 < n_all(&sample);
			n_headless += out.head != SALVAGE_HEAD_FOUND;
		}
		CU_ASSERT_EQUAL(n_wrong, 0);
		CU_ASSERT_EQUAL(n_few, 0);
		CU_ASSERT_EQUAL(n_headless == 0, kinds[kind].format == FORMAT_VMAB);
		sample_free(&sample);
	}
}

static void test_every_length(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct outcome out;
		size_t n_wrong = 0, n_less = 0;
		unsigned last = 0;
		sample_make(&sample, &kinds[kind]);
		for (size_t size = 0; size < sample.size; size += step(LENGTH_STEP)) {
			rescue(sample.bytes, size, &sample, &out);
			n_wrong += out.n_wrong;
			n_less += out.n_good + out.n_unverified < last;
			last = out.n_good + out.n_unverified;
		}
		CU_ASSERT_EQUAL(n_wrong, 0);
		CU_ASSERT_EQUAL(n_less, 0);
		CU_ASSERT(last + 2 >= n_all(&sample));
		sample_free(&sample);
	}
}

enum change { DELETED, DOUBLED, SWAPPED, ZEROED, N_CHANGES };

/* The archive with a sector changed; returns its size. */
static size_t change_sector(uint8_t *to, const struct sample *sample, size_t at, enum change how)
{
	size_t size = sample->size, rest = size - at - SECTOR_SIZE;
	const uint8_t *sector = sample->bytes + at, *behind = sector + SECTOR_SIZE;
	memcpy(to, sample->bytes, size);
	switch (how) {
	case DELETED:
		memcpy(to + at, behind, rest);
		return size - SECTOR_SIZE;
	case DOUBLED:
		memcpy(to + at + SECTOR_SIZE, sector, rest + SECTOR_SIZE);
		return size + SECTOR_SIZE;
	case SWAPPED:
		if (rest >= SECTOR_SIZE) {
			memcpy(to + at, behind, SECTOR_SIZE);
			memcpy(to + at + SECTOR_SIZE, sector, SECTOR_SIZE);
		}
		return size;
	default:
		memset(to + at, 0, SECTOR_SIZE);
		return size;
	}
}

/* A stock VMA cannot tell what is wrong in data: only the number is looked at. */
static void test_every_sector(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct outcome out;
		size_t n_wrong = 0, n_few[N_CHANGES] = {0};
		sample_make(&sample, &kinds[kind]);
		uint8_t *changed = malloc(sample.size + SECTOR_SIZE);
		for (size_t at = 0; at < sample.size; at += SECTOR_SIZE * step(SECTOR_STEP))
			for (enum change how = DELETED; how < N_CHANGES; how++) {
				size_t n = change_sector(changed, &sample, at, how);
				rescue(changed, n, &sample, &out);
				n_wrong += out.n_wrong;
				/* a swap may hit the end of one extent and the next one */
				n_few[how] +=
					out.n_good + out.n_unverified + (how == SWAPPED ? 4 : 2) <
					n_all(&sample);
			}
		CU_ASSERT_EQUAL(n_wrong, 0);
		for (enum change how = DELETED; how < N_CHANGES; how++)
			CU_ASSERT_EQUAL(n_few[how], 0);
		free(changed);
		sample_free(&sample);
	}
}

/* Of bytes missing in a payload that is not compressed only the cluster there is lost. */
static void test_both_ends(void)
{
	const struct sample_options options = {FORMAT_VMAB, CLUSTER_XXH3_128, 0,    WRAP_NONE, 1,
					       8,	    {12 * 65536},     false};
	struct sample sample = {0};
	struct outcome out;
	sample_make(&sample, &options);
	uint8_t *changed = malloc(sample.size + SECTOR_SIZE);
	for (size_t at = 4096; at < sample.size - 8192; at += 11 * 4096) {
		size_t n = change_sector(changed, &sample, at, DELETED);
		rescue(changed, n, &sample, &out);
		CU_ASSERT_EQUAL(out.n_wrong, 0);
		CU_ASSERT(out.n_good + 2 >= n_all(&sample));
		n = change_sector(changed, &sample, at, DOUBLED);
		rescue(changed, n, &sample, &out);
		CU_ASSERT(out.n_good + 2 >= n_all(&sample));
	}
	free(changed);
	sample_free(&sample);
}

/* Around an archive, a frame for each two clusters: one that is damaged costs them, and those
 * behind it are found. */
static void test_frames(void)
{
	const struct sample_options options = {FORMAT_VMA1, CLUSTER_XXH3_64, 1,	   WRAP_ZSTD, 1,
					       2,	    {69632, 200192}, false};
	struct sample sample = {0};
	struct outcome out;
	size_t n_wrong = 0, n_few = 0;
	sample_make(&sample, &options);
	uint8_t *changed = malloc(sample.size);
	rescue(sample.bytes, sample.size, &sample, &out);
	CU_ASSERT_EQUAL(out.n_good, n_all(&sample));
	for (size_t at = 4; at + 100 < sample.size; at += step(BIT_STEP / 8)) {
		sample.bytes[at] ^= (uint8_t)(1u << at % 8);
		rescue(sample.bytes, sample.size, &sample, &out);
		sample.bytes[at] ^= (uint8_t)(1u << at % 8);
		n_wrong += out.n_wrong;
		n_few += out.n_good + 2 < n_all(&sample);
		memcpy(changed, sample.bytes, at);
		memcpy(changed + at, sample.bytes + at + 100, sample.size - at - 100);
		rescue(changed, sample.size - 100, &sample, &out);
		n_wrong += out.n_wrong;
		n_few += out.n_good + 4 < n_all(&sample); /* it may reach into two frames */
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT_EQUAL(n_few, 0);
	free(changed);
	sample_free(&sample);
}

static void test_junk_in_front(void)
{
	for (size_t kind = 0; kind < N_KINDS; kind++) {
		struct sample sample = {0};
		struct outcome out;
		sample_make(&sample, &kinds[kind]);
		static const size_t sizes[] = {1, 511, 512, 12289, (1 << 20) - 3, 1 << 20};
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			uint8_t *junk = malloc(sizes[i] + sample.size);
			for (size_t at = 0; at < sizes[i]; at++)
				junk[at] = (uint8_t) "VMABSECTVM\x89VMAE"[at * 7 % 15];
			memcpy(junk + sizes[i], sample.bytes, sample.size);
			rescue(junk, sizes[i] + sample.size, &sample, &out);
			CU_ASSERT_EQUAL(out.code, 0);
			CU_ASSERT_EQUAL(out.n_wrong, 0);
			CU_ASSERT_EQUAL(out.n_good + out.n_unverified, n_all(&sample));
			CU_ASSERT_EQUAL(out.head, SALVAGE_HEAD_FOUND);
			free(junk);
		}
		sample_free(&sample);
	}
}

static void test_nothing_there(void)
{
	struct sample sample = {0};
	struct outcome out;
	uint8_t junk[5000];
	sample_make(&sample, &kinds[0]);
	memset(junk, 'V', sizeof junk);
	rescue(junk, sizeof junk, &sample, &out);
	CU_ASSERT_EQUAL(out.code, ERR_DAMAGED);
	rescue(junk, 0, &sample, &out);
	CU_ASSERT_EQUAL(out.code, ERR_DAMAGED);
	sample_free(&sample);
}

void test_salvage(void)
{
	CU_pSuite suite = CU_add_suite("salvage", set_up, tear_down);
	CU_ADD_TEST(suite, test_intact);
	CU_ADD_TEST(suite, test_every_bit);
	CU_ADD_TEST(suite, test_every_length);
	CU_ADD_TEST(suite, test_every_sector);
	CU_ADD_TEST(suite, test_both_ends);
	CU_ADD_TEST(suite, test_frames);
	CU_ADD_TEST(suite, test_junk_in_front);
	CU_ADD_TEST(suite, test_nothing_there);
}
