#include "tests/fuzz/memory_salvage.h"
#include "reader/input/input.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_restore.h"

#include <string.h>

#define DRIVES_TRIED 64u

/* One for all runs: it is large. */
static struct salvage *salvage;

struct watch {
	const struct archive *archive;
	const struct salvage_sink *also;
	struct cluster_map maps[DRIVES_TRIED]; /* n_maps of them */
	uint32_t n_maps;
};

static bool has_parent(const struct archive *archive)
{
	static const uint8_t none[UUID_SIZE];
	return memcmp(archive->parent, none, UUID_SIZE) != 0;
}

static void check_cluster(const struct archive *archive, const struct slot *slot,
			  const uint8_t *cluster)
{
	uint64_t left = archive->drives[slot->drive].size_bytes - slot->cluster * CLUSTER_SIZE;
	uint8_t sum[CHECKSUM_SIZE] = {0};
	MUST(slot->n_clusters == 1);
	if (archive->cluster_checksum != CLUSTER_UNPROTECTED) {
		checksum_cluster(archive->cluster_checksum, cluster, sum);
		MUST(memcmp(sum, slot->checksum,
			    archive->cluster_checksum == CLUSTER_XXH3_64 ? 8 : CHECKSUM_SIZE) == 0);
	}
	for (uint64_t at = left; at < CLUSTER_SIZE; at++)
		MUST(cluster[at] == 0);
}

static int put(void *context, const struct slot *slot, enum salvage_state state,
	       const uint8_t *cluster, struct error *err)
{
	struct watch *watch = context;
	const struct archive *archive = watch->archive;
	MUST(slot->drive < archive->n_drives && slot->n_clusters > 0);
	uint64_t n = clusters_of(archive->drives[slot->drive].size_bytes);
	MUST(slot->cluster < n && slot->n_clusters <= n - slot->cluster);
	MUST(state != SALVAGE_NAMED || has_parent(archive));
	MUST(state != SALVAGE_UNVERIFIED || archive->cluster_checksum == CLUSTER_UNPROTECTED);
	MUST(state != SALVAGE_GOOD || slot->mask == 0 ||
	     archive->cluster_checksum != CLUSTER_UNPROTECTED);
	if ((state == SALVAGE_GOOD && slot->mask != 0) || state == SALVAGE_UNVERIFIED) {
		MUST(cluster != NULL);
		check_cluster(archive, slot, cluster);
	} else {
		MUST(cluster == NULL);
	}
	if (slot->drive < watch->n_maps)
		TRY(cluster_map_put(&watch->maps[slot->drive], slot, state, err));
	return watch->also == NULL
		       ? 0
		       : watch->also->put(watch->also->context, slot, state, cluster, err);
}

static void open_maps(struct watch *watch)
{
	if (!memory_is_small(watch->archive))
		return;
	for (uint32_t i = 0; i < watch->archive->n_drives; i++, watch->n_maps++)
		cluster_map_open(&watch->maps[i],
				 clusters_of(watch->archive->drives[i].size_bytes),
				 watch->archive);
}

/* The runs of a map are all of it. */
static void close_maps(struct watch *watch)
{
	for (uint32_t i = 0; i < watch->n_maps; i++) {
		struct cluster_map *map = &watch->maps[i];
		uint64_t at = 0, n;
		enum cluster_state state;
		while ((n = cluster_map_run(map, at, &state)) > 0) {
			MUST(cluster_map_has(map, at) ==
			     (state == CLUSTER_GOOD || state == CLUSTER_UNPROVED));
			at += n;
		}
		MUST(at == map->n_clusters);
		cluster_map_close(map);
	}
}

static int run(const struct salvage_sink *also, size_t size, struct error *err)
{
	struct watch watch = {.archive = salvage_archive(salvage), .also = also};
	const struct salvage_sink sink = {&watch, put};
	const struct salvage_totals *totals = salvage_totals(salvage);
	struct error ended;
	open_maps(&watch);
	int code = salvage_run(salvage, &sink, &ended, err);
	MUST(totals->n_damaged <= totals->n_sections && totals->archive_bytes <= size &&
	     totals->passed_bytes <= size && salvage_begin(salvage) <= size);
	close_maps(&watch);
	return code;
}

int memory_salvage(const uint8_t *bytes, size_t size, const struct salvage_sink *also,
		   const struct archive **archive, struct error *err)
{
	struct input *in = NULL;
	memory_input_use(bytes, size);
	input_open_damaged(&in, "", err);
	int code = salvage_open(&salvage, in, NULL, err);
	if (code == 0 && salvage_head(salvage) == SALVAGE_HEAD_LOST) {
		code = salvage_survey(salvage, err);
		input_close(in);
		memory_input_use(bytes, size);
		input_open_damaged(&in, "", err);
		salvage_again(salvage, in);
	}
	if (code == 0)
		code = run(also, size, err);
	if (code == 0 && archive != NULL)
		*archive = salvage_archive(salvage);
	MUST(code == 0 || err->text[0] != '\0');
	input_close(in);
	return code;
}
