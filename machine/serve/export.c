#include "machine/serve/state.h"

#include "base/parse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One set of flags under two names. */
static_assert((int)NBDSERVER_FUA == DRIVE_FUA && (int)NBDSERVER_MAY_TRIM == DRIVE_MAY_TRIM &&
		      (int)NBDSERVER_FAST == DRIVE_FAST && (int)NBDSERVER_NOW == DRIVE_NOW,
	      "flags of NBD and of drives");

/* How many of the latest generations a client that lists them is told of. */
#define LATEST 16u

/* Added to the number of a bitmap that has a checkpoint's name: for the server it is another one
 * than that of its generation. */
#define NAMED 65536u

static struct volume *volume_of(void *context)
{
	return ((const struct served *)context)->volume;
}

static int do_read(void *context, uint64_t offset, void *to, uint32_t n, unsigned flags)
{
	return volume_read(volume_of(context), offset, to, n, flags);
}

static int do_write(void *context, uint64_t offset, const void *from, uint32_t n, unsigned flags)
{
	return volume_write(volume_of(context), offset, from, n, flags);
}

static int do_zero(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	return volume_zero(volume_of(context), offset, n, flags);
}

static int do_trim(void *context, uint64_t offset, uint64_t n, unsigned flags)
{
	return volume_trim(volume_of(context), offset, n, flags);
}

static int do_flush(void *context, unsigned flags)
{
	(void)flags;
	return volume_flush(volume_of(context));
}

static int do_status(void *context, uint64_t offset, uint64_t *n, bool *zero)
{
	return volume_status(volume_of(context), offset, n, zero);
}

/* How many bytes from offset on lie in the count clusters from there on, within the drive. */
static uint64_t bytes_of(uint64_t offset, uint64_t count, uint64_t size)
{
	uint64_t end = (offset / CLUSTER_SIZE + count) * CLUSTER_SIZE;

	return (end < size ? end : size) - offset;
}

static int do_bitmap(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set)
{
	const struct served *served = context;
	uint16_t g = (uint16_t)(which % NAMED);
	uint64_t count = 1;

	/* Since the client chose it the map began anew: what changed is not known. */
	if (g >= generation_current(served->map))
		*set = true;
	else
		*set = generation_changed(served->map, g, offset / CLUSTER_SIZE, &count);
	*n = bytes_of(offset, count, served->size_bytes);
	return 0;
}

static int find_checkpoint(const struct served *served, const char *name)
{
	struct checkpoint found;

	return checkpoints_find(generation_checkpoints(served->map), name, &found) && found.good
		       ? (int)(NAMED + found.generation)
		       : -1;
}

/* "since-G": what was written after generation G ended; G is also the bitmap's number. Else the
 * name of a checkpoint. */
static int find_bitmap(void *context, const char *name)
{
	const struct served *served = context;
	static const char prefix[] = "since-";
	uint64_t g;

	if (served->map == NULL)
		return -1;
	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return find_checkpoint(served, name);
	name += sizeof(prefix) - 1;
	/* One way to write a number. */
	if (!parse_number(name, &g) || (name[0] == '0' && name[1] != '\0'))
		return -1;
	return g < generation_current(served->map) ? (int)g : -1;
}

static bool bitmap_name(void *context, unsigned i, char out[256])
{
	const struct served *served = context;
	unsigned n = served->map == NULL ? 0 : generation_current(served->map);
	unsigned skipped = n > LATEST ? n - LATEST : 0;
	struct checkpoint found;

	if (served->map != NULL && i >= n - skipped) {
		if (!checkpoints_good(generation_checkpoints(served->map), i - (n - skipped),
				      &found))
			return false;
		snprintf(out, 256, "%s", found.name);
		return true;
	}
	/* since-0 is always among them. */
	if (i > 0)
		i += skipped;
	if (i >= n)
		return false;
	snprintf(out, 256, "since-%u", i);
	return true;
}

static const struct nbdserver_ops ops = {
	.read = do_read,
	.write = do_write,
	.zero = do_zero,
	.trim = do_trim,
	.flush = do_flush,
	.status = do_status,
	.bitmap = do_bitmap,
	.find_bitmap = find_bitmap,
	.bitmap_name = bitmap_name,
};

/* Without the operations that need a map or a writable drive. */
static const struct nbdserver_ops read_only_ops = {
	.read = do_read,
	.flush = do_flush,
	.status = do_status,
};

struct nbdserver_export serve_export(const struct served *served, bool read_only)
{
	return (struct nbdserver_export){
		.name = served->argument.name,
		.size_bytes = served->size_bytes,
		.read_only = read_only,
		/* volume_flush makes durable what was answered before on any connection. */
		.multi_conn = true,
		.ops = read_only ? &read_only_ops : &ops,
		.context = (void *)(uintptr_t)served,
	};
}
