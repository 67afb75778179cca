/* In a child of its own, because there is no way back. */
#include "base/sandbox.c"
#include "tests/unit/suites.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool denied(int result)
{
	bool so = result < 0 && errno == EACCES;
	if (result >= 0)
		close(result);
	return so;
}

static bool makes(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A file that may be read, and holds nothing that could run. */
static bool runs_nothing(void)
{
	return execl("allowed/program", "program", (char *)NULL) != 0 && errno == EACCES;
}

/* Number of the first thing that is not as it must be; 0: all is well; 77: no sandbox here;
 * 98: there is one, and it was not entered. */
static int confined_child(void)
{
	struct sandbox sandbox;
	struct error err;
	int before = open("/etc/passwd", O_RDONLY);
	char byte;
	sandbox_begin(&sandbox);
	if (sandbox.rules < 0)
		return 77;
	sandbox_allow_file(&sandbox, "allowed/x");
	sandbox_allow_removal(&sandbox, "made");
	sandbox_allow_file(&sandbox, NULL);
	if (sandbox_enter(&sandbox, &err) != 0)
		return 98;
	const bool wanted[] = {
		denied(open("/etc/passwd", O_RDONLY)),
		denied(open("/etc", O_RDONLY | O_DIRECTORY)),
		read(before, &byte, 1) == 1,
		denied(open("other/y", O_RDWR | O_CREAT, 0600)),
		denied(open("other/there", O_WRONLY)),
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) <
				3 ||
			denied(truncate("other/there", 0)),
		denied(mknod("other/z", S_IFREG | 0600, 0)),
		denied(mkdir("other/folder", 0700)),
		denied(unlink("other/there")),
		makes("allowed/x"),
		rename("allowed/x", "allowed/z") == 0,
		unlink("allowed/z") == 0,
		rename("allowed/w", "other/w") != 0,
		rmdir("made") == 0,
		runs_nothing(),
	};
	for (size_t i = 0; i < sizeof wanted; i++)
		if (!wanted[i])
			return (int)i + 1;
	return 0;
}

static void test_confined(void)
{
	char folder[] = "/tmp/vmabak-unit-XXXXXX", command[100];
	int status;
	CU_ASSERT_FATAL(mkdtemp(folder) != NULL);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		if (chdir(folder) != 0 || mkdir("allowed", 0700) != 0 ||
		    mkdir("other", 0700) != 0 || mkdir("made", 0700) != 0 ||
		    !makes("other/there") || !makes("allowed/w") || !makes("allowed/program") ||
		    chmod("allowed/program", 0700) != 0)
			_exit(99);
		_exit(confined_child());
	}
	CU_ASSERT_FATAL(waitpid(child, &status, 0) == child);
	CU_ASSERT(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		puts("skipped: no Landlock here, or built for a sanitizer");
	else
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	snprintf(command, sizeof command, "rm -r %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* Where there is none nothing happens; where there is one that cannot be put up, that is told. */
static void test_not_begun(void)
{
	struct sandbox none = {.rules = -1};
	sandbox_allow_file(&none, "/tmp/x");
	sandbox_allow_reading(&none);
	sandbox_allow_removal(&none, "/tmp/x");
	struct error err = {0};
	CU_ASSERT_EQUAL(sandbox_enter(&none, &err), 0);
	none.failed = EMFILE;
	CU_ASSERT_EQUAL(sandbox_enter(&none, &err), ERR_SYSTEM);
	int fd = open("/etc/passwd", O_RDONLY);
	CU_ASSERT(fd >= 0);
	close(fd);
}

void test_sandbox(void)
{
	CU_pSuite suite = CU_add_suite("sandbox", NULL, NULL);
	CU_ADD_TEST(suite, test_confined);
	CU_ADD_TEST(suite, test_not_begun);
}
