#include "drive/qemu.h"

#include "base/bytes.h"
#include "base/clusterset.h"
#include "base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define HEAD_SIZE      104u
#define SECTOR	       512u
#define OFFSET_MASK    0x00fffffffffffe00u
#define COMPRESSED     (UINT64_C(1) << 62)
#define EXTERNAL_DATA  4u /* incompatible features */
#define ZSTD	       8u
#define EXTENDED_L2    16u
#define WINDOW_BITS    -12 /* raw deflate, as in all images */
#define SUBCLUSTERS    32u
#define L1_ENTRIES_MAX (4u << 20) /* QEMU's limit: 32 MiB */
#define SNAPSHOT_HEAD  40u
#define SNAPSHOTS_MAX  65536u /* QEMU's limit */

struct qcow2 {
	int fd;
	const char *path;
	unsigned cluster_bits;
	uint64_t features;
	uint64_t size_bytes; /* of the file */
	uint64_t reach;
	uint64_t last_compressed; /* begins here and ends at the end of the file; 0: none */
	uint8_t *table;		  /* an L2 table: a cluster */
	/* The L2 tables that were read, by their clusters: snapshots share most of theirs. */
	struct cluster_set seen;
};

static void must_reach(struct qcow2 *image, uint64_t end)
{
	if (image->reach < end)
		image->reach = end;
}

/* Leaves bytes unchanged past the end of the file. *n: how many were read. */
static int read_table(struct qcow2 *image, uint64_t offset, uint8_t *bytes, size_t *n,
		      struct error *err)
{
	int sys = io_pread(image->fd, bytes, *n, offset, n);

	return sys == 0 ? 0
			: fail_system(err, sys, "%s: reading at byte %" PRIu64, image->path,
				      offset + *n);
}

/* How many bytes of an uncompressed cluster are in use: with subclusters, up to the last allocated
 * one; none of a cluster that reads as zeros. */
static uint64_t used_of(const struct qcow2 *image, uint64_t entry, uint64_t bitmap)
{
	uint64_t size = UINT64_C(1) << image->cluster_bits, n = 0;

	if (!(image->features & EXTENDED_L2))
		return entry & 1 ? 0 : size;
	for (unsigned i = 0; i < SUBCLUSTERS; i++)
		if (bitmap >> i & 1)
			n = i + 1;
	return n * (size / SUBCLUSTERS);
}

static void note_cluster(struct qcow2 *image, uint64_t entry, uint64_t bitmap)
{
	unsigned shift = 62 - (image->cluster_bits - 8);

	if (entry & COMPRESSED) {
		uint64_t offset = entry & ((UINT64_C(1) << shift) - 1);
		uint64_t sectors = (entry & (COMPRESSED - 1)) >> shift;

		uint64_t last_sector = (offset / SECTOR + sectors) * SECTOR;

		must_reach(image, last_sector + 1);
		if (image->size_bytes - last_sector < SECTOR && offset > image->last_compressed)
			image->last_compressed = offset;
	} else if (entry & OFFSET_MASK && !(image->features & EXTERNAL_DATA)) {
		uint64_t used = used_of(image, entry, bitmap);

		if (used > 0)
			must_reach(image, (entry & OFFSET_MASK) + used);
	}
}

/* Whether these bytes hold a whole compressed cluster; negative: no memory. */
static int inflates(const uint8_t *bytes, size_t n, uint8_t *out, size_t room)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
			   .avail_in = (uInt)n,
			   .next_out = out,
			   .avail_out = (uInt)room};

	if (inflateInit2(&stream, WINDOW_BITS) != Z_OK)
		return -1;
	int code = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return code == Z_STREAM_END;
}

/* The same for zstd: one frame, up to its end. */
static int decompresses(const uint8_t *bytes, size_t n, uint8_t *out, size_t room)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_inBuffer from = {bytes, n, 0};
	ZSTD_outBuffer to = {out, room, 0};
	size_t left = 1, before;

	if (context == NULL)
		return -1;
	do {
		before = from.pos + to.pos;
		left = ZSTD_decompressStream(context, &to, &from);
	} while (left != 0 && !ZSTD_isError(left) && from.pos + to.pos > before);
	ZSTD_freeDCtx(context);
	return left == 0;
}

/* The length of a compressed cluster is known only in sectors, and not every writer fills the last
 * one. QEMU would read zeros for the missing bytes and may decode anything from them. */
static int check_last_compressed(struct qcow2 *image, struct error *err)
{
	size_t room = (size_t)1 << image->cluster_bits;
	size_t n = (size_t)(image->size_bytes - image->last_compressed);

	if (image->last_compressed >= image->size_bytes)
		must_reach(image, image->last_compressed + 1);
	if (image->last_compressed == 0 || n > room)
		return 0;
	uint8_t *out = malloc(room);
	int code = read_table(image, image->last_compressed, image->table, &n, err);
	int whole = out == NULL		     ? -1
		    : image->features & ZSTD ? decompresses(image->table, n, out, room)
					     : inflates(image->table, n, out, room);
	if (code == 0 && whole == 0)
		must_reach(image, (image->size_bytes / SECTOR + 1) * SECTOR);
	free(out);
	return code == 0 && whole < 0 ? fail_memory(err) : code;
}

