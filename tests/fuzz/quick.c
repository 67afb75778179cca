/*
 * For programs that read an archive thousands of times a second. Linked with --wrap:
 *
 * malloc, calloc and free: the reader asks for 20 MiB of zeros and 8 MiB for payloads, touches little
 * of that, and a sanitizer makes it slow. A large block is mapped pages that are kept, given back to the system when it is
 * freed; what follows it may not be touched.
 *
 * pthread_create and pthread_join: the one worker runs at once, in the thread that wants it.
 */
#include "tests/fuzz/fuzz.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define LARGE	  (1u << 20)
#define PAGE	  4096u
#define KEPT_MAX  16
#define BLOCK_MAX ((size_t)1 << 25)
#define FEW	  512u /* pages */

static struct kept {
	uint8_t *pages, *block;
	size_t size, n_mapped, n_touched;
	uint16_t touched[FEW]; /* numbers of pages */
	long n_faults;	       /* of the process when they were looked at */
	int used;
} kept[KEPT_MAX];

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *block);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *context);
int __wrap_pthread_join(pthread_t thread, void **result);

/* The block ends where the last page, which is locked, begins; but for its alignment. */
static void *map_block(struct kept *k, size_t size)
{
	k->n_mapped = (size + PAGE - 1) / PAGE * PAGE;
	k->pages = mmap(NULL, k->n_mapped + PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(k->pages != MAP_FAILED);
	mprotect(k->pages + k->n_mapped, PAGE, PROT_NONE);
	k->size = size;
	k->block = k->pages + (k->n_mapped - size) / 16 * 16;
	return k->block;
}

static void *take(size_t size)
{
	for (int i = 0; i < KEPT_MAX; i++) {
		if (kept[i].used || (kept[i].size != size && kept[i].size != 0))
			continue;
		kept[i].used = 1;
		return kept[i].size == size ? kept[i].block : map_block(&kept[i], size);
	}
	return NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *block = NULL;
	if (n != 0 && size > LARGE / n && size < BLOCK_MAX / n) {
		block = take(n * size);
	}
	return block != NULL ? block : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	void *block = size > LARGE && size < BLOCK_MAX ? take(size) : NULL;

	return block != NULL ? block : __real_malloc(size);
}

/* Zeros again what was touched: to have the pages anew from the system would take much longer, as
 * long as they are few. */
static void blank(struct kept *k)
{
	static unsigned char resident[BLOCK_MAX / PAGE + 1];
	struct rusage usage;
	size_t n_pages = k->n_mapped / PAGE;
	MUST(getrusage(RUSAGE_SELF, &usage) == 0);
	if (usage.ru_minflt != k->n_faults) { /* else no page was touched for the first time */
		MUST(mincore(k->pages, k->n_mapped, resident) == 0);
		k->n_touched = 0;
		for (size_t i = 0; i < n_pages; i++)
			if ((resident[i] & 1u) != 0 && k->n_touched++ < FEW)
				k->touched[k->n_touched - 1] = (uint16_t)i;
		k->n_faults = usage.ru_minflt;
	}
	if (k->n_touched > FEW) {
		madvise(k->pages, k->n_mapped, MADV_DONTNEED);
		k->n_faults = -1;
	}
	for (size_t i = 0; i < k->n_touched && k->n_touched <= FEW; i++)
		memset(k->pages + k->touched[i] * PAGE, 0, PAGE);
}

void __wrap_free(void *block)
{
	for (int i = 0; i < KEPT_MAX && block != NULL; i++)
		if (kept[i].used && kept[i].block == block) {
			blank(&kept[i]);
			kept[i].used = 0;
			block = NULL;
		}
	__real_free(block);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *context)
{
	(void)attributes;
	*thread = pthread_self();
	run(context);
	return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	(void)thread, (void)result;
	return 0;
}
