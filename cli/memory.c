#include "cli/memory.h"

#include "cli/signals.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Without stdio, which may need memory. */
void memory_give_up(void)
{
	static const char text[] = "vmabak: out of memory\n";
	static const char limited[] = "vmabak: out of memory (there is a limit: RLIMIT_AS, ulimit "
				      "-v)\n";
	struct rlimit limit;
	ssize_t ignored;

	signals_abandon();
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		ignored = write(STDERR_FILENO, limited, sizeof(limited) - 1);
	else
		ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	_exit(1);
}

/* By default the C library keeps large freed buffers, so that the peak of one phase adds to that of
 * the next, and clears memory that the kernel has cleared already. */
void memory_start(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

void *memory_new(size_t n, size_t size)
{
	void *new = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (new == NULL)
		memory_give_up();
	return new;
}

void *memory_grow(void *old, size_t n, size_t size)
{
	void *new = reallocarray(old, n == 0 ? 1 : n, size);

	if (new == NULL)
		memory_give_up();
	return new;
}
