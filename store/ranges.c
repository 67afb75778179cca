#include "store/ranges.h"

#include <stdlib.h>

uint8_t *ranges_take_block_locked(struct store_reader *reader)
{
	return reader->n_spare > 0 ? reader->spare[--reader->n_spare] : malloc(BLOCK_BYTES);
}

void ranges_drop_block_locked(struct store_reader *reader, struct range *range, unsigned i)
{
	if (range->blocks[i] != NULL)
		reader->spare[reader->n_spare++] = range->blocks[i];
	range->blocks[i] = NULL;
	reader->n_counted--;
	range->n_counted--;
}

unsigned ranges_blocks_of(uint64_t size)
{
	return (unsigned)((size + BLOCK_BYTES - 1) / BLOCK_BYTES);
}

/* The blocks that were handed out have been dropped before. */
void ranges_free_locked(struct store_reader *reader, struct range *range)
{
	for (unsigned n = ranges_blocks_of(range->size), i = n - range->n_counted; i < n; i++)
		ranges_drop_block_locked(reader, range, i);
	range->state = RANGE_FREE;
}

bool ranges_is_passed(const struct store_reader *reader, const struct range *range)
{
	return range->round != reader->round || range->position + range->size <= reader->position;
}
