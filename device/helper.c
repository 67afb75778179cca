#include "device/helper.h"

#include "base/child.h"
#include "base/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SILENCE_MS   300000
#define MEMORY_BYTES (2ull << 30)

int helper_confine(const char *folder, const char *into, struct error *err)
{
	static const char *const system[] = {"/usr", "/lib", "/lib64", "/bin", "/sbin"};
	struct sandbox sandbox;

	sandbox_begin(&sandbox);
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		sandbox_allow_reading_below(&sandbox, system[i]);
	sandbox_allow_reading_below(&sandbox, folder);
	sandbox_allow_listing(&sandbox); /* grub-fstest opens / at its start */
	sandbox_allow_device(&sandbox, "/dev/null");
	if (into != NULL)
		sandbox_allow_tree(&sandbox, into);
	return sandbox_enter(&sandbox, err);
}

void helper_limit(const struct child *child)
{
	const struct rlimit memory = {MEMORY_BYTES, MEMORY_BYTES}, none = {0, 0};

	prlimit(child->pid, RLIMIT_AS, &memory, NULL);
	prlimit(child->pid, RLIMIT_CORE, &none, NULL);
}

int helper_read(const struct child *child, const char *program, void *to, size_t n, size_t *got,
		struct error *err)
{
	struct pollfd one = {.fd = child->out, .events = POLLIN};

	for (;;) {
		int ready = poll(&one, 1, SILENCE_MS);
		ssize_t found = ready > 0 ? read(child->out, to, n) : -1;

		if (ready == 0)
			return fail(err, ERR_SYSTEM, "%s did not answer for %u s", program,
				    SILENCE_MS / 1000);
		if (found < 0 && errno == EINTR)
			continue;
		if (found < 0)
			return fail_system(err, errno, "%s", program);
		*got = (size_t)found;
		return 0;
	}
}

int helper_append(char **text, size_t *n, size_t *room, const void *bytes, size_t n_bytes)
{
	if (*n + n_bytes + 1 > *room) {
		size_t wanted = (*n + n_bytes + 1) * 2;
		char *grown = realloc(*text, wanted);

		if (grown == NULL)
			return ENOMEM;
		*text = grown;
		*room = wanted;
	}
	memcpy(*text + *n, bytes, n_bytes);
	*n += n_bytes;
	(*text)[*n] = '\0';
	return 0;
}
