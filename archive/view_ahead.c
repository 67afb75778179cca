#include "archive/view_ahead.h"

#include "base/bytes.h"

#define NEAR	     (1u << 20) /* bytes: requests of a stream may come in another order */
#define SEQUENTIAL_N 3u

void view_ahead_open(struct view_ahead *out, struct view_cache *cache, const struct archive *newest,
		     unsigned n_threads, uint64_t reach_bytes)
{
	*out = (struct view_ahead){
		.cache = cache,
		.map = cache->map,
		.newest = newest,
		.n_threads = n_threads < AHEAD_THREADS ? n_threads : AHEAD_THREADS,
		.reach = reach_bytes / CLUSTER_SIZE,
	};
	pthread_mutex_init(&out->lock, NULL);
	pthread_cond_init(&out->changed, NULL);
}

void view_ahead_close(struct view_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->ends = true;
	pthread_cond_broadcast(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	for (unsigned i = 0; i < ahead->n_started; i++)
		pthread_join(ahead->threads[i], NULL);
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
}

static void *load_queued(void *context)
{
	struct view_ahead *ahead = context;
	struct view_held *held;

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ends) {
		uint32_t extent;

		if (ahead->n_queued == 0) {
			pthread_cond_wait(&ahead->changed, &ahead->lock);
			continue;
		}
		extent = ahead->queue[ahead->first];
		ahead->first = (ahead->first + 1) % AHEAD_QUEUE;
		ahead->n_queued--;
		pthread_mutex_unlock(&ahead->lock);
		if (view_cache_get(ahead->cache, extent, VIEW_BLOCKS, &held) == 0)
			view_cache_put(ahead->cache, held);
		pthread_mutex_lock(&ahead->lock);
	}
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

/* Without a thread nothing is read ahead. */
static void queue_locked(struct view_ahead *ahead, uint32_t extent)
{
	if (!view_cache_lacks(ahead->cache, extent, VIEW_BLOCKS))
		return;
	ahead->queue[(ahead->first + ahead->n_queued) % AHEAD_QUEUE] = extent;
	ahead->n_queued++;
	if (ahead->n_started < ahead->n_threads &&
	    pthread_create(&ahead->threads[ahead->n_started], NULL, load_queued, ahead) == 0)
		ahead->n_started++;
	pthread_cond_signal(&ahead->changed);
}

/* From where it was queued, or where it is read if that is farther on, as far as it reaches: twice
 * as far as it has come, as most files are short, and an archive may be far away. */
static void go_on_locked(struct view_ahead *ahead, struct ahead_stream *stream)
{
	const struct view_drive *drive = &ahead->map->drives[stream->drive];
	uint64_t n_all = clusters_of(ahead->newest->drives[stream->drive].size_bytes);
	uint64_t come = (stream->next - stream->begin) / CLUSTER_SIZE * 2;
	uint64_t at = stream->next / CLUSTER_SIZE, run;
	uint64_t end = least(at + least(ahead->reach, come), n_all);

	at = stream->loaded_to > at && stream->loaded_to <= end ? stream->loaded_to : at;
	if (at >= end)
		return;
	for (run = view_map_find(drive, at); at < end && ahead->n_queued < AHEAD_QUEUE; run++) {
		queue_locked(ahead, drive->runs[run].extent);
		at = run + 1 < drive->n_runs ? drive->runs[run + 1].cluster : n_all;
	}
	stream->loaded_to = at;
}

static bool goes_on(const struct ahead_stream *stream, uint32_t drive, uint64_t offset)
{
	return stream->used > 0 && stream->drive == drive && offset + NEAR >= stream->next &&
	       offset <= stream->next + NEAR;
}

void view_ahead_note(struct view_ahead *ahead, uint32_t drive, uint64_t offset, uint64_t n)
{
	struct ahead_stream *oldest = &ahead->streams[0], *found = NULL;

	pthread_mutex_lock(&ahead->lock);
	for (unsigned i = 0; i < AHEAD_STREAMS && found == NULL; i++) {
		struct ahead_stream *stream = &ahead->streams[i];

		if (goes_on(stream, drive, offset))
			found = stream;
		else if (stream->used < oldest->used)
			oldest = stream;
	}
	if (found == NULL) {
		found = oldest;
		*found = (struct ahead_stream){.drive = drive, .begin = offset};
	}
	found->used = ++ahead->count;
	found->n++;
	if (offset < found->begin)
		found->begin = offset;
	if (offset + n > found->next)
		found->next = offset + n;
	if (found->n >= SEQUENTIAL_N)
		go_on_locked(ahead, found);
	pthread_mutex_unlock(&ahead->lock);
}
