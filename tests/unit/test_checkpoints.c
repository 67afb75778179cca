/*
 * Checkpoints of maps, in memory and in files: what is kept, through what, and what changed since.
 */
#include "cow/checkpoints.h"

#include "base/bytes.h"
#include "tests/unit/one_map.h"
#include "tests/unit/suites.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <xxhash.h>

#define TABLES (2u * MAP_TABLE_SIZE)
#define LOG    4096u /* of a small drive */

static struct generation *map;
static struct error err;

static int add(const char *name, uint8_t uuid, bool good)
{
	struct checkpoint line = {.uuid = {uuid},
				  .instant_ns = 7,
				  .good = good,
				  .generation = generation_advance(map)};

	snprintf(line.name, sizeof(line.name), "%s", name);
	return checkpoints_add(generation_checkpoints(map), &line, &err);
}

/* "a+ b-": a is good, b is pending. */
static const char *names(void)
{
	static char text[400];
	struct checkpoint *lines;
	uint32_t n;

	text[0] = '\0';
	CU_ASSERT_FATAL(checkpoints_list(generation_checkpoints(map), &lines, &n, &err) == 0);
	for (uint32_t i = 0; i < n && i < 10; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s%c",
			 i > 0 ? " " : "", lines[i].name, lines[i].good ? '+' : '-');
	free(lines);
	return text;
}

static void names_that_may_be(void)
{
	char longest[129] = {0};

	CU_ASSERT(checkpoint_name_usable("a-1_2.b:c"));
	CU_ASSERT(checkpoint_name_usable("since"));
	CU_ASSERT(!checkpoint_name_usable("since-1"));
	CU_ASSERT(!checkpoint_name_usable(""));
	CU_ASSERT(!checkpoint_name_usable("a b"));
	CU_ASSERT(!checkpoint_name_usable("-a"));
	CU_ASSERT(!checkpoint_name_usable("a/b"));
	memset(longest, 'x', 127);
	CU_ASSERT(checkpoint_name_usable(longest));
	memset(longest, 'x', 128);
	CU_ASSERT(!checkpoint_name_usable(longest));
}

static void lines_come_and_go(void)
{
	struct checkpoints *table;
	struct checkpoint found;

	CU_ASSERT_FATAL(generation_new(&map, MIB, &err) == 0);
	table = generation_checkpoints(map);
	CU_ASSERT(add("one", 1, false) == 0);
	CU_ASSERT(add("two", 0, true) == 0);
	CU_ASSERT(add("three", 3, false) == 0);
	CU_ASSERT(add("two", 9, true) == ERR_USAGE);
	CU_ASSERT(add("since-1", 9, true) == ERR_USAGE);
	CU_ASSERT_STRING_EQUAL(names(), "one- two+ three-");
	CU_ASSERT(checkpoints_commit(table, "three", 100, 50, &err) == 0);
	CU_ASSERT(checkpoints_commit(table, "four", 100, 50, &err) == ERR_USAGE);
	CU_ASSERT(checkpoints_find(table, "three", &found) && found.good && found.uuid[0] == 3 &&
		  found.generation == 3 && found.raw_bytes == 100 && found.written_bytes == 50 &&
		  found.instant_ns == 7);
	CU_ASSERT(checkpoints_confirm(table, 3, found.uuid));
	CU_ASSERT(!checkpoints_confirm(table, 2, found.uuid));
	CU_ASSERT(!checkpoints_confirm(table, 4, found.uuid));
	CU_ASSERT(!checkpoints_find(table, "thre", &found));
	CU_ASSERT(checkpoints_good(table, 1, &found) && strcmp(found.name, "three") == 0);
	CU_ASSERT(!checkpoints_good(table, 2, &found));
	checkpoints_drop_pending(table);
	CU_ASSERT_STRING_EQUAL(names(), "two+ three+");
	CU_ASSERT(checkpoints_delete(table, "two", &err) == 0);
	CU_ASSERT(checkpoints_delete(table, "two", &err) == ERR_USAGE);
	CU_ASSERT_STRING_EQUAL(names(), "three+");
	/* Without a name they are remembered, and in nobody's way. */
	CU_ASSERT(checkpoints_confirm(table, 1, (uint8_t[UUID_SIZE]){1}));
	CU_ASSERT(!checkpoints_find(table, "one", &found) && !checkpoints_find(table, "", &found));
	CU_ASSERT(checkpoints_delete(table, "three", &err) == 0);
	CU_ASSERT(add("three", 5, true) == 0 && add("one", 6, true) == 0);
	CU_ASSERT_STRING_EQUAL(names(), "three+ one+");
	generation_restart(map);
	CU_ASSERT_STRING_EQUAL(names(), "");
	CU_ASSERT(add("three", 3, true) == 0);
	CU_ASSERT(generation_close(map, &err) == 0);
}

