#include "archive/feeds.h"

#include "cow/sweep.h"

static int next_piece(void *context, void *piece, struct error *err)
{
	return sweep_next(context, piece, err);
}

static int fill_batch(void *context, void *opaque, struct batch *batch, struct error *err)
{
	const struct sweep_piece *piece = opaque;
	const uint8_t *cluster = batch_buffer(batch);

	/* All clusters are read first, in large reads, and then packed where they lie. */
	if (piece->n_data > 0)
		TRY(sweep_read(context, piece, batch_buffer(batch), err));
	for (uint32_t i = 0; i < piece->n_runs; i++) {
		const struct sweep_run *run = &piece->runs[i];

		if (run->zero) {
			batch_zeros(batch, piece->drive, run->cluster, run->n_clusters);
			continue;
		}
		for (uint64_t n = 0; n < run->n_clusters; n++, cluster += CLUSTER_SIZE)
			batch_cluster(batch, piece->drive, run->cluster + n, cluster);
	}
	return 0;
}

static uint64_t survey(void *context, const atomic_bool *stop)
{
	return sweep_survey(context, stop);
}

struct feed feed_of_sweep(struct sweep *sweep)
{
	return (struct feed){
		.context = sweep,
		.piece_size = sizeof(struct sweep_piece),
		.next = next_piece,
		.fill = fill_batch,
		.survey = survey,
	};
}
