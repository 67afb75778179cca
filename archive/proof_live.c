#include "archive/proof_live.h"

#include "base/bytes.h"
#include "writer/writer.h"

#include <stdlib.h>

struct looking {
	struct proof_reader *reader;
	const struct cluster_set *set; /* clusters that were asked for */
	void *state;		       /* for the parent's sums */
	struct proof_found found;
	struct cluster_set came, differ; /* clusters */
};

/* What was not asked for is not looked at; what comes again must not count twice. */
static int take(void *context, uint64_t cluster, const uint8_t *bytes, struct error *err)
{
	struct looking *looking = context;
	struct proof_reader *reader = looking->reader;
	const uint8_t *sum;
	uint64_t unused;

	if (!cluster_set_has(looking->set, cluster) || cluster_set_has(&looking->came, cluster))
		return 0;
	TRY(cluster_set_include(&looking->came, cluster, 1, err));
	atomic_fetch_add(&reader->done_bytes, CLUSTER_SIZE);
	TRY(reader->sums->get(reader->sums->context, looking->state, reader->drive, cluster, &sum,
			      &unused, err));
	if (sum != NULL && proof_is_as_before(sum, bytes)) {
		looking->found.n_right++;
		return 0;
	}
	return cluster_set_include(&looking->differ, cluster, 1, err);
}

/* Runs of one that are not in the other. */
static void count_unexplained(const struct cluster_set *differ, const struct cluster_set *changed,
			      uint64_t n_clusters, struct proof_found *found)
{
	bool in, explained = false;

	for (uint64_t n, at = 0; at < n_clusters; at += n) {
		n = cluster_set_run(differ, at, n_clusters - at, &in);
		if (!in)
			continue;
		n = cluster_set_run(changed, at, n, &explained);
		if (explained)
			continue;
		if (found->n_wrong == 0)
			found->wrong = at;
		found->n_wrong += n;
	}
}

/* Every cluster was asked for, and none may be taken as read that was not. */
static int check_all_came(const struct looking *looking, uint64_t n_clusters, struct error *err)
{
	struct proof_found missing = {0};

	count_unexplained(looking->set, &looking->came, n_clusters, &missing);
	return missing.n_wrong == 0
		       ? 0
		       : fail(err, ERR_SYSTEM,
			      "the machine did not hand over byte %llu, which was to be proved",
			      (unsigned long long)(missing.wrong * CLUSTER_SIZE));
}

static int look(struct looking *looking, const struct proof_live *live, uint64_t n_clusters,
		struct error *err)
{
	const struct proof_taker taker = {take, looking};
	struct cluster_set changed = {0};
	int code;

	looking->state = calloc(1, looking->reader->sums->state_size);
	if (looking->state == NULL)
		return fail_memory(err);
	TRY(live->read(live->context, looking->set, &taker, err));
	TRY(check_all_came(looking, n_clusters, err));
	if (looking->differ.root == NULL)
		return 1;
	code = live->changed(live->context, &changed, err);
	if (code == 1)
		count_unexplained(&looking->differ, &changed, n_clusters, &looking->found);
	cluster_set_free(&changed);
	return code;
}

int proof_read_live(struct proof_reader *reader, const struct proof_live *live,
		    const struct cluster_set *set, uint64_t n_clusters, struct proof_found *out,
		    struct error *err)
{
	struct looking looking = {.reader = reader, .set = set};
	int code = look(&looking, live, n_clusters, err);

	*out = looking.found;
	free(looking.state);
	cluster_set_free(&looking.came);
	cluster_set_free(&looking.differ);
	return code;
}
