#include "tests/unit/sample.h"
#include "reader/input/input.h"
#include "reader/reader.h"
#include "writer/output/output.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#undef NDEBUG

static const char *const names[] = {"disk0", "disk1", "disk2"};
static const char config[] = "cores: 2\n";

/* A mix of what drives hold: zero clusters, zero blocks, text, noise. */
static void fill_drive(uint8_t *drive, uint64_t size_bytes, uint64_t seed)
{
	for (uint64_t at = 0; at < size_bytes; at++) {
		uint64_t block = at / BLOCK_SIZE + seed, cluster = at / CLUSTER_SIZE + seed;
		if (cluster % 4 == 1 || block % 3 == 1)
			continue;
		uint64_t noise = (at + seed) * 0x9e3779b97f4a7c15u;
		drive[at] = block % 2 == 0 ? (uint8_t)('a' + at % 13) : (uint8_t)(noise >> 56);
	}
}

static void describe(struct sample *sample, const struct sample_options *options)
{
	struct archive *archive = sample->archive = calloc(1, sizeof *archive);
	sample->drives = calloc(4, sizeof *sample->drives);
	assert(archive != NULL && sample->drives != NULL);
	archive->format = options->format;
	archive->cluster_checksum = options->cluster_checksum;
	memset(archive->uuid, 0x5a, UUID_SIZE);
	archive->created_ns = 1700000000000000000;
	archive->n_configs = 1;
	archive->configs[0] = (struct archive_config){{(const uint8_t *)"demo.conf", 9},
						      {(const uint8_t *)config, sizeof config - 1}};
	for (uint32_t i = 0; i < 3 && options->size_bytes[i] != 0; i++) {
		uint64_t size_bytes = options->size_bytes[i];
		archive->drives[i] =
			(struct archive_drive){{(const uint8_t *)names[i], 5}, size_bytes};
		archive->n_drives++;
		sample->drives[i] = calloc(clusters_of(size_bytes), CLUSTER_SIZE);
		assert(sample->drives[i] != NULL);
		fill_drive(sample->drives[i], size_bytes, i);
	}
}

struct source {
	const struct sample *sample;
	const struct sample_options *options;
	uint32_t drive;
	uint64_t next;
};

struct piece {
	uint32_t drive;
	uint64_t cluster, n;
};

static int next_piece(void *context, void *piece, struct error *err)
{
	struct source *source = context;
	struct piece *out = piece;
	const struct archive *archive = source->sample->archive;
	(void)err;
	if (source->drive == archive->n_drives)
		return 0;
	uint64_t n_clusters = clusters_of(archive->drives[source->drive].size_bytes);
	uint64_t n = source->options->clusters_in_piece;
	uint64_t left = n_clusters - source->next;
	*out = (struct piece){source->drive, source->next, left < n ? left : n};
	source->next += out->n;
	if (source->options->shuffled) /* from the end to the beginning */
		out->cluster = n_clusters - out->cluster - out->n;
	if (source->next == n_clusters) {
		source->next = 0;
		source->drive++;
	}
	return 1;
}

static int fill_batch(void *context, void *piece, struct batch *batch, struct error *err)
{
	const struct source *source = context;
	const struct piece *p = piece;
	(void)err;
	memcpy(batch_buffer(batch), source->sample->drives[p->drive] + p->cluster * CLUSTER_SIZE,
	       p->n * CLUSTER_SIZE);
	for (uint64_t i = 0; i < p->n; i++)
		batch_cluster(batch, p->drive, p->cluster + i,
			      batch_buffer(batch) + i * CLUSTER_SIZE);
	return 0;
}

static void load(struct sample *sample, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	assert(fd >= 0 && fstat(fd, &st) == 0);
	sample->size = (size_t)st.st_size;
	sample->bytes = malloc(sample->size);
	ssize_t n = read(fd, sample->bytes, sample->size);
	assert(n == st.st_size);
	close(fd);
	unlink(path);
}

