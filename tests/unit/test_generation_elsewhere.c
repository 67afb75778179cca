/*
 * Maps of drives whose writes are recorded elsewhere: only what becomes of the file counts.
 */
#include "tests/unit/one_map.h"
#include "tests/unit/suites.h"

#include <signal.h>
#include <sys/wait.h>

#define SIZE (40 * MIB)

static struct generation *must_open(uint64_t size_bytes)
{
	struct generation *map = NULL;
	struct error err = {0};

	CU_ASSERT_FATAL(generation_open(&map, scratch("map"), NULL, size_bytes, &err) == 0);
	return map;
}

static void must_close(struct generation *map)
{
	struct error err = {0};

	CU_ASSERT(generation_close(map, &err) == 0);
}

/* A map in generation 2, with 2 clusters marked in the first; its id. */
static uint64_t used_map(void)
{
	struct generation *map;
	uint64_t id;

	unlink(scratch("map"));
	map = must_open(SIZE);
	CU_ASSERT(generation_trust(map) == MAP_NEW);
	generation_mark(map, 9, 2);
	generation_advance(map);
	id = generation_id(map);
	must_close(map);
	return id;
}

static bool is_kept(const struct generation *map, uint64_t id)
{
	return generation_id(map) == id && generation_current(map) == 2 &&
	       generation_count(map, 0) == 2;
}

static bool is_anew(const struct generation *map, uint64_t id)
{
	return generation_id(map) != id && generation_current(map) == 1 &&
	       generation_count(map, 0) == 0;
}

static void closed_in_order(void)
{
	uint64_t id = used_map();
	struct generation *map;

	patch_header(other_boot);
	map = must_open(SIZE);
	CU_ASSERT(generation_trust(map) == MAP_CLEAN && is_kept(map, id));
	must_close(map);
}

static void killed(bool reboot)
{
	uint64_t id = used_map();
	pid_t child = fork();
	struct generation *map;
	int status;

	if (child == 0) {
		map = must_open(SIZE);
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	CU_ASSERT(WIFSIGNALED(status));
	if (reboot)
		patch_header(other_boot);
	map = must_open(SIZE);
	CU_ASSERT(generation_trust(map) == (reboot ? MAP_MACHINE_DIED : MAP_KILLED));
	CU_ASSERT(reboot ? is_anew(map, id) : is_kept(map, id));
	must_close(map);
}

static void killed_in_this_boot(void)
{
	killed(false);
}

static void killed_in_another_boot(void)
{
	killed(true);
}

static void another_size(void)
{
	uint64_t id = used_map();
	struct generation *map = must_open(SIZE + MIB);

	CU_ASSERT(generation_trust(map) == MAP_OTHER_DRIVE && is_anew(map, id));
	CU_ASSERT(generation_lost_id(map) == id);
	must_close(map);
	map = must_open(SIZE + MIB);
	CU_ASSERT(generation_lost_id(map) == 0);
	must_close(map);
}

static void another_kind(void)
{
	uint64_t id = used_map();
	struct generation *map;
	struct error err;

	unlink(scratch("drive"));
	write_drive(SIZE - 1);
	CU_ASSERT_FATAL(open_map(&map, &err) == 0);
	CU_ASSERT(generation_trust(map) == MAP_OTHER_DRIVE && is_anew(map, id));
	must_close(map);
}

static void begun_anew(void)
{
	uint64_t id = used_map(), next;
	struct generation *map = must_open(SIZE);

	generation_restart(map);
	next = generation_id(map);
	CU_ASSERT(is_anew(map, id));
	must_close(map);
	map = must_open(SIZE);
	CU_ASSERT(is_anew(map, id) && generation_id(map) == next);
	must_close(map);
}

void test_generation_elsewhere(void)
{
	CU_pSuite suite = CU_add_suite("maps recorded elsewhere", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, closed_in_order);
	CU_ADD_TEST(suite, killed_in_this_boot);
	CU_ADD_TEST(suite, killed_in_another_boot);
	CU_ADD_TEST(suite, another_size);
	CU_ADD_TEST(suite, another_kind);
	CU_ADD_TEST(suite, begun_anew);
}
