#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <malloc.h>
#include <signal.h>

int main(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD,
		1 << 20); /* heads are large and mostly unused: no clearing of reused memory */
#endif
	signal(SIGPIPE, SIG_IGN); /* as the program does */
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	test_format();
	test_archive();
	test_mutation();
	test_input();
	test_random();
	test_drive();
	test_target();
	test_output();
	test_cli();
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	return failed != 0;
}
