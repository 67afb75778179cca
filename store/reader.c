#include "store/ranges.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE (UINT64_C(128) << 10) /* of a range after a move */

static void count_range_locked(struct store_reader *reader, struct range *range)
{
	range->n_counted = ranges_blocks_of(range->size);
	reader->n_counted += range->n_counted;
}

/* What came along with the answer is the first range. */
static int find_origin(struct store_reader *reader, struct error *err)
{
	struct range *first = &reader->ranges[0];
	struct origin_range wanted = {.n = FIRST_SIZE};
	size_t n = 0;

	wanted.into = first->blocks[0] = malloc(BLOCK_BYTES);
	if (wanted.into == NULL)
		return fail_memory(err);
	first->size = FIRST_SIZE;
	count_range_locked(reader, first);
	TRY(reader->origin.kind->find(&reader->origin, reader->http, &wanted, &n, err));
	if (n == 0) {
		ranges_free_locked(reader, first);
		return 0;
	}
	first->state = RANGE_THERE;
	first->size = first->there = reader->asked_to = n;
	return 0;
}

static int start_fetchers(struct store_reader *reader, struct error *err)
{
	while (reader->n_threads < N_FETCHERS) {
		int sys = pthread_create(&reader->threads[reader->n_threads], NULL, fetchers_work,
					 reader);

		if (sys != 0)
			return fail_start(err, sys, "starting a thread");
		reader->n_threads++;
	}
	return 0;
}

int store_reader_open(struct store_reader **out, const char *name, struct error *err)
{
	struct store_reader *reader = calloc(1, sizeof(*reader));
	int code;

	if (reader == NULL)
		return fail_memory(err);
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->came, NULL);
	pthread_cond_init(&reader->wanted, NULL);
	reader->origin = (struct origin){
		.name = name,
		.kind = store_is_web(name) ? &origin_web : &origin_s3,
	};
	reader->range_size = RANGE_SIZE;
	reader->heads = (struct heads){
		.origin = &reader->origin,
		.lock = &reader->lock,
		.came = &reader->came,
	};
	code = reader->origin.kind->open(&reader->origin.state, name, err);
	if (code == 0)
		code = http_open(&reader->http, err);
	if (code == 0)
		code = find_origin(reader, err);
	reader->up_to = reader->origin.size;
	if (code == 0)
		code = start_fetchers(reader, err);
	if (code != 0) {
		store_reader_close(reader);
		return code;
	}
	*out = reader;
	return 0;
}

uint64_t store_reader_size(const struct store_reader *reader)
{
	return reader->origin.size;
}

static struct range *range_at_locked(struct store_reader *reader, uint64_t position)
{
	for (unsigned i = 0; i < N_RANGES; i++) {
		struct range *range = &reader->ranges[i];

		if (range->state != RANGE_FREE && range->round == reader->round &&
		    position >= range->position && position - range->position < range->size)
			return range;
	}
	return NULL;
}

/* What lies before the position, or is of an earlier round, is of no use any more. */
static void free_ranges_locked(struct store_reader *reader)
{
	for (unsigned i = 0; i < N_RANGES; i++) {
		struct range *range = &reader->ranges[i];

		if ((range->state == RANGE_WANTED || range->state == RANGE_THERE) &&
		    ranges_is_passed(reader, range))
			ranges_free_locked(reader, range);
	}
}

/* Nothing is asked for at the position: all begins anew there. */
static void begin_round_locked(struct store_reader *reader)
{
	reader->round++;
	reader->asked_to = reader->position;
	reader->ahead = 0;
	free_ranges_locked(reader);
}

void store_reader_seek(struct store_reader *reader, uint64_t position, uint64_t up_to)
{
	struct range *range;

	pthread_mutex_lock(&reader->lock);
	reader->up_to = up_to < reader->origin.size ? up_to : reader->origin.size;
	range = range_at_locked(reader, position);
	/* Blocks before the place where reading went on are gone. */
	if (range != NULL && position < reader->position &&
	    (position - range->position) / BLOCK_BYTES <
		    ranges_blocks_of(range->size) - range->n_counted)
		range = NULL;
	reader->position = position;
	if (range == NULL)
		begin_round_locked(reader);
	free_ranges_locked(reader);
	pthread_mutex_unlock(&reader->lock);
}

/* How long the next range is; 0: none is to be asked for now. How far reading goes from the start
 * of an archive is not known: that range is small. Past what is expected only what is waited for.
 */
static uint64_t next_size_locked(const struct store_reader *reader, bool is_waited_for)
{
	uint64_t end = reader->asked_to < reader->up_to ? reader->up_to : reader->origin.size;
	uint64_t most = reader->ahead == 0 && reader->up_to == reader->origin.size
				? FIRST_SIZE
				: reader->range_size;

	if (reader->asked_to >= reader->origin.size ||
	    (reader->asked_to >= reader->up_to &&
	     (!is_waited_for || reader->asked_to > reader->position)))
		return 0;
	/* Up to a border: there the store's own pieces end, too. */
	return least(most - reader->asked_to % most, end - reader->asked_to);
}