static void a_full_table(void)
{
	struct checkpoint found;
	char name[20];

	make_drive();
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(add("mine", 0, true) == 0);
	CU_ASSERT(add("pending", 1, false) == 0);
	for (unsigned i = 2; i < CHECKPOINTS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		CU_ASSERT_FATAL(add(name, 1, true) == 0);
	}
	CU_ASSERT(add("more", 1, true) == 0);
	CU_ASSERT(generation_close(map, &err) == 0);
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT_STRING_EQUAL(names(), "mine+ pending- c3+ c4+ c5+ c6+ c7+ c8+ c9+ c10+");
	CU_ASSERT(checkpoints_find(generation_checkpoints(map), "more", &found));
	CU_ASSERT(found.generation == CHECKPOINTS_MAX + 1);
	/* What is older than all lines cannot be told; the others can. */
	found.uuid[0] = 99;
	CU_ASSERT(checkpoints_confirm(generation_checkpoints(map), 3, found.uuid));
	CU_ASSERT(!checkpoints_confirm(generation_checkpoints(map), 4, found.uuid));
	/* Those that have passed give way first. */
	CU_ASSERT(checkpoints_delete(generation_checkpoints(map), "c9", &err) == 0);
	CU_ASSERT(add("last", 1, true) == 0);
	CU_ASSERT_STRING_EQUAL(names(), "mine+ pending- c3+ c4+ c5+ c6+ c7+ c8+ c10+ c11+");
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* As a serve that is killed. */
static void killed(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (open_map(&map, &err) != 0 || add("two", 2, false) != 0)
			_exit(1);
		raise(SIGKILL);
	}
	CU_ASSERT(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static void they_last(void)
{
	make_drive();
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(add("one", 1, true) == 0);
	CU_ASSERT(generation_close(map, &err) == 0);
	killed();
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_trust(map) == MAP_KILLED);
	CU_ASSERT_STRING_EQUAL(names(), "one+ two-");
	CU_ASSERT(generation_close(map, &err) == 0);
	write_drive(5); /* by another program */
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_trust(map) == MAP_DRIVE_CHANGED);
	CU_ASSERT_STRING_EQUAL(names(), "");
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* Flips a byte of one of the tables of a closed map. */
static void damage(unsigned table, size_t at)
{
	size_t n;
	uint8_t *file = (uint8_t *)scratch_read(scratch("map"), &n);

	file[n - LOG - TABLES + table * MAP_TABLE_SIZE + at] ^= 1;
	scratch_write(scratch("map"), file, n);
	free(file);
}

static void damaged_tables(void)
{
	static const size_t places[] = {0, 8, 16, 24, 28, 56, 64, 65, 66, 70, 128, 200, 255};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		make_drive();
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(add("one", 1, true) == 0); /* into table 1 */
		CU_ASSERT(add("two", 2, true) == 0); /* into table 0 */
		CU_ASSERT(generation_close(map, &err) == 0);
		damage(0, places[i]);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT_STRING_EQUAL(names(), "one+");
		CU_ASSERT(add("three", 2, true) == 0);
		CU_ASSERT_STRING_EQUAL(names(), "one+ three+");
		CU_ASSERT(generation_close(map, &err) == 0);
		damage(0, 30);
		damage(1, 30);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_CLEAN);
		CU_ASSERT_STRING_EQUAL(names(), "");
		CU_ASSERT(generation_close(map, &err) == 0);
	}
}

/* A closed map of version 1 is one of today without tables and log, and does not know when it
 * began; one of version 2 has tables, one of version 3 knows. */
static void make_older(unsigned version, bool cut)
{
	size_t n;
	uint8_t *file = (uint8_t *)scratch_read(scratch("map"), &n);

	for (unsigned i = 0; i < 2; i++) {
		put_le(file + 512 * i + 8, 4, version);
		if (version < 3)
			put_le(file + 512 * i + 104, 8, 0);
		put_le(file + 512 * i + 504, 8, XXH3_64bits(file + 512 * i, 504));
	}
	scratch_write(scratch("map"), file, cut ? n - LOG - (version == 1 ? TABLES : 0) : n);
	free(file);
}

static void older_versions(void)
{
	for (unsigned i = 0; i < 6; i++) {
		make_drive();
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		generation_mark(map, 5, 2);
		generation_advance(map);
		CU_ASSERT(generation_close(map, &err) == 0);
		make_older(1 + i / 2, i % 2 == 1);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_CLEAN);
		CU_ASSERT(generation_count(map, 0) == 2 && generation_current(map) == 2);
		CU_ASSERT((generation_began_ns(map) == 0) == (i < 4));
		CU_ASSERT(add("one", 1, true) == 0);
		CU_ASSERT(generation_close(map, &err) == 0);
		CU_ASSERT_FATAL(open_map(&map, &err) == 0);
		CU_ASSERT(generation_trust(map) == MAP_CLEAN);
		CU_ASSERT_STRING_EQUAL(names(), "one+");
		CU_ASSERT(generation_close(map, &err) == 0);
	}
	/* Version 2 without tables is no map of version 1. */
	make_older(1, true);
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_close(map, &err) == 0);
	CU_ASSERT(truncate(scratch("map"), 3 * MAP_PAGE) == 0);
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_trust(map) == MAP_DAMAGED);
	CU_ASSERT(generation_close(map, &err) == 0);
}

