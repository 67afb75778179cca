/*
 * Every bit of an archive changed, one at a time, and every length that it can be cut to, through
 * what the commands do: list, verify --quick, restore (which verifies), restore of some drives, and
 * salvage.
 *
 *	mutate [STEP[/SALVAGE]] ARCHIVE...
 *
 * As it is, each change must be refused at a place, and each cut called incomplete, at the place of
 * the cut. Then each change again with all checksums made right after it: what is behind them must
 * refuse it or make sense of it, and may not crash, nor write past a drive or twice to one place.
 * What stock VMA does not protect may be accepted. Salvage refuses little; but what it says is good
 * must be what was in the archive before, or, with checksums made right, fit them. With STEP every
 * STEP-th bit and length only; with SALVAGE every SALVAGE-th of them is salvaged.
 */
#include "format/layout.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_restore.h"
#include "tests/fuzz/memory_salvage.h"
#include "tests/unit/repair.h"

#include <stdio.h>
#include <string.h>

#define SIZE_MAX_TRIED 65536
#define CLUSTERS_MAX   4096u /* of an archive, all drives together */

static struct mutation {
	const char *name;
	uint8_t good[SIZE_MAX_TRIED], bytes[SIZE_MAX_TRIED];
	size_t size, head_size;
	bool stock; /* VMA without checksums of the data */
	unsigned long n_tried, n_refused, n_accepted, n_wrong, n_salvaged;
	/* What a salvage of the good archive gives. */
	struct truth {
		uint32_t drive;
		uint64_t cluster;
		uint8_t sum[CHECKSUM_SIZE];
	} truths[CLUSTERS_MAX];
	size_t n_truths;
} m;

static size_t salvage_step = 1; /* of what is tried, every such is salvaged */

static void wrong(const char *what, size_t at, const char *text)
{
	if (m.n_wrong++ < 10)
		printf("%s: %s %zu: %s\n", m.name, what, at, text);
}

/* Whether stock VMA has checksums there: the head, and the header of the first extent. */
static bool is_protected(size_t at)
{
	return !m.stock || at < m.head_size + VMA1_EXTENT_SIZE;
}

/* One command over the changed bytes. Returns whether the others are worth a try: what a head is
 * refused for does not depend on the command. */
static bool try_command(enum memory_command command, size_t bit, bool must_refuse)
{
	struct error err = {0};
	bool tried;
	int code = memory_run(command, m.bytes, m.size, &tried, &err);
	m.n_tried++;
	m.n_refused += code != 0;
	m.n_accepted += code == 0;
	if (code != 0 && !err.has_place)
		wrong("no place, bit", bit, err.text);
	if (code == 0 && tried && must_refuse)
		wrong("accepted, bit", bit, "");
	return code == 0 || err.place >= m.head_size;
}

/* ---- salvage ---- */

static void sum_of(const uint8_t *cluster, uint8_t sum[CHECKSUM_SIZE])
{
	static const uint8_t zeros[CLUSTER_SIZE];
	checksum_cluster(CLUSTER_XXH3_128, cluster != NULL ? cluster : zeros, sum);
}

static int learn(void *context, const struct slot *slot, enum salvage_state state,
		 const uint8_t *cluster, struct error *err)
{
	(void)context, (void)err;
	MUST(state == SALVAGE_GOOD || state == SALVAGE_UNVERIFIED || state == SALVAGE_NAMED);
	for (uint64_t i = 0; i < slot->n_clusters && state != SALVAGE_NAMED; i++) {
		MUST(m.n_truths < CLUSTERS_MAX);
		struct truth *truth = &m.truths[m.n_truths++];
		truth->drive = slot->drive;
		truth->cluster = slot->cluster + i;
		sum_of(cluster, truth->sum);
	}
	return 0;
}

static bool is_true(uint32_t drive, uint64_t cluster, const uint8_t sum[CHECKSUM_SIZE])
{
	for (size_t i = 0; i < m.n_truths; i++)
		if (m.truths[i].drive == drive && m.truths[i].cluster == cluster)
			return memcmp(m.truths[i].sum, sum, CHECKSUM_SIZE) == 0;
	return false;
}

static int compare(void *context, const struct slot *slot, enum salvage_state state,
		   const uint8_t *cluster, struct error *err)
{
	const size_t *at = context;
	uint8_t sum[CHECKSUM_SIZE];
	(void)err;
	if (state != SALVAGE_GOOD)
		return 0;
	sum_of(cluster, sum);
	for (uint64_t i = 0; i < slot->n_clusters; i++) {
		m.n_salvaged++;
		if (is_true(slot->drive, slot->cluster + i, sum))
			continue;
		wrong("salvaged what it was not, at", *at, "");
		break;
	}
	return 0;
}

