/*
 * Memory for GnuTLS, and for GMP, which it computes with.
 *
 * When allocation fails GMP aborts the program, and GnuTLS frees memory twice or clears memory that
 * it never got (seen with 3.7.9): a client's handshake would end the server, and the guests' drives
 * with it. The allocators here never fail: the thread waits until there is memory.
 *
 * GMP is loaded along with GnuTLS if that depends on it.
 */
#include "nbd/state.h"

#if HAVE_GNUTLS

#include "base/clock.h"
#include "base/library.h"

#include <dlfcn.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#define USED(X)           \
	X(gnutls_malloc)  \
	X(gnutls_calloc)  \
	X(gnutls_realloc) \
	X(gnutls_rnd)     \
	X(gnutls_strdup)

#define THREAD_BYTES 65536u /* malloc keeps it when it is freed */

static struct {
	USED(LIBRARY_MEMBER)
} lib;

static struct library library = LIBRARY(FILE_gnutls, USED, lib);

static void wait_for_memory(void)
{
	clock_sleep_ms(10);
}

static void *allocate_cleared(size_t n, size_t size)
{
	void *new;

	while ((new = calloc(n, size)) == NULL)
		wait_for_memory();
	return new;
}

static void *allocate(size_t size)
{
	void *new;

	while ((new = malloc(size)) == NULL)
		wait_for_memory();
	return new;
}

static void *grow(void *old, size_t size)
{
	void *new;

	while ((new = realloc(old, size)) == NULL && size > 0)
		wait_for_memory();
	return new;
}

static char *copy(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(allocate(size), text, size);
}

static void *grow_number(void *old, size_t old_size, size_t size)
{
	(void)old_size;
	return grow(old, size);
}

static void release_number(void *old, size_t size)
{
	(void)size;
	free(old);
}

int tls_memory_start(struct error *err)
{
	void (*set)(void *(*)(size_t), void *(*)(void *, size_t, size_t), void (*)(void *, size_t));

	TRY(library_load(&library, err));
	*lib.gnutls_malloc = allocate;
	*lib.gnutls_calloc = allocate_cleared;
	*lib.gnutls_realloc = grow;
	*lib.gnutls_strdup = copy;
	*(void **)&set = dlsym(library.handle, "__gmp_set_memory_functions");
	if (set != NULL)
		set(allocate, grow_number, release_number);
	return 0;
}

/* glibc ends the process when a thread first uses a variable that a loaded library keeps for each
 * thread, and there is no memory for it. So GnuTLS is made to use its own here, right after memory
 * of far more than its size was there and is free again. */
void tls_memory_prepare_thread(void)
{
	static _Thread_local bool prepared;
	unsigned char byte;

	if (prepared)
		return;
	free(allocate(THREAD_BYTES));
	lib.gnutls_rnd(GNUTLS_RND_NONCE, &byte, sizeof(byte));
	prepared = true;
}

#endif
