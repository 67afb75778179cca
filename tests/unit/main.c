#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

/* All suites, or those whose names are given. */
static int run(int argc, char **argv)
{
	if (argc == 1)
		return CU_basic_run_tests() != CUE_SUCCESS;
	int failed = 0;
	for (int i = 1; i < argc; i++) {
		CU_pSuite suite = CU_get_suite(argv[i]);
		if (!suite) {
			fprintf(stderr, "unit: no suite is called '%s'\n", argv[i]);
			return 1;
		}
		CU_basic_run_suite(suite);
		failed |= CU_get_number_of_failures() > 0; /* counted anew by each run */
	}
	return failed;
}

static void (*const suites[])(void) = {
	test_format,
	test_archive,
	test_input,
	test_random,
	test_bits,
	test_clusterset,
	test_proved,
	test_changelist,
	test_feed,
	test_salvage,
	test_drive,
	test_turns,
	test_overlay,
	test_volume,
	test_pace,
	test_identity,
	test_qemuimg,
	test_buffer,
	test_buffer_spill,
	test_capture,
	test_generation,
	test_generation_elsewhere,
	test_generation_killed,
	test_generation_marks,
	test_mirror,
	test_mirror_qemu,
	test_moves,
	test_map_log,
	test_checkpoints,
	test_nbd_server,
	test_target,
	test_output,
	test_create,
	test_cli,
	test_keep,
	test_json,
	test_child,
	test_stop,
	test_guard,
	test_sandbox,
	test_names,
	test_unread,
	test_receive,
	test_qmp,
	test_store,
	test_nbd_whole,
	test_nbd_client,
};
static void (*const without_threads[])(void) = {
	test_mutation, test_capture_model, test_target_device, test_walk,	test_sums,
	test_proof,    test_drive_marks,   test_qcow2,	       test_bitmapfile, test_live,
};

static void add(void (*const *tests)(void), size_t n)
{
	for (size_t i = 0; i < n; i++)
		tests[i]();
}

int main(int argc, char **argv)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD,
		1 << 20); /* heads are large and mostly unused: no clearing of reused memory */
#endif
	signal(SIGPIPE, SIG_IGN); /* as the program does */
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	add(suites, sizeof(suites) / sizeof(suites[0]));
	if (!THREADS_ONLY)
		add(without_threads, sizeof(without_threads) / sizeof(without_threads[0]));
	CU_basic_set_mode(CU_BRM_NORMAL);
	int rc = run(argc, argv);
	unsigned failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	return failed != 0 || rc != 0;
}
