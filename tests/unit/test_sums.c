/* Sums files: what is put comes back, and whatever happens to the file is noticed. spec/sums.md. */
#include "archive/sums.h"
#include "base/bytes.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_SMALL 700u /* clusters: three pages */

#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define STEP 7
#else
#define STEP 1
#endif

static struct archive *archive;
static struct section *extent;
static struct error err;

static struct text text_of(const char *bytes)
{
	return (struct text){(const uint8_t *)bytes, (uint32_t)strlen(bytes)};
}

/* Pages of a map that spans two pages; a drive of nothing; a small one whose end is in a cluster.
 */
static int make(void)
{
	archive = calloc(1, sizeof(*archive));
	extent = calloc(1, sizeof(*extent));
	memset(archive->uuid, 7, UUID_SIZE);
	memset(archive->parent, 8, UUID_SIZE);
	archive->created_ns = 1700000000123456789;
	archive->checkpoint = text_of("monday");
	archive->n_configs = 1;
	archive->configs[0] = (struct archive_config){text_of("secret.conf"), text_of("x")};
	archive->note = text_of("a note");
	archive->n_drives = 3;
	archive->drives[0] = (struct archive_drive){text_of("root"), N_SMALL * 65536u - 100};
	archive->drives[1] = (struct archive_drive){text_of("none"), 0};
	archive->drives[2] = (struct archive_drive){
		text_of("large"), (uint64_t)(SUMS_PER_MAP_PAGE + 3) * SUMS_PER_PAGE * 65536};
	return scratch_make();
}

static int unmake(void)
{
	free(archive);
	free(extent);
	return scratch_remove();
}

static void sum_of(uint32_t drive, uint64_t cluster, uint8_t out[CHECKSUM_SIZE])
{
	uint64_t both[2] = {drive + 1, cluster};
	checksum_bytes(both, sizeof(both), out);
}

static void add_data(uint32_t drive, uint64_t cluster)
{
	struct slot *slot = &extent->slots[extent->n_slots++];
	*slot = (struct slot){.cluster = cluster, .n_clusters = 1, .drive = drive, .mask = 1};
	sum_of(drive, cluster, slot->checksum);
}

static void add_zeros(uint32_t drive, uint64_t cluster, uint64_t n)
{
	extent->slots[extent->n_slots++] =
		(struct slot){.cluster = cluster, .n_clusters = n, .drive = drive};
}

static void put(struct sums_writer *writer)
{
	CU_ASSERT_EQUAL_FATAL(sums_put(writer, extent, &err), 0);
	extent->n_slots = 0;
}

static bool is_large(uint64_t cluster)
{
	return cluster == 5 || cluster == SUMS_PER_PAGE * (uint64_t)SUMS_PER_MAP_PAGE - 1 ||
	       cluster == SUMS_PER_PAGE * (uint64_t)SUMS_PER_MAP_PAGE + 300;
}

/* Runs of any length and order, zeros between; drive 0 has data but in every seventh cluster. */
static void put_all(struct sums_writer *writer)
{
	for (uint64_t i = N_SMALL; i-- > 350;)
		if (i % 7 != 0)
			add_data(0, i);
	put(writer);
	for (uint64_t i = 0; i < 350; i++) {
		if (i % 7 != 0)
			add_data(0, i);
		else
			add_zeros(0, i, 1);
	}
	add_data(2, 5);
	put(writer);
	add_zeros(2, 6, 1000000);
	add_data(2, SUMS_PER_PAGE * (uint64_t)SUMS_PER_MAP_PAGE - 1);
	add_data(2, SUMS_PER_PAGE * (uint64_t)SUMS_PER_MAP_PAGE + 300);
	put(writer);
}

static void write_sums(const char *path)
{
	struct sums_writer *writer;
	CU_ASSERT_EQUAL_FATAL(sums_create(&writer, path, archive, &err), 0);
	put_all(writer);
	CU_ASSERT_FALSE(scratch_exists(path));
	CU_ASSERT_EQUAL_FATAL(sums_finish(writer, true, &err), 0);
	CU_ASSERT_EQUAL_FATAL(sums_publish(writer, true, true, &err), 0);
	sums_writer_free(writer);
}

static void check(const struct sums *sums, struct sums_cursor *cursor, uint32_t drive,
		  uint64_t cluster, bool data)
{
	const uint8_t *got;
	uint8_t right[CHECKSUM_SIZE] = {0};
	if (data)
		sum_of(drive, cluster, right);
	CU_ASSERT_EQUAL_FATAL(sums_page(sums, cursor, drive, cluster / SUMS_PER_PAGE, &got, &err),
			      0);
	got += cluster % SUMS_PER_PAGE * CHECKSUM_SIZE;
	CU_ASSERT_EQUAL(memcmp(got, right, CHECKSUM_SIZE), 0);
}

