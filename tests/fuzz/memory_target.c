/* target.h over memory. A range past the end of the drive, or one written twice, ends the program:
 * the reader promised that there are none. */
#include "drive/target.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define BLOCKS_KEPT 65536u /* of a drive, of which it is known whether they were written */

struct target {
	uint64_t size_bytes, n_written, n_kept;
	uint8_t *seen; /* owned: of each block */
};

int target_open(struct target **out, const char *path, uint64_t size_bytes,
		const struct target_options *options, struct error *err)
{
	struct target *target = calloc(1, sizeof *target);
	(void)path, (void)options, (void)err;
	MUST(target != NULL);
	target->size_bytes = size_bytes;
	target->n_kept =
		size_bytes / BLOCK_SIZE < BLOCKS_KEPT ? size_bytes / BLOCK_SIZE + 1 : BLOCKS_KEPT;
	target->seen = calloc(1, target->n_kept + 1);
	MUST(target->seen != NULL);
	*out = target;
	return 0;
}

static int take(struct target *target, uint64_t offset, uint64_t n)
{
	MUST(offset <= target->size_bytes && n <= target->size_bytes - offset && n > 0);
	/* ranges begin with a block, and end with one or with the drive */
	MUST(offset % BLOCK_SIZE == 0);
	for (uint64_t i = offset / BLOCK_SIZE; i * BLOCK_SIZE < offset + n && i < target->n_kept;
	     i++) {
		MUST(target->seen[i] == 0);
		target->seen[i] = 1;
	}
	target->n_written += n;
	return 0;
}

bool target_takes_clusters(const struct target *target)
{
	return target->size_bytes % 2 != 0; /* both ways */
}

int target_write(struct target *target, uint64_t offset, const void *bytes, size_t n,
		 struct error *err)
{
	(void)err;
	/* reads every byte, so that a sanitizer sees it */
	MUST(n == 0 || memchr(bytes, 0, n) == NULL || target != NULL);
	return take(target, offset, n);
}

int target_zero(struct target *target, uint64_t offset, uint64_t n, struct error *err)
{
	(void)err;
	return take(target, offset, n);
}

bool target_compares(const struct target *target)
{
	return target->size_bytes % 3 != 0; /* both ways */
}

int target_read(const struct target *target, uint64_t offset, void *bytes, size_t n)
{
	(void)target, (void)offset, (void)n;
	memset(bytes, 0, n);
	return 0;
}

void target_keep(struct target *target, uint64_t offset, uint64_t n)
{
	struct error ignored;

	target_zero(target, offset, n, &ignored);
}

uint64_t target_written(const struct target *target)
{
	return target->n_written;
}

uint64_t target_excess(const struct target *target)
{
	(void)target;
	return 0;
}

int target_settle(struct target *target, struct error *err)
{
	(void)target, (void)err;
	return 0;
}

/* Every byte must have been written or zeroed. */
int target_finish(struct target *target, struct error *err)
{
	(void)err;
	MUST(target->n_written == target->size_bytes);
	return 0;
}

const char *target_held(const struct target *target)
{
	(void)target;
	return NULL;
}

int target_publish(struct target *target, struct error *err)
{
	(void)target, (void)err;
	return 0;
}

int target_look(const char *path, bool force, enum target_place *out, struct error *err)
{
	(void)force;
	(void)out;
	return fail(err, ERR_USAGE, "%s", path);
}

bool target_is_uri(const char *path)
{
	(void)path;
	return false;
}

void target_close(struct target *target)
{
	if (target != NULL)
		free(target->seen);
	free(target);
}

int target_put_file(const char *path, const void *bytes, size_t n,
		    const struct target_options *options, struct error *err)
{
	(void)path, (void)bytes, (void)n, (void)options;
	return fail(err, ERR_SYSTEM, "no files here");
}