/* at: for messages. Of what fits checksums that were made right nobody can tell what it was. */
static void try_salvage(const uint8_t *bytes, size_t size, size_t at, bool repaired)
{
	const struct salvage_sink sink = {&at, compare};
	struct error err = {0};
	int code = memory_salvage(bytes, size, repaired ? NULL : &sink, NULL, &err);
	m.n_tried++;
	m.n_refused += code != 0;
	m.n_accepted += code == 0;
}

/* ---- every change ---- */

static void try_bit(size_t bit, bool repaired)
{
	bool must_refuse = !repaired && is_protected(bit / 8);
	if (!try_command(MEMORY_RESTORE, bit, must_refuse))
		return;
	try_command(MEMORY_LIST, bit, false); /* looks at both ends only */
	if (repaired)
		try_command(MEMORY_RESTORE_SOME, bit, false);
	else
		try_command(MEMORY_VERIFY_QUICK, bit, must_refuse);
}

static void try_all_bits(size_t step, bool repaired)
{
	for (size_t bit = 0; bit < m.size * 8; bit += step) {
		memcpy(m.bytes, m.good, m.size);
		m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (repaired)
			repair_archive(m.bytes, m.size);
		try_bit(bit, repaired);
		if (bit / step % salvage_step == 0)
			try_salvage(m.bytes, m.size, bit, repaired);
	}
}

static void try_all_lengths(size_t step)
{
	bool tried;
	for (size_t size = 0; size < m.size; size += step) {
		uint8_t *cut = malloc(size + 1);
		MUST(cut != NULL);
		memcpy(cut, m.good, size);
		for (enum memory_command command = MEMORY_VERIFY_QUICK; command <= MEMORY_RESTORE;
		     command++) {
			struct error err = {0};
			if (command == MEMORY_VERIFY)
				continue;
			int code = memory_run(command, cut, size, &tried, &err);
			m.n_tried++;
			m.n_refused += code != 0;
			if (code != ERR_INCOMPLETE || !err.has_place || err.place != size)
				wrong("cut to", size, code == 0 ? "accepted" : err.text);
		}
		if (size / step % salvage_step == 0)
			try_salvage(cut, size, size, false);
		free(cut);
	}
}

static int load(const char *path)
{
	const struct salvage_sink sink = {NULL, learn};
	FILE *file = fopen(path, "rb");
	bool tried;
	struct error err = {0};
	memset(&m, 0, sizeof m);
	m.name = path;
	m.size = file != NULL ? fread(m.good, 1, sizeof m.good, file) : 0;
	if (file == NULL || m.size == sizeof m.good || m.size < SECTOR_SIZE) {
		printf("%s: cannot be read, or is too large\n", path);
		return 1;
	}
	fclose(file);
	m.head_size = m.good[0] == VMA1_MAGIC[0] ? (size_t)get_be(m.good + VMA1_HEAD_SIZE, 4)
						 : (size_t)get_le(m.good + HEAD_SIZE, 4);
	m.stock = memcmp(m.good, VMA1_MAGIC, 4) == 0 &&
		  memcmp(m.good + VMA1_MARKER_AT, VMA1_MARKER, VMA1_MARKER_SIZE) != 0;
	if (memory_run(MEMORY_RESTORE, m.good, m.size, &tried, &err) == 0 && tried &&
	    memory_salvage(m.good, m.size, &sink, NULL, &err) == 0)
		return 0;
	printf("%s: is not good to begin with: %s\n", path, err.text);
	return 1;
}

int main(int argc, char **argv)
{
	int failed = argc < 2, first = 1;
	char *rest = NULL;
	size_t step = argc > 1 ? strtoul(argv[1], &rest, 10) : 0;
	if (step != 0 && *rest == '/')
		salvage_step = strtoul(rest + 1, NULL, 10);
	salvage_step += salvage_step == 0;
	first += step != 0;
	step += step == 0;
	for (int i = first; i < argc && !failed; i++) {
		failed = load(argv[i]);
		if (failed)
			break;
		try_all_bits(step, false);
		try_all_lengths(step);
		try_all_bits(step, true);
		printf("%s: %lu tries, %lu refused, %lu accepted, %lu clusters salvaged, %lu "
		       "wrong\n",
		       m.name, m.n_tried, m.n_refused, m.n_accepted, m.n_salvaged, m.n_wrong);
		/* A salvage that gives nothing would be right always. */
		failed = m.n_wrong != 0 || (m.n_salvaged == 0 && m.n_truths > 0 && !m.stock);
	}
	return failed;
}
