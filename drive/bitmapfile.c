#include "drive/bitmapfile.h"

#include "base/bits.h"
#include "base/grain.h"
#include "base/io.h"
#include "drive/qcow2bits.h"
#include "format/qcow2_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART_BITS (QCOW2_BUILD_CLUSTER * UINT64_C(8))

const char bitmap_file_name[] = QCOW2_BUILD_NAME;

/* ---- writing ---- */

struct bitmap_writer {
	struct qcow2_build plan;
	int fd;
	const char *path;
	const struct cluster_set *set;
	uint64_t n_clusters;
	bool *stored;	/* owned: of each part */
	uint8_t *place; /* owned: the metadata, and after it a part of the bits */
};

static uint64_t part_end(const struct bitmap_writer *writer, uint32_t part)
{
	return least((part + 1) * PART_BITS, writer->n_clusters);
}

static void find_stored(struct bitmap_writer *writer)
{
	for (uint32_t i = 0; i < writer->plan.n_parts; i++) {
		uint64_t first = i * PART_BITS, n = part_end(writer, i) - first;
		bool in;

		writer->stored[i] = cluster_set_run(writer->set, first, n, &in) < n || in;
	}
}

static int write_at(const struct bitmap_writer *writer, const uint8_t *bytes, size_t n, uint64_t at,
		    struct error *err)
{
	int sys = io_pwrite(writer->fd, bytes, n, at, 0);

	return sys == 0 ? 0 : fail_system(err, sys, "%s", writer->path);
}

/* Bits are in bytes, the lowest first. */
static void fill_part(const struct bitmap_writer *writer, uint32_t part, uint8_t *bits)
{
	uint64_t first = part * PART_BITS, end = part_end(writer, part), n;
	bool in;

	memset(bits, 0, QCOW2_BUILD_CLUSTER);
	for (uint64_t at = first; at < end; at += n) {
		n = cluster_set_run(writer->set, at, end - at, &in);
		for (uint64_t i = at - first; in && i < at - first + n; i++)
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	}
}

static int write_all(struct bitmap_writer *writer, struct error *err)
{
	size_t place_bytes = (size_t)QCOW2_BUILD_PLACE * QCOW2_BUILD_CLUSTER;
	uint8_t *bits;
	uint32_t n = 0;

	writer->stored = calloc(writer->plan.n_parts, sizeof(*writer->stored));
	writer->place = malloc(place_bytes + QCOW2_BUILD_CLUSTER);
	if (writer->stored == NULL || writer->place == NULL)
		return fail_memory(err);
	bits = writer->place + place_bytes;
	find_stored(writer);
	qcow2_build(&writer->plan, writer->stored, writer->place);
	TRY(write_at(writer, writer->place, place_bytes, 0, err));
	for (uint32_t i = 0; i < writer->plan.n_parts; i++) {
		if (!writer->stored[i])
			continue;
		fill_part(writer, i, bits);
		TRY(write_at(writer, bits, QCOW2_BUILD_CLUSTER,
			     qcow2_build_part(&writer->plan, n++), err));
	}
	if (ftruncate(writer->fd, (off_t)qcow2_build_file_bytes(&writer->plan)) < 0)
		return fail_system(err, errno, "%s", writer->path);
	return 0;
}

int bitmap_file_write(int fd, const char *path, uint64_t size_bytes, const struct cluster_set *set,
		      struct error *err)
{
	struct bitmap_writer writer = {
		.fd = fd,
		.path = path,
		.set = set,
		.n_clusters = clusters_of(size_bytes),
	};
	int code;

	TRY(qcow2_build_plan(&writer.plan, size_bytes, err));
	code = write_all(&writer, err);
	free(writer.stored);
	free(writer.place);
	return code;
}

/* ---- reading ---- */

struct bitmap_reader {
	struct cluster_set *set;
	uint64_t n_clusters;
};

static int add_range(void *context, uint64_t from, uint64_t to, struct error *err)
{
	struct bitmap_reader *reader = context;
	uint64_t first = from / CLUSTER_SIZE, end = least(clusters_of(to), reader->n_clusters);

	if (end <= first)
		return 0;
	return cluster_set_add(reader->set, first, end - first, err) < 0 ? err->code : 0;
}

static int read_all(struct qcow2_file *file, uint64_t size_bytes, struct cluster_set *out,
		    struct error *err)
{
	struct bitmap_reader reader = {out, clusters_of(size_bytes)};
	struct qcow2_bitmap bitmap;
	int code;

	if (file->head.size_bytes != size_bytes)
		return fail(err, ERR_SYSTEM, "%s: is of a drive of another size", file->path);
	code = qcow2_file_bitmap(file, bitmap_file_name, &bitmap, err);
	if (code == 0)
		return fail(err, ERR_SYSTEM, "%s: has lost its bitmap", file->path);
	if (code == 1 && bitmap.granularity_bits != QCOW2_BUILD_BITS)
		return fail(err, ERR_SYSTEM, "%s: a bit of its bitmap is not for a cluster",
			    file->path);
	if (code == 1)
		code = qcow2_file_bits(file, &bitmap, add_range, &reader, err);
	return code < 0 ? code : 0;
}

int bitmap_file_read(const char *path, uint64_t size_bytes, struct cluster_set *out,
		     struct error *err)
{
	struct qcow2_file file;
	int code = qcow2_file_open(&file, path, err);

	if (code == 0)
		code = read_all(&file, size_bytes, out, err);
	qcow2_file_close(&file);
	return code;
}
