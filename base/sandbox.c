#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers before Linux 5.19 and 6.2 lack these. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#ifndef WITHOUT_SANDBOX
#define WITHOUT_SANDBOX 0 /* 1: for tools that open files when the program ends */
#endif

/* The rights that a version of the kernel's interface can restrict; all others stay allowed. */
static uint64_t known_rights(long version)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	if (version >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return rights;
}

void sandbox_begin(struct sandbox *out)
{
	long version = -1;

	memset(out, 0, sizeof(*out));
	out->rules = -1;
	if (!WITHOUT_SANDBOX)
		version = syscall(SYS_landlock_create_ruleset, NULL, 0,
				  LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return;
	out->rights = known_rights(version);
	out->rules =
		(int)syscall(SYS_landlock_create_ruleset, &out->rights, sizeof(out->rights), 0);
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
	struct landlock_path_beneath_attr rule = {.allowed_access = rights & sandbox->rights};

	if (sandbox->rules < 0)
		return;
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			note_failure(sandbox, path);
		return;
	}
	if (syscall(SYS_landlock_add_rule, sandbox->rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) !=
	    0)
		note_failure(sandbox, path);
	close(rule.parent_fd);
}

void sandbox_allow_listing(struct sandbox *sandbox)
{
	allow(sandbox, "/", LANDLOCK_ACCESS_FS_READ_DIR);
}

void sandbox_allow_reading_below(struct sandbox *sandbox, const char *folder)
{
	allow(sandbox, folder,
	      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		      LANDLOCK_ACCESS_FS_EXECUTE);
}

void sandbox_allow_reading(struct sandbox *sandbox)
{
	sandbox_allow_reading_below(sandbox, "/");
}

static void folder_of(char folder[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');
	int n = slash == NULL ? 0 : (int)(slash - path) + 1;

	snprintf(folder, PATH_MAX, "%.*s.", n, path);
}

static void allow_folder_of(struct sandbox *sandbox, const char *path)
{
	char folder[PATH_MAX];

	folder_of(folder, path);
	if (strcmp(folder, sandbox->folder) == 0)
		return;
	memcpy(sandbox->folder, folder, sizeof(folder));
	allow(sandbox, folder,
	      LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		      LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_TRUNCATE);
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

void sandbox_allow_tree(struct sandbox *sandbox, const char *folder)
{
	allow(sandbox, folder,
	      LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
		      LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		      LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_READ_FILE |
		      LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
		      LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_REFER);
}

void sandbox_allow_socket(struct sandbox *sandbox, const char *path)
{
	char folder[PATH_MAX];

	folder_of(folder, path);
	allow(sandbox, folder,
	      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
}

void sandbox_allow_device(struct sandbox *sandbox, const char *path)
{
	allow(sandbox, path, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
}

void sandbox_allow_removal(struct sandbox *sandbox, const char *folder)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s/..", folder);
	allow(sandbox, parent, LANDLOCK_ACCESS_FS_REMOVE_DIR);
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
	/* E2BIG: the program is confined in as many layers as the kernel allows. */
	return syscall(SYS_landlock_restrict_self, sandbox->rules, 0) == 0 || errno == E2BIG
		       ? 0
		       : errno;
}

int sandbox_enter(struct sandbox *sandbox, struct error *err)
{
	int failed;

	/* The C library counts the processors there. */
	allow(sandbox, "/sys/devices/system/cpu",
	      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
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

int sandbox_enter_reading(const char *folder, struct error *err)
{
	struct sandbox sandbox;
	char inner[PATH_MAX];

	sandbox_begin(&sandbox);
	sandbox_allow_reading(&sandbox);
	if (folder != NULL) {
		snprintf(inner, sizeof(inner), "%s/.", folder);
		sandbox_allow_file(&sandbox, inner);
	}
	return sandbox_enter(&sandbox, err);
}
