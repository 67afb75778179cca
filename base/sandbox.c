#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's own header may be older than the kernel, or not there. The numbers are the same on
 * all machines. */
enum {
	CREATE_RULESET = 444,
	ADD_RULE = 445,
	RESTRICT_SELF = 446,
	ASK_VERSION = 1,
	RULE_PATH_BENEATH = 1,
};
enum {
	EXECUTE = 1 << 0,
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIR = 1 << 3,
	REMOVE_DIR = 1 << 4,
	REMOVE_FILE = 1 << 5,
	MAKE_REG = 1 << 8,
	TRUNCATE = 1 << 14,
};

struct rule {
	uint64_t allowed;
	int32_t folder;
} __attribute__((packed));

#ifndef WITHOUT_SANDBOX
#define WITHOUT_SANDBOX 0 /* 1: for tools that open files when the program ends */
#endif

/* What a version of the kernel's interface knows of; what is not asked for stays allowed. */
static uint64_t known_rights(long version)
{
	uint64_t rights = (1u << 13) - 1;

	if (version >= 2)
		rights |= 1u << 13;
	if (version >= 3)
		rights |= TRUNCATE;
	return rights;
}

void sandbox_begin(struct sandbox *out)
{
	long version = -1;

	memset(out, 0, sizeof(*out));
	out->rules = -1;
	if (!WITHOUT_SANDBOX)
		version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
	if (version < 1)
		return;
	out->rights = known_rights(version);
	out->rules = (int)syscall(CREATE_RULESET, &out->rights, sizeof(out->rights), 0);
	if (out->rules < 0)
		out->failed = errno;
}

static void note_failure(struct sandbox *sandbox, const char *path)
{
	if (sandbox->failed != 0)
		return;
	sandbox->failed = errno;
	snprintf(sandbox->failed_at, sizeof(sandbox->failed_at), "%.250s: ", path);
}

static void allow(struct sandbox *sandbox, const char *path, uint64_t rights)
{
	struct rule rule = {.allowed = rights & sandbox->rights};

	if (sandbox->rules < 0)
		return;
	rule.folder = open(path, O_PATH | O_CLOEXEC);
	if (rule.folder < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			note_failure(sandbox, path);
		return;
	}
	if (syscall(ADD_RULE, sandbox->rules, RULE_PATH_BENEATH, &rule, 0) != 0)
		note_failure(sandbox, path);
	close(rule.folder);
}

void sandbox_allow_reading(struct sandbox *sandbox)
{
	allow(sandbox, "/", READ_FILE | READ_DIR | EXECUTE);
}

static void allow_folder_of(struct sandbox *sandbox, const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = slash == NULL ? 0 : (int)(slash - path) + 1;

	snprintf(folder, sizeof(folder), "%.*s.", n, path);
	if (strcmp(folder, sandbox->folder) == 0)
		return;
	memcpy(sandbox->folder, folder, sizeof(folder));
	allow(sandbox, folder,
	      MAKE_REG | REMOVE_FILE | READ_FILE | WRITE_FILE | READ_DIR | TRUNCATE);
}

void sandbox_allow_file(struct sandbox *sandbox, const char *path)
{
	struct stat found;
	char *real;

	if (path == NULL || sandbox->rules < 0)
		return;
	if (stat(path, &found) == 0 && S_ISBLK(found.st_mode))
		return;
	allow_folder_of(sandbox, path);
	if (lstat(path, &found) < 0 || !S_ISLNK(found.st_mode))
		return;
	real = realpath(path, NULL);
	if (real != NULL)
		allow_folder_of(sandbox, real);
	free(real);
}

void sandbox_allow_removal(struct sandbox *sandbox, const char *folder)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s/..", folder);
	allow(sandbox, parent, REMOVE_DIR);
}

void sandbox_end(struct sandbox *sandbox)
{
	if (sandbox->rules > 0)
		close(sandbox->rules);
	sandbox->rules = -1;
}

static int restrict_self(struct sandbox *sandbox)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return errno;
	/* E2BIG: whoever started this has confined it as often as can be. */
	return syscall(RESTRICT_SELF, sandbox->rules, 0) == 0 || errno == E2BIG ? 0 : errno;
}

int sandbox_enter(struct sandbox *sandbox, struct error *err)
{
	int failed;

	/* The C library asks there how many processors there are. */
	allow(sandbox, "/sys/devices/system/cpu", READ_FILE | READ_DIR);
	failed = sandbox->failed;
	if (failed == 0 && sandbox->rules >= 0)
		failed = restrict_self(sandbox);
	sandbox_end(sandbox);
	return failed == 0 ? 0
			   : fail_system(err, failed,
					 "%saccess to other files cannot be given up (Landlock)",
					 sandbox->failed_at);
}

int sandbox_enter_at_once(struct error *err)
{
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	return sandbox_enter(&sandbox, err);
}
