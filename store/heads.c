#include "store/heads.h"

#include <stdlib.h>
#include <string.h>

enum head_state { HEAD_FREE, HEAD_WANTED, HEAD_ASKED, HEAD_THERE };

struct head {
	enum head_state state;
	bool given_up; /* while it was asked for */
	uint64_t position, number;
	size_t n;
	struct error err; /* code != 0: it did not come */
	uint8_t bytes[HEAD_BYTES];
};

/* ---- in threads of their own ---- */

/* Nobody else looks at one that is asked for. What comes again after a failure is the same. */
static bool take(void *context, size_t offset, const uint8_t *bytes, size_t n)
{
	struct head *head = context;

	if (offset > head->n || n > head->n - offset)
		return false;
	memcpy(head->bytes + offset, bytes, n);
	return true;
}

static void fetch_locked(struct heads *heads, struct head *head, struct http *http)
{
	struct origin *origin = heads->origin;
	const struct origin_range wanted = {
		.position = head->position,
		.n = head->n,
		.take = take,
		.context = head,
	};

	head->state = HEAD_ASKED;
	head->err = (struct error){0};
	pthread_mutex_unlock(heads->lock);
	if (origin->kind->fetch(origin, http, &wanted, &head->err) == 0)
		head->err = (struct error){0};
	pthread_mutex_lock(heads->lock);
	head->state = head->given_up ? HEAD_FREE : HEAD_THERE;
	pthread_cond_broadcast(heads->came);
}

static struct head *next_locked(struct heads *heads)
{
	struct head *first = NULL;

	for (unsigned i = 0; i < HEADS_MAX; i++) {
		struct head *head = &heads->all[i];

		if (head->state == HEAD_WANTED && (first == NULL || head->number < first->number))
			first = head;
	}
	return first;
}

static void *work(void *context)
{
	struct heads *heads = context;
	struct error ignored = {0};
	struct http *http = NULL;

	if (http_open(&http, &ignored) != 0)
		return NULL;
	pthread_mutex_lock(heads->lock);
	while (!heads->ended) {
		struct head *head = next_locked(heads);

		if (head == NULL)
			pthread_cond_wait(&heads->wanted, heads->lock);
		else
			fetch_locked(heads, head, http);
	}
	pthread_mutex_unlock(heads->lock);
	http_close(http);
	return NULL;
}

/* ---- for the reader ---- */

static bool start_locked(struct heads *heads, unsigned n)
{
	if (heads->all == NULL) {
		heads->all = calloc(HEADS_MAX, sizeof(*heads->all));
		if (heads->all == NULL)
			return false;
		pthread_cond_init(&heads->wanted, NULL);
	}
	while (heads->n_threads < least(n, HEAD_THREADS) &&
	       pthread_create(&heads->threads[heads->n_threads], NULL, work, heads) == 0)
		heads->n_threads++;
	return heads->n_threads > 0;
}

static void give_up_others_locked(struct heads *heads, const uint64_t *places, unsigned n)
{
	for (unsigned i = 0; i < HEADS_MAX; i++) {
		struct head *head = &heads->all[i];
		unsigned k = 0;

		while (k < n && places[k] != head->position)
			k++;
		head->given_up = k == n && head->state == HEAD_ASKED;
		if (k == n && head->state != HEAD_ASKED)
			head->state = HEAD_FREE;
	}
}

static void want_locked(struct heads *heads, uint64_t position)
{
	struct head *free_one = NULL;

	for (unsigned i = 0; i < HEADS_MAX; i++) {
		struct head *head = &heads->all[i];

		if (head->state == HEAD_FREE)
			free_one = head;
		else if (head->position == position)
			return;
	}
	if (free_one == NULL || position >= heads->origin->size)
		return;
	free_one->state = HEAD_WANTED;
	free_one->given_up = false;
	free_one->position = position;
	free_one->n = (size_t)least(HEAD_BYTES, heads->origin->size - position);
	free_one->number = heads->n_asked++;
	pthread_cond_signal(&heads->wanted);
}

void heads_expect(struct heads *heads, const uint64_t *places, unsigned n)
{
	pthread_mutex_lock(heads->lock);
	if (start_locked(heads, n)) {
		give_up_others_locked(heads, places, n);
		for (unsigned i = 0; i < n; i++)
			want_locked(heads, places[i]);
	}
	pthread_mutex_unlock(heads->lock);
}

/* One that no thread has begun with is left to who reads. */
static struct head *at_locked(struct heads *heads, uint64_t position)
{
	for (unsigned i = 0; heads->all != NULL && i < HEADS_MAX; i++) {
		struct head *head = &heads->all[i];

		if (head->state == HEAD_FREE || head->given_up || position < head->position ||
		    position - head->position >= head->n)
			continue;
		if (head->state != HEAD_WANTED)
			return head;
		head->state = HEAD_FREE;
	}
	return NULL;
}

int heads_read_locked(struct heads *heads, uint64_t position, void *to, size_t *n,
		      struct error *err)
{
	struct head *head = at_locked(heads, position);
	size_t at;

	if (head == NULL) {
		*n = 0;
		return 0;
	}
	while (head->state == HEAD_ASKED)
		pthread_cond_wait(heads->came, heads->lock);
	if (head->err.code != 0) {
		head->state = HEAD_FREE;
		*err = head->err;
		return err->code;
	}
	at = (size_t)(position - head->position);
	*n = least(*n, head->n - at);
	memcpy(to, head->bytes + at, *n);
	if (at + *n == head->n)
		head->state = HEAD_FREE;
	return 0;
}

void heads_end(struct heads *heads)
{
	if (heads->all == NULL)
		return;
	pthread_mutex_lock(heads->lock);
	heads->ended = true;
	pthread_cond_broadcast(&heads->wanted);
	pthread_mutex_unlock(heads->lock);
	while (heads->n_threads > 0)
		pthread_join(heads->threads[--heads->n_threads], NULL);
	pthread_cond_destroy(&heads->wanted);
	free(heads->all);
}
