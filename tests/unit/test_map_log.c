/*
 * What a map tells after the machine went down: its log of hot regions.
 */
#include "tests/unit/one_map.h"
#include "tests/unit/suites.h"

#include "base/bytes.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <xxhash.h>

#define CLUSTERS   600u /* in three regions */
#define REGION	   256u
#define LOG_BYTES  4096u
#define WRITTEN	   300u /* in the second region */
#define WRITTEN_AT ((uint64_t)WRITTEN * 65536)

static struct generation *map;
static struct error err;
static uint64_t first_id;

static void make_large_drive(void)
{
	make_drive();
	write_drive((uint64_t)CLUSTERS * 65536 - 1);
}

/* A serve that ended a generation, was told that a backup is complete, wrote, and went down with
 * its machine. */
static void user(void)
{
	pid_t child;
	int status;

	make_large_drive();
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	first_id = generation_id(map);
	CU_ASSERT(generation_close(map, &err) == 0);
	child = fork();
	if (child == 0) {
		if (open_map(&map, &err) != 0 || generation_advance(map) != 1)
			_exit(1);
		generation_settle(map);
		generation_mark(map, WRITTEN, 1);
		write_drive(WRITTEN_AT);
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	CU_ASSERT(WIFSIGNALED(status));
}

static uint8_t *file;
static size_t n_bytes;

static void load_file(void)
{
	file = (uint8_t *)scratch_read(scratch("map"), &n_bytes);
}

static void save_file(void)
{
	scratch_write(scratch("map"), file, n_bytes);
	free(file);
}

static uint8_t *log_of_file(void)
{
	return file + n_bytes - LOG_BYTES;
}

static uint8_t *mark_of(unsigned cluster)
{
	return file + 8192 + 2 * cluster;
}

static void seal(void)
{
	for (uint8_t *at = log_of_file(); at < file + n_bytes; at += 512)
		put_le(at + 504, 8, XXH3_64bits(at, 504));
}

/* ---- what may have been on the disk ---- */

static void all(void)
{
}

static void marks_lost(void)
{
	load_file();
	memset(file + 4096, 0, 8192);
	memset(file + 1024, 0, 24);
	save_file();
}

static void groups_lost(void)
{
	load_file();
	memset(file + 4096, 0, 4096);
	save_file();
}

static void from_the_future(void)
{
	load_file();
	put_le(mark_of(3), 2, 7);
	put_le(file + 4096, 2, 7);
	save_file();
}

static void log_torn(void)
{
	load_file();
	memset(log_of_file() + 100, 0xff, 8);
	save_file();
}

static void log_of_another(void)
{
	load_file();
	log_of_file()[0] ^= 1;
	seal();
	save_file();
}

static void log_cold(void)
{
	load_file();
	for (uint8_t *at = log_of_file(); at < file + n_bytes; at += 512)
		memset(at + 16, 0, 488);
	seal();
	save_file();
}

/* All that the map knows of times is from before. */
static void set_back(uint64_t ns)
{
	load_file();
	put_le(file + 1024, 8, get_le(file + 1024, 8) - ns);
	for (uint8_t *at = log_of_file(); at < file + n_bytes; at += 512)
		put_le(at + 8, 8, get_le(at + 8, 8) - ns);
	seal();
	save_file();
}

static void written_later(void)
{
	set_back(UINT64_C(21000000000));
}

static void written_just_after(void)
{
	set_back(UINT64_C(18000000000));
}

/* Its data tell of an earlier time, the inode does not. */
static void put_back(void)
{
	set_back(UINT64_C(3600000000000));
	scratch_run("touch -d '2 hours ago' '%s'", scratch("drive"));
}

static void newer_once(struct map_header *header)
{
	header->drive.mtime_ns += UINT64_C(3600000000000);
}

static void rolled_back(void)
{
	patch_header(newer_once);
}

static void told_lost(void)
{
	char text[17];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)first_id);
	CU_ASSERT(setxattr(scratch("drive"), "user.vmabak.map-lost", text, 16, 0) == 0);
}

static void another_told_lost(void)
{
	CU_ASSERT(setxattr(scratch("drive"), "user.vmabak.map-lost", "0123456789abcdef", 16, 0) ==
		  0);
}

static void cut(void)
{
	CU_ASSERT(truncate(scratch("map"), 8192) == 0);
}