static void check_counts(uint64_t size_bytes)
{
	uint64_t n_clusters = generation_n_clusters(map), n;

	for (uint16_t g = 0; g < generation_current(map); g++) {
		uint64_t count = 0, bytes = 0;
		for (uint64_t i = 0; i < n_clusters; i++) {
			if (!generation_changed(map, g, i, &n))
				continue;
			count++;
			bytes += least(size_bytes - i * CLUSTER_SIZE, CLUSTER_SIZE);
		}
		CU_ASSERT(generation_count(map, g) == count);
		CU_ASSERT(generation_changed_bytes(map, g) == bytes);
	}
}

static void counts_are_exact(void)
{
	uint64_t size_bytes = 5000 * (uint64_t)CLUSTER_SIZE - 1000;
	uint32_t state = 1;

	unlink(scratch("map"));
	CU_ASSERT_FATAL(generation_open(&map, scratch("map"), NULL, size_bytes, &err) == 0);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 40; i++) {
			state = state * 1664525u + 1013904223u;
			uint64_t n = 1 + (state >> 8) % 30, at = (state >> 10) % (5000 - n + 1);
			generation_mark(map, round % 3 == 0 ? 5000 - n : at, n);
		}
		check_counts(size_bytes);
		generation_advance(map);
		if (round % 4 != 3)
			continue;
		CU_ASSERT(generation_close(map, &err) == 0);
		CU_ASSERT_FATAL(generation_open(&map, scratch("map"), NULL, size_bytes, &err) == 0);
	}
	check_counts(size_bytes);
	generation_restart(map);
	CU_ASSERT(generation_count(map, 0) == 0);
	generation_mark(map, 4999, 1);
	CU_ASSERT(generation_changed_bytes(map, 0) == CLUSTER_SIZE - 1000);
	CU_ASSERT(generation_close(map, &err) == 0);
}

/* For instants before a flush that failed all has changed, for those after it what was written. */
static void a_failed_flush(void)
{
	uint64_t n;

	CU_ASSERT_FATAL(generation_new(&map, MIB + 5, &err) == 0);
	CU_ASSERT(generation_advance(map) == 1);
	generation_mark(map, 3, 1);
	CU_ASSERT(generation_is_sure(map, 1) && generation_count(map, 1) == 1);
	generation_drop(map);
	CU_ASSERT(!generation_is_sure(map, 1) && generation_count(map, 1) == 17);
	CU_ASSERT(generation_changed_bytes(map, 1) == MIB + 5);
	CU_ASSERT(generation_changed(map, 1, 9, &n) && n == 8);
	CU_ASSERT(generation_advance(map) == 2);
	generation_mark(map, 4, 1);
	CU_ASSERT(generation_is_sure(map, 2) && generation_count(map, 2) == 1);
	CU_ASSERT(!generation_changed(map, 2, 3, &n));
	generation_restart(map);
	CU_ASSERT(generation_is_sure(map, 0) && generation_count(map, 0) == 0);
	CU_ASSERT(generation_close(map, &err) == 0);
}

static void tokens(void)
{
	char text[GENERATION_TOKEN_SIZE];
	uint64_t id;
	uint16_t g;

	CU_ASSERT_STRING_EQUAL(generation_token(text, 0xabc, 65535), "map:0000000000000abc:65535");
	CU_ASSERT(generation_parse_token(text, &id, &g) && id == 0xabc && g == 65535);
	CU_ASSERT(!generation_parse_token("map:0000000000000abc:65536", &id, &g));
	CU_ASSERT(!generation_parse_token("map:0000000000000abc:", &id, &g));
	CU_ASSERT(!generation_parse_token("map:0000000000000abc", &id, &g));
	CU_ASSERT(!generation_parse_token("map:000000000000abc:1", &id, &g));
	CU_ASSERT(!generation_parse_token("map:", &id, &g));
	CU_ASSERT(!generation_parse_token("qcow2:x", &id, &g));
	CU_ASSERT(!generation_parse_token("", &id, &g));
}

void test_checkpoints(void)
{
	CU_pSuite suite = CU_add_suite("checkpoints", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, names_that_may_be);
	CU_ADD_TEST(suite, lines_come_and_go);
	CU_ADD_TEST(suite, a_full_table);
	CU_ADD_TEST(suite, they_last);
	CU_ADD_TEST(suite, damaged_tables);
	CU_ADD_TEST(suite, older_versions);
	CU_ADD_TEST(suite, counts_are_exact);
	CU_ADD_TEST(suite, a_failed_flush);
	CU_ADD_TEST(suite, tokens);
}
