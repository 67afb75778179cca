#include "machine/serve/instant.h"

#include "base/grain.h"

#include <stdio.h>
#include <string.h>

int instant_bitmap(void *context, unsigned which, uint64_t offset, uint64_t *n, bool *set)
{
	const struct instant *instant = context;
	uint64_t cluster = offset / CLUSTER_SIZE;
	uint64_t count = cluster_set_run(&instant->changed, cluster,
					 clusters_of(instant->size_bytes) - cluster, set);

	(void)which;
	*n = least((cluster + count) * CLUSTER_SIZE, instant->size_bytes) - offset;
	return 0;
}

int instant_find_bitmap(void *context, const char *name)
{
	const struct instant *instant = context;

	return instant->since != NULL && strcmp(name, instant->since) == 0 ? 0 : -1;
}

bool instant_bitmap_name(void *context, unsigned i, char out[256])
{
	const struct instant *instant = context;

	if (instant->since == NULL || i > 0)
		return false;
	snprintf(out, 256, "%s", instant->since);
	return true;
}

struct nbdserver_export instant_export(struct instant *instant, const struct nbdserver_ops *ops)
{
	return (struct nbdserver_export){
		.name = instant->name,
		.size_bytes = instant->size_bytes,
		.read_only = true,
		.multi_conn = true,
		.block_preferred = CLUSTER_SIZE,
		.ops = ops,
		.context = instant,
	};
}
