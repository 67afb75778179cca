/*
 * Maps in files: what is trusted after what.
 */
#include "base/bytes.h"
#include "tests/unit/one_map.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

static void pause_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* ---- trust ---- */

/* As a serve that is killed after its guest wrote. */
static void killed_user(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct generation *map;
		struct error err;
		if (open_map(&map, &err) != 0)
			_exit(1);
		generation_mark(map, 9, 2);
		write_drive(9 * 65536);
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	CU_ASSERT(WIFSIGNALED(status));
}

static void clean_user(void)
{
	struct generation *map;
	struct error err;

	if (open_map(&map, &err) != 0) {
		CU_FAIL("opening");
		return;
	}
	generation_mark(map, 9, 2);
	write_drive(9 * 65536);
	CU_ASSERT(generation_close(map, &err) == 0);
}

static void after_nothing(void)
{
}

static void after_reboot(void)
{
	patch_header(other_boot);
}

/* Within one boot, as after a device that was pulled. */
static void other_mount(struct map_header *header)
{
	header->drive.disk ^= 4096;
}

static void after_mount(void)
{
	patch_header(other_mount);
}

/* As if pages of the file had been lost at write-back: what is read is what was there before. */
static void forget(unsigned page)
{
	static const uint8_t zeros[4096];
	int fd = open(scratch("map"), O_WRONLY);

	if (pwrite(fd, zeros, sizeof zeros, 4096 * page) != 4096)
		CU_FAIL("writing");
	close(fd);
}

static void after_groups_lost(void)
{
	forget(1);
}

static void after_clusters_lost(void)
{
	forget(2);
}

/* The header's page, too, is that of some time ago. */
static void after_all_lost(void)
{
	size_t n;
	uint8_t *file = (uint8_t *)scratch_read(scratch("map"), &n);

	memset(file + MAP_SUM_AT, 0, 16);
	put_le(file + MAP_LAST_AT, 8, get_le(file + MAP_LAST_AT, 8) - 700000000u);
	scratch_write(scratch("map"), file, n);
	free(file);
	forget(1);
	forget(2);
}

static void without_log(struct map_header *header)
{
	other_boot(header);
	header->logs = false;
}

static void after_reboot_unlogged(void)
{
	patch_header(without_log);
}

/* The header was there when the process was killed, the cluster was not yet. */
static void after_half_a_mark(void)
{
	size_t n;
	uint8_t *file = (uint8_t *)scratch_read(scratch("map"), &n);

	put_le(file + MAP_SUM_AT, 8, get_le(file + MAP_SUM_AT + 8, 8));
	put_le(file + MAP_SUM_AT + 8, 8, get_le(file + MAP_SUM_AT, 8) + 2);
	scratch_write(scratch("map"), file, n);
	free(file);
}

static void after_write(void)
{
	pause_ms(700); /* what comes within half a second of the last mark may be the guest's own */
	write_drive(5);
}

static void after_write_at_once(void)
{
	write_drive(5);
}

static void after_growth(void)
{
	write_drive(4 * MIB);
}

static void after_replacement(void)
{
	scratch_run("cp -p '%s' '%s' && mv '%s' '%s'", scratch("drive"), scratch("copy"),
		    scratch("copy"), scratch("drive"));
}

static void after_damage(void)
{
	int fd = open(scratch("map"), O_WRONLY);

	/* Both copies: the sequence number. */
	if (pwrite(fd, "????", 4, 16) != 4 || pwrite(fd, "????", 4, 512 + 16) != 4)
		CU_FAIL("writing");
	close(fd);
}

static void after_cut(void)
{
	if (truncate(scratch("map"), 8192) != 0)
		CU_FAIL("cutting");
}

static void after_old_copy_damaged(void)
{
	struct map_header header;
	struct error err;
	uint8_t *file = (uint8_t *)scratch_read(scratch("map"), NULL);
	int fd = open(scratch("map"), O_WRONLY);

	/* As if the process had been killed while it wrote the next one. */
	CU_ASSERT(map_header_get(&header, file, "map", &err) == 0);
	if (pwrite(fd, "????", 4, (off_t)(~header.sequence % 2 * 512 + 16)) != 4)
		CU_FAIL("writing");
	close(fd);
	free(file);
}

static const struct {
	const char *what;
	void (*user)(void);
	void (*then)(void);
	enum map_trust trust;
} cases[] = {
	{"clean", clean_user, after_nothing, MAP_CLEAN},
	{"clean, reboot", clean_user, after_reboot, MAP_UNSURE},
	{"clean, mounted anew", clean_user, after_mount, MAP_UNSURE},
	{"clean, groups lost", clean_user, after_groups_lost, MAP_DAMAGED},
	{"clean, clusters lost", clean_user, after_clusters_lost, MAP_DAMAGED},
	{"clean, a header half written", clean_user, after_old_copy_damaged, MAP_CLEAN},
	{"clean, written at once", clean_user, after_write_at_once, MAP_DRIVE_CHANGED},
	{"clean, grown", clean_user, after_growth, MAP_OTHER_DRIVE},
	{"clean, replaced", clean_user, after_replacement, MAP_OTHER_DRIVE},
	{"clean, damaged", clean_user, after_damage, MAP_DAMAGED},
	{"clean, cut", clean_user, after_cut, MAP_DAMAGED},
	{"killed", killed_user, after_nothing, MAP_KILLED},
	{"killed, a header half written", killed_user, after_old_copy_damaged, MAP_KILLED},
	{"killed, written later", killed_user, after_write, MAP_DRIVE_CHANGED},
	{"killed, replaced", killed_user, after_replacement, MAP_OTHER_DRIVE},
	{"killed, reboot, as before there were logs", killed_user, after_reboot_unlogged,
	 MAP_MACHINE_DIED},
	{"killed, mounted anew", killed_user, after_mount, MAP_UNSURE},
	{"killed, groups lost", killed_user, after_groups_lost, MAP_DAMAGED},
	{"killed, clusters lost", killed_user, after_clusters_lost, MAP_DAMAGED},
	{"killed, all lost", killed_user, after_all_lost, MAP_DRIVE_CHANGED},
	{"killed in a mark", killed_user, after_half_a_mark, MAP_KILLED},
	{"killed, damaged", killed_user, after_damage, MAP_DAMAGED},
	{"killed, cut", killed_user, after_cut, MAP_DAMAGED},
};

