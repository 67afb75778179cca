#include "archive/proof_read.h"

#include "base/bytes.h"
#include "drive/drive.h"
#include "writer/writer.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS_MAX 4u
#define HANDFUL	    16u /* clusters that a thread takes at once */

struct reading {
	struct proof_reader *reader;
	const struct cluster_set *set, *except;
	uint64_t n_clusters;
	pthread_mutex_t lock; /* guards all below, and drive_expect */
	uint64_t next;	      /* cluster */
	struct proof_found found;
	struct error error; /* code 0: none so far */
};

struct piece {
	uint64_t cluster, n;
	bool cold;
};

struct handful {
	struct piece pieces[HANDFUL];
	unsigned n_pieces;
};

/* Of at most this many clusters. False: there are no more. */
static bool next_piece_locked(struct reading *reading, uint64_t most, struct piece *out)
{
	bool in = false, left_out = false;
	uint64_t n = 0;

	for (; reading->next < reading->n_clusters; reading->next += n) {
		n = cluster_set_run(reading->set, reading->next,
				    reading->n_clusters - reading->next, &in);
		if (!in)
			continue;
		if (reading->except != NULL)
			n = cluster_set_run(reading->except, reading->next, n, &left_out);
		if (!left_out)
			break;
	}
	if (reading->next >= reading->n_clusters)
		return false;
	*out = (struct piece){.cluster = reading->next, .n = least(n, most)};
	reading->next += out->n;
	drive_expect(reading->reader->source, out->cluster * CLUSTER_SIZE, out->n * CLUSTER_SIZE,
		     &out->cold);
	return true;
}

/* All of it is announced before any of it is read. False: there is no more, or no more is of
 * interest. */
static bool next_handful_locked(struct reading *reading, struct handful *out)
{
	uint64_t left = HANDFUL;

	out->n_pieces = 0;
	if (reading->error.code != 0 || reading->found.n_wrong > 0)
		return false;
	while (left > 0 && next_piece_locked(reading, left, &out->pieces[out->n_pieces]))
		left -= out->pieces[out->n_pieces++].n;
	return out->n_pieces > 0;
}

/* spec/sums.md, section 2.2. */
bool proof_is_as_before(const uint8_t *sum, const uint8_t *cluster)
{
	uint8_t own[CHECKSUM_SIZE];

	if (cluster == NULL || all_zero(sum, CHECKSUM_SIZE))
		return all_zero(sum, CHECKSUM_SIZE) &&
		       (cluster == NULL || all_zero(cluster, CLUSTER_SIZE));
	checksum_cluster(CLUSTER_XXH3_128, cluster, own);
	return memcmp(own, sum, CHECKSUM_SIZE) == 0;
}

static int read_piece(struct proof_reader *reader, const struct piece *piece, uint8_t *buffer,
		      struct error *err)
{
	int code = drive_read_clusters(reader->source, piece->cluster, piece->n, buffer, err);

	if (piece->cold)
		drive_forget(reader->source, piece->cluster * CLUSTER_SIZE,
			     piece->n * CLUSTER_SIZE);
	atomic_fetch_add(&reader->done_bytes, piece->n * CLUSTER_SIZE);
	return code;
}

static int compare_piece(struct proof_reader *reader, void *state, const struct piece *piece,
			 const uint8_t *buffer, struct proof_found *found, struct error *err)
{
	const struct parent_sums *sums = reader->sums;
	const uint8_t *sum;
	uint64_t unused;

	for (uint64_t i = 0; i < piece->n; i++) {
		TRY(sums->get(sums->context, state, reader->drive, piece->cluster + i, &sum,
			      &unused, err));
		if (sum != NULL && proof_is_as_before(sum, buffer + i * CLUSTER_SIZE)) {
			found->n_right++;
			continue;
		}
		found->wrong = found->n_wrong++ == 0 ? piece->cluster + i : found->wrong;
	}
	return 0;
}

static void add_found(struct proof_found *sum, const struct proof_found *found)
{
	if (found->n_wrong > 0 && (sum->n_wrong == 0 || found->wrong < sum->wrong))
		sum->wrong = found->wrong;
	sum->n_wrong += found->n_wrong;
	sum->n_right += found->n_right;
}

static int prove_handful(struct proof_reader *reader, void *state, const struct handful *handful,
			 uint8_t *buffer, struct proof_found *found, struct error *err)
{
	for (unsigned i = 0; i < handful->n_pieces; i++) {
		TRY(read_piece(reader, &handful->pieces[i], buffer, err));
		TRY(compare_piece(reader, state, &handful->pieces[i], buffer, found, err));
	}
	return 0;
}

static void *work(void *context)
{
	struct reading *reading = context;
	uint8_t *buffer = malloc((size_t)HANDFUL * CLUSTER_SIZE);
	void *state = calloc(1, reading->reader->sums->state_size);
	struct error error = {0};
	struct handful handful;

	if (buffer == NULL || state == NULL)
		fail_memory(&error);
	pthread_mutex_lock(&reading->lock);
	while (error.code == 0 && next_handful_locked(reading, &handful)) {
		struct proof_found found = {0};

		pthread_mutex_unlock(&reading->lock);
		prove_handful(reading->reader, state, &handful, buffer, &found, &error);
		pthread_mutex_lock(&reading->lock);
		add_found(&reading->found, &found);
	}
	if (error.code != 0 && reading->error.code == 0)
		reading->error = error;
	pthread_mutex_unlock(&reading->lock);
	free(buffer);
	free(state);
	return NULL;
}

int proof_read(struct proof_reader *reader, const struct cluster_set *set,
	       const struct cluster_set *except, uint64_t n_clusters, struct proof_found *out,
	       struct error *err)
{
	struct reading reading = {.reader = reader,
				  .set = set,
				  .except = except,
				  .n_clusters = n_clusters,
				  .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[THREADS_MAX];
	unsigned n = 0;

	/* This thread works, too: one that cannot be started is only lacking. */
	while (n + 1 < least(reader->n_threads, THREADS_MAX) &&
	       pthread_create(&threads[n], NULL, work, &reading) == 0)
		n++;
	work(&reading);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	pthread_mutex_destroy(&reading.lock);
	*out = reading.found;
	if (reading.error.code != 0)
		*err = reading.error;
	return reading.error.code;
}