static void test_round_trip(void)
{
	const char *path = scratch("a.sums");
	struct sums_cursor cursor = {0};
	struct sums *sums;
	struct stat status;
	uint64_t n_data;

	write_sums(path);
	CU_ASSERT_EQUAL_FATAL(sums_open(&sums, path, &err), 0);
	const struct archive *of = sums_archive(sums);
	CU_ASSERT_EQUAL(memcmp(of->uuid, archive->uuid, UUID_SIZE), 0);
	CU_ASSERT_EQUAL(memcmp(of->parent, archive->parent, UUID_SIZE), 0);
	CU_ASSERT_EQUAL(of->created_ns, archive->created_ns);
	CU_ASSERT_EQUAL(of->checkpoint.length, 6);
	CU_ASSERT_EQUAL(of->n_configs, 0);
	CU_ASSERT_EQUAL(of->note.length, 0);
	CU_ASSERT_EQUAL_FATAL(of->n_drives, 3);
	CU_ASSERT_EQUAL(of->drives[2].size_bytes, archive->drives[2].size_bytes);
	for (uint64_t i = N_SMALL; i-- > 0;)
		check(sums, &cursor, 0, i, i % 7 != 0);
	for (uint64_t i = 0; i < clusters_of(of->drives[2].size_bytes); i += i < 20 ? 1 : 4999)
		check(sums, &cursor, 2, i, is_large(i));
	check(sums, &cursor, 2, SUMS_PER_PAGE * (uint64_t)SUMS_PER_MAP_PAGE - 1, true);
	check(sums, &cursor, 2, SUMS_PER_PAGE * (uint64_t)SUMS_PER_MAP_PAGE + 300, true);
	CU_ASSERT_EQUAL(sums_verify(sums, &n_data, &err), 0);
	CU_ASSERT_EQUAL(n_data, N_SMALL - N_SMALL / 7 + 3);
	sums_close(sums);
	/* Where the drive is zero the file has holes. */
	CU_ASSERT_EQUAL(stat(path, &status), 0);
	CU_ASSERT(status.st_blocks * 512 < 200 * 1024 && status.st_size > 100 << 20);
	CU_ASSERT_EQUAL(scratch_count(), 1);
}

/* The file of the small drive alone, changed; whether it still is believed. */
static int believed(const char *path, const uint8_t *bytes, size_t n)
{
	struct sums *sums;
	uint64_t n_data;
	int code;

	scratch_write(path, bytes, n);
	err = (struct error){0};
	if (sums_open(&sums, path, &err) != 0)
		return err.code;
	code = sums_verify(sums, &n_data, &err);
	sums_close(sums);
	return code;
}

static uint8_t *small_file(size_t *n)
{
	const char *path = scratch("small.sums");
	struct sums_writer *writer;

	archive->n_drives = 2;
	CU_ASSERT_EQUAL_FATAL(sums_create(&writer, path, archive, &err), 0);
	add_data(0, 5);
	add_data(0, N_SMALL - 1); /* its second page is a hole */
	put(writer);
	CU_ASSERT_EQUAL_FATAL(sums_finish(writer, false, &err), 0);
	CU_ASSERT_EQUAL_FATAL(sums_publish(writer, true, false, &err), 0);
	sums_writer_free(writer);
	archive->n_drives = 3;
	return (uint8_t *)scratch_read(path, n);
}

static void test_damage(void)
{
	const char *path = scratch("damaged.sums");
	size_t n;
	uint8_t *bytes = small_file(&n);

	CU_ASSERT_EQUAL_FATAL(n, 5 * SUMS_PAGE_SIZE);
	CU_ASSERT_EQUAL(believed(path, bytes, n), 0);
	for (size_t i = 0; i < n; i += i < 512 ? STEP : 7 * STEP) {
		bytes[i] ^= (uint8_t)(1 << i % 8);
		int code = believed(path, bytes, n);
		bool size = i / 4 == 3;		     /* of the head: then the file seems cut */
		bool hole = i / SUMS_PAGE_SIZE == 2; /* which nobody reads */
		CU_ASSERT(hole ? code == 0
			       : code == ERR_DAMAGED || (size && code == ERR_INCOMPLETE));
		bytes[i] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t i = 0; i < n; i += i < 600 || i + 600 > n ? 1 : 97)
		CU_ASSERT_EQUAL(believed(path, bytes, i), ERR_INCOMPLETE);
	uint8_t *longer = calloc(1, n + 1);
	memcpy(longer, bytes, n);
	CU_ASSERT_EQUAL(believed(path, longer, n + 1), ERR_DAMAGED);
	free(longer);
	free(bytes);
}