static void cluster_above_its_group(void)
{
	log_cold();
	load_file();
	put_le(mark_of(3), 2, 2);
	put_le(file + 4096, 2, 1);
	save_file();
}

#define R MAP_RECOVERED

static const struct {
	const char *what;
	void (*then)(void);
	enum map_trust trust;
	unsigned first, n; /* clusters that are named then */
} cases[] = {
	{"all", all, R, REGION, REGION},
	{"marks lost", marks_lost, R, REGION, REGION},
	{"groups lost", groups_lost, R, REGION, REGION},
	{"log torn", log_torn, R, 0, CLUSTERS},
	{"log of another map", log_of_another, R, 0, CLUSTERS},
	{"log without hot regions", log_cold, R, WRITTEN, 1},
	{"written just after", written_just_after, R, REGION, REGION},
	{"written later", written_later, MAP_DRIVE_CHANGED, 0, 0},
	{"put back", put_back, MAP_DRIVE_CHANGED, 0, 0},
	{"rolled back", rolled_back, MAP_DRIVE_CHANGED, 0, 0},
	{"lost", told_lost, MAP_MACHINE_DIED, 0, 0},
	{"another lost", another_told_lost, R, REGION, REGION},
	{"cut", cut, MAP_DAMAGED, 0, 0},
	{"above its group", cluster_above_its_group, MAP_DAMAGED, 0, 0},
};

static unsigned count_named(unsigned first, unsigned end, uint16_t since)
{
	unsigned n_named = 0;
	uint64_t n;

	for (unsigned i = first; i < end; i++)
		n_named += generation_changed(map, since, i, &n);
	return n_named;
}

static void what_is_named(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool kept = cases[i].trust == R;
		user();
		patch_header(other_boot);
		cases[i].then();
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		if (generation_trust(map) != cases[i].trust)
			printf("  %s: %s\n", cases[i].what, map_trust_text(generation_trust(map)));
		CU_ASSERT(generation_trust(map) == cases[i].trust);
		CU_ASSERT((generation_id(map) == first_id) == kept);
		CU_ASSERT(generation_current(map) == (kept ? 2 : 1));
		if (kept) {
			CU_ASSERT(count_named(cases[i].first, cases[i].first + cases[i].n, 1) ==
				  cases[i].n);
			CU_ASSERT(generation_count(map, 1) == cases[i].n);
		}
		CU_ASSERT(generation_close(map, &err) == 0);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_CLEAN);
		CU_ASSERT(generation_count(map, 1) == cases[i].n);
		CU_ASSERT(generation_close(map, &err) == 0);
	}
}

/* Of a generation that the header knows nothing of. */
static void marks_of_later(void)
{
	user();
	patch_header(other_boot);
	log_cold();
	from_the_future();
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_trust(map) == R);
	CU_ASSERT(generation_current(map) == 2 && generation_count(map, 1) == 2);
	CU_ASSERT(count_named(3, 4, 1) == 1);
	/* And it goes down again at once. */
	patch_header(other_boot);
	generation_close(map, &err);
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(count_named(3, 4, 1) == 1);
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* Marks that are there need no hot region; what would wait says so, and marks nothing. */
static void without_waiting(void)
{
	make_large_drive();
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(!generation_mark_now(map, 0, 1) && generation_count(map, 0) == 0);
	generation_mark(map, 0, 1);
	CU_ASSERT(generation_mark_now(map, 0, 1));
	CU_ASSERT(generation_mark_now(map, 200, 1) && generation_count(map, 0) == 2);
	CU_ASSERT(!generation_mark_now(map, 500, 1) && generation_count(map, 0) == 2);
	/* What follows on what is hot was made hot with it. */
	generation_mark(map, 256, 1);
	CU_ASSERT(generation_mark_now(map, 512, 1));
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* A device's log is none. */
static void of_whom(void)
{
	struct map_header header;

	make_large_drive();
	CU_ASSERT_FATAL(generation_open(&map, scratch("map"), NULL, MIB, &err) == 0);
	load_file();
	CU_ASSERT(map_header_get(&header, file, "map", &err) == 0 && !header.logs);
	free(file);
	CU_ASSERT(generation_close(map, &err) == 0);
}

void test_map_log(void)
{
	CU_pSuite suite = CU_add_suite("logs of maps", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_is_named);
	CU_ADD_TEST(suite, marks_of_later);
	CU_ADD_TEST(suite, without_waiting);
	CU_ADD_TEST(suite, of_whom);
}