static int note_table(struct qcow2 *image, uint64_t entry, struct error *err)
{
	unsigned step = image->features & EXTENDED_L2 ? 16 : 8;
	size_t n = (size_t)1 << image->cluster_bits;
	uint64_t offset = entry & OFFSET_MASK;

	if (offset == 0)
		return 0;
	must_reach(image, offset + n);
	/* QEMU reads no table at another place than a cluster's. */
	if (offset >= image->size_bytes || offset % n != 0 ||
	    cluster_set_has(&image->seen, offset >> image->cluster_bits))
		return 0;
	TRY(cluster_set_include(&image->seen, offset >> image->cluster_bits, 1, err));
	TRY(read_table(image, offset, image->table, &n, err));
	for (size_t at = 0; at + step <= n; at += step)
		note_cluster(image, get_be(image->table + at, 8),
			     step == 16 ? get_be(image->table + at + 8, 8) : 0);
	return 0;
}

static int note_all(struct qcow2 *image, uint64_t l1_offset, uint32_t n_entries, struct error *err)
{
	size_t n = (size_t)n_entries * 8;
	uint8_t *l1;
	int code;

	if (n_entries > L1_ENTRIES_MAX || l1_offset > INT64_MAX / 2)
		return 0;
	l1 = malloc(n + 1);
	code = l1 == NULL ? fail_memory(err) : read_table(image, l1_offset, l1, &n, err);
	if (code == 0)
		must_reach(image, l1_offset + (uint64_t)n_entries * 8);
	for (size_t at = 0; code == 0 && at + 8 <= n; at += 8)
		code = note_table(image, get_be(l1 + at, 8), err);
	free(l1);
	return code;
}

/* The L1 tables of snapshots, of which many may be the same, or overlap in an image that was made
 * to take long. */
struct l1_table {
	uint64_t at;
	uint64_t n_entries;
};

static int compare_places(const void *a, const void *b)
{
	const struct l1_table *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Each entry once. */
static int note_l1_tables(struct qcow2 *image, struct l1_table *tables, uint32_t n,
			  struct error *err)
{
	uint64_t done = 0;

	qsort(tables, n, sizeof(*tables), compare_places);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = tables[i].at, end = at + tables[i].n_entries * 8;

		if (at < done)
			at = done;
		if (at < end && at < image->size_bytes)
			TRY(note_all(image, at, (uint32_t)((end - at) / 8), err));
		must_reach(image, end);
		if (done < end)
			done = end;
	}
	return 0;
}

/* The entries of the table follow one another; each begins with the place of an L1 table. *n: in
 * is how many there are said to be, out how many have such a table. */
static int list_snapshots(struct qcow2 *image, uint64_t at, struct l1_table *tables, uint32_t *n,
			  struct error *err)
{
	uint32_t n_snapshots = *n;
	uint8_t entry[SNAPSHOT_HEAD];
	size_t got = sizeof(entry);

	*n = 0;
	for (uint32_t i = 0; i < n_snapshots && at < image->size_bytes; i++) {
		struct l1_table *table = &tables[*n];

		TRY(read_table(image, at, entry, &got, err));
		if (got < sizeof(entry))
			break;
		*table = (struct l1_table){get_be(entry, 8), get_be(entry + 8, 4)};
		*n += table->n_entries <= L1_ENTRIES_MAX && table->at <= INT64_MAX / 2 &&
		      table->at % 8 == 0;
		uint64_t length = SNAPSHOT_HEAD + get_be(entry + 36, 4) + get_be(entry + 12, 2) +
				  get_be(entry + 14, 2);
		must_reach(image, at + length);
		at += (length + 7) / 8 * 8;
	}
	return 0;
}

static int note_snapshots(struct qcow2 *image, uint64_t at, uint32_t n_snapshots, struct error *err)
{
	struct l1_table *tables = malloc((n_snapshots + (size_t)1) * sizeof(*tables));
	int code = tables == NULL ? fail_memory(err)
				  : list_snapshots(image, at, tables, &n_snapshots, err);

	if (code == 0)
		code = note_l1_tables(image, tables, n_snapshots, err);
	free(tables);
	return code;
}

static int note_image(struct qcow2 *image, const uint8_t *head, bool snapshots, struct error *err)
{
	uint32_t n_snapshots = (uint32_t)get_be(head + 60, 4);
	int code = 0;

	image->table = malloc((size_t)1 << image->cluster_bits);
	if (image->table == NULL)
		return fail_memory(err);
	code = note_all(image, get_be(head + 40, 8), (uint32_t)get_be(head + 36, 4), err);
	if (code == 0 && snapshots && n_snapshots <= SNAPSHOTS_MAX)
		code = note_snapshots(image, get_be(head + 64, 8), n_snapshots, err);
	if (code == 0)
		code = check_last_compressed(image, err);
	free(image->table);
	cluster_set_free(&image->seen);
	return code;
}

int qcow2_reach(int fd, const char *path, bool snapshots, uint64_t *reach, struct error *err)
{
	struct qcow2 image = {.fd = fd, .path = path};
	uint8_t head[HEAD_SIZE];
	size_t n = sizeof(head);

	*reach = 0;
	off_t end = lseek(fd, 0, SEEK_END);
	image.size_bytes = end > 0 ? (uint64_t)end : 0;
	TRY(read_table(&image, 0, head, &n, err));
	if (n < 72 || memcmp(head, "QFI\xfb", 4) != 0)
		return 0;
	image.cluster_bits = (unsigned)get_be(head + 20, 4);
	if (get_be(head + 4, 4) >= 3 && n >= 80)
		image.features = get_be(head + 72, 8);
	if (image.cluster_bits < 9 || image.cluster_bits > 21 ||
	    get_be(head + 36, 4) > L1_ENTRIES_MAX || get_be(head + 40, 8) > INT64_MAX / 2)
		return 0;
	TRY(note_image(&image, head, snapshots, err));
	*reach = image.reach;
	return 0;
}