/* Lost pages read as zeros; stale ones, and those of elsewhere, have a check that is right there.
 */
static void test_pages(void)
{
	const char *path = scratch("pages.sums");
	size_t n;
	uint8_t *bytes = small_file(&n), page[SUMS_PAGE_SIZE];

	for (unsigned i = 1; i < 5; i++) {
		uint8_t *at = bytes + i * SUMS_PAGE_SIZE;
		if (i == 2) /* the hole */
			continue;
		memcpy(page, at, SUMS_PAGE_SIZE);
		memset(at, 0, SUMS_PAGE_SIZE);
		CU_ASSERT_EQUAL(believed(path, bytes, n), ERR_DAMAGED);
		CU_ASSERT_EQUAL(err.place, i * SUMS_PAGE_SIZE);
		memcpy(at, bytes + (i == 1 ? 3 : 1) * SUMS_PAGE_SIZE, SUMS_PAGE_SIZE);
		CU_ASSERT_EQUAL(believed(path, bytes, n), ERR_DAMAGED);
		memcpy(at, page, SUMS_PAGE_SIZE);
	}
	archive->uuid[3]++;
	uint8_t *other = small_file(&n);
	archive->uuid[3]--;
	memcpy(page, bytes + SUMS_PAGE_SIZE, SUMS_PAGE_SIZE);
	memcpy(bytes + SUMS_PAGE_SIZE, other + SUMS_PAGE_SIZE, SUMS_PAGE_SIZE);
	CU_ASSERT_EQUAL(believed(path, bytes, n), ERR_DAMAGED);
	CU_ASSERT_EQUAL(believed(path, other, n), 0);
	free(bytes);
	free(other);
}

/* What is lost between put and finish: a page that is read back as zeros, or otherwise. */
static void test_lost_before_the_end(void)
{
	const char *path = scratch("lost.sums");
	struct sums_writer *writer;

	CU_ASSERT_EQUAL_FATAL(sums_create(&writer, path, archive, &err), 0);
	add_data(0, 300);
	put(writer);
	CU_ASSERT_EQUAL(
		scratch_run("cd '%s' && printf x | dd of=\"$(ls -A | grep lost.*part)\" bs=1 "
			    "seek=%u conv=notrunc status=none",
			    scratch("."), 2 * SUMS_PAGE_SIZE + 45 * 16),
		0);
	CU_ASSERT_EQUAL(sums_finish(writer, false, &err), ERR_SYSTEM);
	sums_writer_free(writer);
	CU_ASSERT_FALSE(scratch_exists(path));
}

static void test_refused(void)
{
	const char *path = scratch("refused.sums");
	struct sums_writer *writer;
	struct sums *sums;

	archive->format = FORMAT_VMA1;
	CU_ASSERT_EQUAL(sums_create(&writer, path, archive, &err), ERR_USAGE);
	sums_writer_free(writer);
	archive->format = FORMAT_VMAB;
	uint64_t size_bytes = archive->drives[0].size_bytes;
	archive->drives[0].size_bytes = INT64_MAX;
	uint64_t after;
	CU_ASSERT_EQUAL(sums_after(4096, &archive->drives[0], &after, &err), ERR_UNSUPPORTED);
	archive->drives[0].size_bytes = UINT64_C(1) << 56;
	CU_ASSERT_EQUAL(sums_after(4096, &archive->drives[0], &after, &err), 0);
	CU_ASSERT_EQUAL(sums_after(SUMS_SIZE_MAX / 2 + 4096, &archive->drives[0], &after, &err),
			ERR_UNSUPPORTED);
	archive->drives[0].size_bytes = size_bytes;
	scratch_write(path, "no sums", 7);
	CU_ASSERT_EQUAL(sums_open(&sums, path, &err), ERR_INCOMPLETE);
	CU_ASSERT_EQUAL(sums_open(&sums, scratch("missing"), &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NULL(sums);
}

void test_sums(void)
{
	CU_pSuite suite = CU_add_suite("sums", make, unmake);
	CU_ADD_TEST(suite, test_round_trip);
	CU_ADD_TEST(suite, test_damage);
	CU_ADD_TEST(suite, test_pages);
	CU_ADD_TEST(suite, test_lost_before_the_end);
	CU_ADD_TEST(suite, test_refused);
}