void sample_make(struct sample *out, const struct sample_options *options)
{
	struct writer_options writing = {.level = options->level, .wrap = options->wrap};
	struct output_options plain = {.sync = false};
	struct source source = {.sample = out, .options = options};
	struct feed feed = {.context = &source,
			    .piece_size = sizeof(struct piece),
			    .next = next_piece,
			    .fill = fill_batch};
	char path[] = "/tmp/vmabak-unit-XXXXXX", archive_path[64];
	struct output *output = NULL;
	struct writer *writer = NULL;
	struct error err = {0};
	char *made = mkdtemp(path);
	assert(made != NULL);
	snprintf(archive_path, sizeof archive_path, "%s/archive", path);
	describe(out, options);
	int code = output_open(&output, archive_path, &plain, &err);
	if (code == 0)
		code = writer_open(&writer, out->archive, output, &writing, &err);
	if (code == 0)
		code = writer_run(writer, &feed, options->n_threads, &err);
	if (code == 0)
		code = writer_finish(writer, &err);
	if (code == 0)
		code = output_finish(output, &err);
	if (code != 0)
		fprintf(stderr, "sample: %s\n", err.text);
	assert(code == 0);
	writer_free(writer);
	output_close(output);
	load(out, archive_path);
	rmdir(path);
}

void sample_free(struct sample *sample)
{
	for (uint32_t i = 0; i < sample->archive->n_drives; i++)
		free(sample->drives[i]);
	free(sample->drives);
	free(sample->archive);
	free(sample->bytes);
}

static int compare_extent(const struct archive *archive, const struct section *extent,
			  const uint8_t *stored, const struct sample *sample, struct error *err)
{
	static uint8_t raw[PAYLOAD_SIZE_MAX], scratch[CLUSTER_SIZE], zeros[CLUSTER_SIZE];
	const uint8_t *blocks, *cluster;
	TRY(extent_open(archive, extent, stored, raw, &blocks, err));
	for (uint32_t i = 0; i < extent->n_slots; i++) {
		const struct slot *slot = &extent->slots[i];
		cluster = zeros;
		if (slot->mask != 0)
			TRY(extent_cluster(archive, extent, i, blocks, scratch, &cluster, err));
		blocks += (uint32_t)__builtin_popcount(slot->mask) * BLOCK_SIZE;
		for (uint64_t j = 0; sample != NULL && j < slot->n_clusters; j++)
			if (memcmp(cluster,
				   sample->drives[slot->drive] + (slot->cluster + j) * CLUSTER_SIZE,
				   CLUSTER_SIZE) != 0)
				return fail(err, ERR_SYSTEM, "cluster %llu of %s reads otherwise",
					    (unsigned long long)(slot->cluster + j),
					    names[slot->drive]);
	}
	return 0;
}

static int compare_head(const struct archive *archive, const struct archive *wanted,
			struct error *err)
{
	if (archive->n_drives != wanted->n_drives || archive->n_configs != wanted->n_configs)
		return fail(err, ERR_SYSTEM, "the head reads otherwise");
	for (uint32_t i = 0; i < archive->n_drives; i++)
		if (archive->drives[i].size_bytes != wanted->drives[i].size_bytes)
			return fail(err, ERR_SYSTEM, "drive %u reads otherwise", i);
	const struct text *data = &archive->configs[0].data;
	if (data->length != sizeof config - 1 || memcmp(data->bytes, config, data->length) != 0)
		return fail(err, ERR_SYSTEM, "the config reads otherwise");
	return 0;
}

int sample_read(const uint8_t *bytes, size_t size, const struct sample *sample, struct error *err)
{
	static struct section extent;
	static uint8_t stored[PAYLOAD_SIZE_MAX];
	struct input *in = NULL;
	struct reader *reader = NULL;
	char path[64];
	int fd = memfd_create("archive", 0);
	assert(fd >= 0);
	ssize_t n = write(fd, bytes, size);
	assert(n == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int code = input_open(&in, path, err);
	if (code == 0)
		code = reader_open(&reader, in, err);
	if (code == 0 && sample != NULL)
		code = compare_head(reader_archive(reader), sample->archive, err);
	while (code == 0) {
		code = reader_next(reader, &extent, stored, err);
		if (code <= 0)
			break;
		code = compare_extent(reader_archive(reader), &extent, stored, sample, err);
	}
	reader_free(reader);
	input_close(in);
	close(fd);
	return code;
}