/* More of what follows: a range in the beginning, and then more and more. */
static void ask_ahead_locked(struct store_reader *reader, bool is_waited_for)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N_RANGES; i++)
		if (reader->ranges[i].round == reader->round)
			n += reader->ranges[i].n_counted;
	for (unsigned i = 0; i < N_RANGES; i++) {
		struct range *range = &reader->ranges[i];
		uint64_t size = next_size_locked(reader, is_waited_for);

		if (range->state != RANGE_FREE)
			continue;
		if (size == 0 || (n > 0 && n + ranges_blocks_of(size) > reader->ahead) ||
		    reader->n_counted + ranges_blocks_of(size) > N_BLOCKS)
			break;
		*range = (struct range){
			.state = RANGE_WANTED,
			.round = reader->round,
			.position = reader->asked_to,
			.size = size,
		};
		count_range_locked(reader, range);
		reader->asked_to += size;
		n += range->n_counted;
		pthread_cond_signal(&reader->wanted);
	}
}

/* Waits for the byte at the position. */
static int await_locked(struct store_reader *reader, struct range **out, struct error *err)
{
	for (;;) {
		struct range *range = range_at_locked(reader, reader->position);

		/* A move may have come back to it before that ended: the rest will not come. */
		if (range != NULL && range->given_up && range->state == RANGE_THERE) {
			ranges_free_locked(reader, range);
			range = NULL;
		}
		if (range != NULL && range->there > reader->position - range->position) {
			*out = range;
			return 0;
		}
		if (reader->err.code != 0) {
			*err = reader->err;
			return err->code;
		}
		/* One that a move passed by while it was in flight has been dropped. */
		if (range == NULL && reader->position != reader->asked_to)
			begin_round_locked(reader);
		if (range == NULL)
			ask_ahead_locked(reader, true);
		pthread_cond_wait(&reader->came, &reader->lock);
	}
}

/* Up to the end of a block. */
static size_t hand_out_locked(struct store_reader *reader, struct range *range, void *to, size_t n)
{
	uint64_t at = reader->position - range->position, in_block = at % BLOCK_BYTES;
	unsigned i = (unsigned)(at / BLOCK_BYTES);

	n = least(n, least(BLOCK_BYTES - in_block, range->there - at));
	/* Nobody else gives up the range of the position. */
	pthread_mutex_unlock(&reader->lock);
	memcpy(to, range->blocks[i] + in_block, n);
	pthread_mutex_lock(&reader->lock);
	reader->position += n;
	at += n;
	if (at % BLOCK_BYTES != 0 && at < range->size)
		return n;
	/* Also those before it that a move has passed by. */
	for (unsigned j = ranges_blocks_of(range->size) - range->n_counted; j <= i; j++)
		ranges_drop_block_locked(reader, range, j);
	if (at == range->size) {
		reader->ahead =
			reader->ahead == 0 ? 2 * RANGE_SIZE / BLOCK_BYTES : reader->ahead * 2;
		reader->ahead = (unsigned)least(reader->ahead, N_BLOCKS);
		free_ranges_locked(reader);
	}
	ask_ahead_locked(reader, false);
	return n;
}

static int read_locked(struct store_reader *reader, void *to, size_t n, size_t *got,
		       struct error *err)
{
	size_t of_head = n;
	struct range *range;

	TRY(heads_read_locked(&reader->heads, reader->position, to, &of_head, err));
	if (of_head > 0) {
		reader->position += of_head;
		*got = of_head;
		return 0;
	}
	TRY(await_locked(reader, &range, err));
	*got = hand_out_locked(reader, range, to, n);
	return 0;
}

int store_read(struct store_reader *reader, void *to, size_t n, size_t *got, struct error *err)
{
	int code = 0;

	*got = 0;
	pthread_mutex_lock(&reader->lock);
	if (n > 0 && reader->position < reader->origin.size) {
		code = read_locked(reader, to, n, got, err);
	}
	pthread_mutex_unlock(&reader->lock);
	return code;
}

void store_reader_expect(struct store_reader *reader, const uint64_t *places, unsigned n)
{
	heads_expect(&reader->heads, places, n);
}

void store_reader_close(struct store_reader *reader)
{
	if (reader == NULL)
		return;
	if (reader->origin.state != NULL)
		reader->origin.kind->stop(reader->origin.state);
	pthread_mutex_lock(&reader->lock);
	reader->ended = true;
	pthread_cond_broadcast(&reader->wanted);
	pthread_mutex_unlock(&reader->lock);
	heads_end(&reader->heads);
	while (reader->n_threads > 0)
		pthread_join(reader->threads[--reader->n_threads], NULL);
	for (unsigned i = 0; i < N_RANGES; i++)
		if (reader->ranges[i].n_counted > 0)
			ranges_free_locked(reader, &reader->ranges[i]);
	while (reader->n_spare > 0)
		free(reader->spare[--reader->n_spare]);
	pthread_mutex_destroy(&reader->lock);
	pthread_cond_destroy(&reader->came);
	pthread_cond_destroy(&reader->wanted);
	http_close(reader->http);
	reader->origin.kind->close(reader->origin.state);
	free(reader);
}
