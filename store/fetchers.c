#include "store/ranges.h"

#include "base/clock.h"

#include <string.h>

#define SHORT_MS 500 /* a range that takes less could be longer */
#define LONG_MS	 2000
#define WORTH_IT (2 * MIB) /* to wait for, before a new connection is made */

struct fetching {
	struct store_reader *reader;
	struct range *range;
	bool no_memory;
};

/* The lock is not held while bytes are copied: nobody reads what is not said to be there, and an
 * asked range keeps its blocks. */
static bool add_locked(struct fetching *fetching, const uint8_t *bytes, size_t n)
{
	struct store_reader *reader = fetching->reader;
	struct range *range = fetching->range;

	while (n > 0) {
		size_t at = range->there % BLOCK_BYTES, part = least(n, BLOCK_BYTES - at);
		uint8_t **block = &range->blocks[range->there / BLOCK_BYTES];

		if (*block == NULL)
			*block = ranges_take_block_locked(reader);
		fetching->no_memory = *block == NULL;
		if (fetching->no_memory)
			return false;
		pthread_mutex_unlock(&reader->lock);
		memcpy(*block + at, bytes, part);
		pthread_mutex_lock(&reader->lock);
		range->there += part;
		bytes += part;
		n -= part;
	}
	pthread_cond_broadcast(&reader->came);
	return true;
}

/* What comes again after a failure is not taken again: it may have been handed out. */
static bool take(void *context, size_t offset, const uint8_t *bytes, size_t n)
{
	struct fetching *fetching = context;
	struct store_reader *reader = fetching->reader;
	struct range *range = fetching->range;
	size_t skipped;
	bool wanted;

	pthread_mutex_lock(&reader->lock);
	skipped = least(range->there - offset, n);
	range->given_up = ranges_is_passed(reader, range) && range->size - offset > WORTH_IT;
	wanted = !range->given_up && add_locked(fetching, bytes + skipped, n - skipped);
	pthread_mutex_unlock(&reader->lock);
	return wanted;
}

static int fetch(struct fetching *fetching, struct http *http, struct error *err)
{
	struct origin *origin = &fetching->reader->origin;
	const struct origin_range wanted = {
		.position = fetching->range->position,
		.n = fetching->range->size,
		.take = take,
		.context = fetching,
	};
	int code = origin->kind->fetch(origin, http, &wanted, err);

	if (fetching->no_memory)
		return fail_memory(err);
	if (code != 0 && fetching->range->given_up)
		code = 0;
	if (code == 0)
		*err = (struct error){0};
	return code;
}

/* How long the next ranges are, by how long this one took. */
static void adapt_locked(struct store_reader *reader, const struct range *range, int64_t took_ms)
{
	if (range->given_up || range->size < reader->range_size)
		return;
	if (took_ms < SHORT_MS)
		reader->range_size = least(reader->range_size * 2, RANGE_MAX);
	else if (took_ms > LONG_MS && reader->range_size > RANGE_SIZE)
		reader->range_size /= 2;
}

static struct range *take_wanted_locked(struct store_reader *reader)
{
	struct range *first = NULL;

	for (unsigned i = 0; i < N_RANGES; i++) {
		struct range *range = &reader->ranges[i];

		if (range->state == RANGE_WANTED &&
		    (first == NULL || range->position < first->position))
			first = range;
	}
	return first;
}

static int fetch_range_locked(struct store_reader *reader, struct range *range, struct http *http,
			      struct error *err)
{
	struct fetching fetching = {.reader = reader, .range = range};
	int64_t begin = clock_ms();
	int code;

	range->state = RANGE_ASKED;
	pthread_mutex_unlock(&reader->lock);
	code = fetch(&fetching, http, err);
	pthread_mutex_lock(&reader->lock);
	if (code == 0)
		adapt_locked(reader, range, clock_ms() - begin);
	range->state = RANGE_THERE;
	if (ranges_is_passed(reader, range))
		ranges_free_locked(reader, range);
	pthread_cond_broadcast(&reader->came);
	return code;
}

void *fetchers_work(void *context)
{
	struct store_reader *reader = context;
	struct http *http = NULL;
	struct error err = {0};
	int code = http_open(&http, &err);

	pthread_mutex_lock(&reader->lock);
	while (code == 0 && !reader->ended) {
		struct range *range = take_wanted_locked(reader);

		if (range == NULL)
			pthread_cond_wait(&reader->wanted, &reader->lock);
		else
			code = fetch_range_locked(reader, range, http, &err);
	}
	if (code != 0 && reader->err.code == 0)
		reader->err = err;
	pthread_cond_broadcast(&reader->came);
	pthread_mutex_unlock(&reader->lock);
	http_close(http);
	return NULL;
}