static void what_is_trusted(void)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct generation *map;
		struct error err;
		uint64_t id, n;

		make_drive();
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_NEW);
		CU_ASSERT(generation_advance(map) == 1);
		id = generation_id(map);
		CU_ASSERT(generation_close(map, &err) == 0);
		cases[i].user();
		cases[i].then();
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		if (generation_trust(map) != cases[i].trust)
			printf("  %s: %s\n", cases[i].what, map_trust_text(generation_trust(map)));
		CU_ASSERT(generation_trust(map) == cases[i].trust);
		bool kept = cases[i].trust == MAP_CLEAN || cases[i].trust == MAP_KILLED;
		CU_ASSERT((generation_id(map) == id) == kept);
		CU_ASSERT(generation_current(map) == (kept ? 2 : 1));
		CU_ASSERT(generation_count(map, 0) == (kept ? 2 : 0));
		CU_ASSERT(generation_count(map, 1) == (kept ? 2 : 0));
		CU_ASSERT(generation_changed(map, 1, 9, &n) == kept);
		CU_ASSERT(generation_close(map, &err) == 0);
		/* And it is clean now, whatever it was. */
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_CLEAN);
		CU_ASSERT(generation_close(map, &err) == 0);
	}
}

static void what_is_refused(void)
{
	struct generation *map, *second;
	struct error err;
	uint8_t *file;
	size_t n;

	make_drive();
	scratch_write(scratch("map"), "precious data", 13);
	CU_ASSERT(open_map(&map, &err) == ERR_USAGE);
	file = (uint8_t *)scratch_read(scratch("map"), &n);
	CU_ASSERT(n == 13 && memcmp(file, "precious data", 13) == 0);
	free(file);

	unlink(scratch("map"));
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(open_map(&second, &err) == ERR_LOCKED);
	CU_ASSERT(generation_close(map, &err) == 0);

	CU_ASSERT(generation_open(&map, scratch("."), scratch("drive"), MIB, &err) == ERR_SYSTEM);
	CU_ASSERT(generation_open(&map, "/dev/null", scratch("drive"), MIB, &err) == ERR_USAGE);
}

/* In both copies of the header, the checksum right. */
static void patch_byte(unsigned at, uint8_t byte)
{
	uint8_t copy[512] = {0};

	make_drive();
	clean_user();
	int fd = open(scratch("map"), O_RDWR);
	CU_ASSERT(pread(fd, copy, 512, 0) == 512);
	copy[at] = byte;
	put_le(copy + 504, 8, XXH3_64bits(copy, 504));
	CU_ASSERT(pwrite(fd, copy, 512, 0) == 512 && pwrite(fd, copy, 512, 512) == 512);
	close(fd);
}

static void a_later_version(void)
{
	struct generation *map;
	struct error err;

	patch_byte(8, 5);
	CU_ASSERT(open_map(&map, &err) == ERR_UNSUPPORTED);
}

/* From there on an older copy could count before long. */
static void a_sequence_near_its_end(void)
{
	struct generation *map;
	struct error err;

	patch_byte(16 + 7, 0xff);
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_trust(map) == MAP_DAMAGED);
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* The bytes of spec/map.md, section 8: 112 from the front, 8 at the end. */
static void the_example_of_the_specification(void)
{
	uint8_t page[MAP_HEADER_SIZE] = {0};
	char line[256];
	struct map_header header;
	struct error err;
	unsigned n = 0;
	FILE *spec = fopen("spec/map.md", "r"); /* from the top folder, as make runs it */

	CU_ASSERT_FATAL(spec != NULL);
	while (fgets(line, sizeof line, spec) != NULL) {
		unsigned byte;
		int length = 0;
		for (char *at = line; strncmp(line, "    ", 4) == 0; at += length) {
			if (sscanf(at, " %2x%n", &byte, &length) != 1 || n == 120)
				break;
			page[n < 112 ? n : n - 112 + 504] = (uint8_t)byte;
			n++;
		}
	}
	fclose(spec);
	CU_ASSERT(n == 120);
	CU_ASSERT_FATAL(map_header_get(&header, page, "example", &err) == 0);
	CU_ASSERT(header.state == MAP_STATE_CLEAN && header.current == 3);
	CU_ASSERT(header.sequence == 7 && header.id == 0x0123456789abcdef);
	CU_ASSERT(header.boot_id[1] == 1 && header.boot_id[15] == 15);
	CU_ASSERT(header.drive.kind == MAP_DRIVE_FILE && header.drive.device == 0xfe00);
	CU_ASSERT(header.drive.inode == 12345 && header.drive.size_bytes == 1 << 30);
	CU_ASSERT(header.drive.mtime_ns == 123456789);
	CU_ASSERT(header.began_ns == 123456788);
}

void test_generation(void)
{
	CU_pSuite suite = CU_add_suite("generation maps", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_is_trusted);
	CU_ADD_TEST(suite, what_is_refused);
	CU_ADD_TEST(suite, a_later_version);
	CU_ADD_TEST(suite, a_sequence_near_its_end);
	CU_ADD_TEST(suite, the_example_of_the_specification);
}
