/*
 * Runs of qemu-img that hang, or take long.
 */
#include "drive/qemuimg.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/wait.h>

static void count_line(void *context, const char *text)
{
	(void)text;
	++*(unsigned *)context;
}

/* As qemu-img: a script, which is given up after two seconds without a sign of life. */
static int run_script(const char *script, unsigned *n_lines, struct error *err)
{
	const char *const arguments[] = {"sh", "-c", script, NULL};
	struct qemu_img run = {
		.name = "a.qcow2",
		.arguments = arguments,
		.limit_ms = 2000,
		.line = count_line,
		.context = n_lines,
	};

	*n_lines = 0;
	return qemu_img_run(&run, err);
}

static void a_qemu_img_that_hangs(void)
{
	static const char *const scripts[] = {"echo 1; exec sleep 60", "echo 1; exec >&- sleep 60"};
	unsigned n_lines;

	for (int i = 0; i < 2; i++) {
		struct error err = {0};
		CU_ASSERT_EQUAL(run_script(scripts[i], &n_lines, &err), ERR_SYSTEM);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a.qcow2: qemu-img -c: no sign of life"));
		CU_ASSERT_EQUAL(n_lines, 1);
		CU_ASSERT(waitpid(-1, NULL, WNOHANG) < 0);
	}
}

/* Silent, and at work: longer than one that hangs is waited for. */
static void a_qemu_img_that_takes_long(void)
{
	static char script[] = "end=$(($(date +%s) + 4)); "
			       "while [ $(date +%s) -lt $end ]; do :; done; echo 1; echo 2; exit 5";
	struct error err = {0};
	unsigned n_lines;

	CU_ASSERT_EQUAL(run_script(script, &n_lines, &err), 5);
	CU_ASSERT_EQUAL(n_lines, 2);
}

void test_qemuimg(void)
{
	CU_pSuite suite = CU_add_suite("qemu-img", NULL, NULL);

	CU_ADD_TEST(suite, a_qemu_img_that_hangs);
	CU_ADD_TEST(suite, a_qemu_img_that_takes_long);
}
