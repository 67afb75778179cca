#include "format/qcow2.h"

#include "base/bytes.h"

#include <inttypes.h>

#define MAGIC	       "QFI\xfb"
#define OFFSET_MASK    0x00fffffffffffe00u /* of entries of L1 tables and tables of bitmaps */
#define COPIED	       (UINT64_C(1) << 63)
#define ALL_SET	       1u
#define NAME_MAX_BYTES 1023u /* of a bitmap or a backing file */

enum head {
	FORMAT_VERSION = 4,
	BACKING_AT = 8,
	BACKING_BYTES = 16,
	CLUSTER_BITS = 20,
	SIZE = 24,
	L1_ENTRIES = 36,
	L1_AT = 40,
	N_SNAPSHOTS = 60,
	SNAPSHOTS_AT = 64,
	INCOMPATIBLE = 72,
	AUTOCLEAR = 88,
	LENGTH = 100,
	OLD_END = 72, /* of version 2 */
	END = 104,
};

enum incompatible {
	DIRTY = 1,
	CORRUPT = 2,
	DATA_FILE = 4,
	OTHER_COMPRESSION = 8,
	EXTENDED_L2 = 16,
};
#define HAS_BITMAPS 1u /* of the autoclear features */

enum extension { EXTENSION_END = 0, BACKING_FORMAT = 0xe2792aca, BITMAPS = 0x23852875 };
#define EXTENSION_HEAD 8u

uint32_t qcow2_cluster(const struct qcow2_head *head)
{
	return UINT32_C(1) << head->cluster_bits;
}

/* Whether n bytes from there on are whole in the file, and not in its first cluster. */
static bool lies_in_file(const struct qcow2_head *head, uint64_t at, uint64_t n)
{
	return at % qcow2_cluster(head) == 0 && at >= qcow2_cluster(head) &&
	       at <= head->file_bytes && n <= head->file_bytes - at;
}

static int parse_bitmaps(const uint8_t *value, uint32_t length, uint64_t place, bool outdated,
			 struct qcow2_head *out, struct error *err)
{
	DEMAND(length == 24 && out->version >= 3, place, "the bitmaps' extension is malformed");
	DEMAND(out->bitmaps_at == 0, place, "a second extension for bitmaps");
	uint64_t size = get_be(value + 8, 8);
	out->n_bitmaps = (uint32_t)get_be(value, 4);
	out->bitmaps_at = get_be(value + 16, 8);
	DEMAND(get_be(value + 4, 4) == 0, place, "reserved bytes in the bitmaps' extension");
	DEMAND(out->n_bitmaps > 0 && out->n_bitmaps <= UINT16_MAX, place, "%u bitmaps",
	       out->n_bitmaps);
	SUPPORTED(size <= QCOW2_TABLE_MAX, place, "the directory of the bitmaps is too large");
	DEMAND(lies_in_file(out, out->bitmaps_at, size), place,
	       "the directory of the bitmaps lies outside of the file");
	out->bitmaps_bytes = (uint32_t)size;
	out->bitmaps_outdated = outdated;
	if (outdated)
		out->n_bitmaps = 0;
	return 0;
}

/* From at up to end, which lies within the bytes. */
static int parse_extensions(const uint8_t *bytes, uint32_t at, uint32_t end, struct qcow2_head *out,
			    struct error *err)
{
	bool outdated = out->version < 3 || (get_be(bytes + AUTOCLEAR, 8) & HAS_BITMAPS) == 0;

	while (end - at >= EXTENSION_HEAD) {
		uint32_t type = (uint32_t)get_be(bytes + at, 4);
		uint32_t length = (uint32_t)get_be(bytes + at + 4, 4);
		const uint8_t *value = bytes + at + EXTENSION_HEAD;

		if (type == EXTENSION_END)
			return 0;
		DEMAND(length <= end - at - EXTENSION_HEAD, at, "an extension of %u bytes", length);
		if (type == BITMAPS)
			TRY(parse_bitmaps(value, length, at, outdated, out, err));
		else if (type == BACKING_FORMAT)
			out->backing_format = (struct text){value, length};
		length = (length + 7) / 8 * 8;
		if (length > end - at - EXTENSION_HEAD)
			return 0;
		at += EXTENSION_HEAD + length;
	}
	return 0;
}

static int parse_backing(const uint8_t *bytes, uint32_t *end, struct qcow2_head *out,
			 struct error *err)
{
	uint64_t at = get_be(bytes + BACKING_AT, 8);
	uint32_t length = (uint32_t)get_be(bytes + BACKING_BYTES, 4);

	if (at == 0)
		return 0;
	DEMAND(at <= *end && length <= *end - at && length <= NAME_MAX_BYTES, BACKING_AT,
	       "the name of the backing file lies outside of the head");
	out->backing = (struct text){bytes + at, length};
	*end = (uint32_t)at;
	return 0;
}

static int check_features(uint64_t features, struct qcow2_head *out, struct error *err)
{
	SUPPORTED((features & DIRTY) == 0, INCOMPATIBLE, "the image was not closed in order");
	SUPPORTED((features & CORRUPT) == 0, INCOMPATIBLE, "the image is marked as corrupt");
	SUPPORTED((features & DATA_FILE) == 0, INCOMPATIBLE,
		  "the data of the image lies in another file");
	features &= ~(uint64_t)OTHER_COMPRESSION;
	out->extended_l2 = (features & EXTENDED_L2) != 0;
	features &= ~(uint64_t)EXTENDED_L2;
	SUPPORTED(features == 0, INCOMPATIBLE,
		  "the image has features that are not known: %" PRIx64, features);
	return 0;
}

static int check_l1(const struct qcow2_head *head, const struct qcow2_l1 *l1, uint64_t size_bytes,
		    uint64_t place, struct error *err)
{
	uint64_t per_entry = (uint64_t)qcow2_l2_entries(head) << head->cluster_bits;
	uint64_t n = size_bytes / per_entry + (size_bytes % per_entry != 0);

	DEMAND(l1->n_entries <= QCOW2_L1_MAX && l1->n_entries >= n, place,
	       "an L1 table of %u entries", l1->n_entries);
	DEMAND(l1->n_entries == 0 || lies_in_file(head, l1->at, (uint64_t)l1->n_entries * 8), place,
	       "an L1 table outside of the file");
	return 0;
}

/* What is not an extension. *length: of the header. */
static int parse_fields(const uint8_t *bytes, size_t n, uint32_t *length, struct qcow2_head *out,
			struct error *err)
{
	DEMAND(n >= END && memcmp(bytes, MAGIC, 4) == 0, 0, "not a qcow2 image");
	out->version = (unsigned)get_be(bytes + FORMAT_VERSION, 4);
	SUPPORTED(out->version == 2 || out->version == 3, FORMAT_VERSION, "qcow2 version %u",
		  out->version);
	out->cluster_bits = (unsigned)get_be(bytes + CLUSTER_BITS, 4);
	DEMAND(out->cluster_bits >= 9 && out->cluster_bits <= 21, CLUSTER_BITS,
	       "clusters of 2^%u bytes", out->cluster_bits);
	out->size_bytes = get_be(bytes + SIZE, 8);
	DEMAND(out->size_bytes <= INT64_MAX, SIZE, "the size of the drive is too large");
	*length = OLD_END;
	if (out->version >= 3) {
		TRY(check_features(get_be(bytes + INCOMPATIBLE, 8), out, err));
		*length = (uint32_t)get_be(bytes + LENGTH, 4);
		DEMAND(*length >= END && *length <= n && *length <= qcow2_cluster(out), LENGTH,
		       "a header of %u bytes", *length);
	}
	out->l1 = (struct qcow2_l1){get_be(bytes + L1_AT, 8),
				    (uint32_t)get_be(bytes + L1_ENTRIES, 4)};
	out->n_snapshots = (uint32_t)get_be(bytes + N_SNAPSHOTS, 4);
	out->snapshots_at = get_be(bytes + SNAPSHOTS_AT, 8);
	return 0;
}

int qcow2_head_parse(const uint8_t *bytes, size_t n, uint64_t file_bytes, struct qcow2_head *out,
		     struct error *err)
{
	struct qcow2_head head = {.file_bytes = file_bytes};
	uint32_t length = 0, end;

	TRY(parse_fields(bytes, n, &length, &head, err));
	end = n < qcow2_cluster(&head) ? (uint32_t)n : qcow2_cluster(&head);
	TRY(check_l1(&head, &head.l1, head.size_bytes, L1_AT, err));
	DEMAND(head.n_snapshots <= UINT16_MAX + 1u, N_SNAPSHOTS, "%u snapshots", head.n_snapshots);
	DEMAND(head.n_snapshots == 0 || lies_in_file(&head, head.snapshots_at, 1), SNAPSHOTS_AT,
	       "the table of snapshots lies outside of the file");
	TRY(parse_backing(bytes, &end, &head, err));
	if (end > length)
		TRY(parse_extensions(bytes, length, end, &head, err));
	*out = head;
	return 0;
}

/* ---- bitmaps ---- */

#define BITMAP_HEAD 24u

int qcow2_bitmap_parse(const struct qcow2_head *head, const uint8_t *directory, uint32_t *at,
		       struct qcow2_bitmap *out, struct error *err)
{
	uint64_t place = head->bitmaps_at + *at;
	const uint8_t *entry = directory + *at;
	uint32_t left = head->bitmaps_bytes - *at;

	DEMAND(*at <= head->bitmaps_bytes && left >= BITMAP_HEAD, place,
	       "the directory of the bitmaps is too short");
	uint32_t length = (uint32_t)get_be(entry + 18, 2), extra = (uint32_t)get_be(entry + 20, 4);
	DEMAND(extra <= left - BITMAP_HEAD && length <= left - BITMAP_HEAD - extra, place,
	       "a bitmap's entry ends outside of the directory");
	DEMAND(length > 0 && length <= NAME_MAX_BYTES, place, "a bitmap's name of %u bytes",
	       length);
	*out = (struct qcow2_bitmap){
		.name = {entry + BITMAP_HEAD + extra, length},
		.table_at = get_be(entry, 8),
		.n_entries = (uint32_t)get_be(entry + 8, 4),
		.flags = (uint32_t)get_be(entry + 12, 4),
		.type = entry[16],
		.granularity_bits = entry[17],
		.extra_bytes = extra,
		.at = place,
	};
	uint32_t whole = (BITMAP_HEAD + extra + length + 7) / 8 * 8;
	*at += whole < left ? whole : left;
	return 0;
}

int qcow2_bitmap_check(const struct qcow2_head *head, const struct qcow2_bitmap *bitmap,
		       struct error *err)
{
	uint64_t grain, n_bits, n_clusters, place = bitmap->at,
					    bits = qcow2_cluster(head) * UINT64_C(8);

	SUPPORTED((bitmap->flags & QCOW2_BITMAP_IN_USE) == 0, place,
		  "it is in use, or the program that used it last was killed: what was written "
		  "since is not in it");
	SUPPORTED((bitmap->flags & QCOW2_BITMAP_AUTO) != 0, place,
		  "it is disabled and does not record");
	SUPPORTED((bitmap->flags & ~7u) == 0 && bitmap->type == 1, place,
		  "it is of a kind that is not known");
	SUPPORTED(bitmap->extra_bytes == 0 || (bitmap->flags & QCOW2_BITMAP_EXTRA), place,
		  "it has data that is not known");
	DEMAND(bitmap->granularity_bits >= 9 && bitmap->granularity_bits <= 31, place,
	       "a granularity of 2^%u bytes", bitmap->granularity_bits);
	grain = UINT64_C(1) << bitmap->granularity_bits;
	n_bits = head->size_bytes / grain + (head->size_bytes % grain != 0);
	n_clusters = n_bits / bits + (n_bits % bits != 0);
	DEMAND(bitmap->n_entries == n_clusters, place, "it is of a drive of another size");
	DEMAND((uint64_t)bitmap->n_entries << head->cluster_bits <= QCOW2_BITS_MAX, place,
	       "it is too large");
	DEMAND(n_clusters == 0 || lies_in_file(head, bitmap->table_at, n_clusters * 8), place,
	       "its table lies outside of the file");
	return 0;
}

int qcow2_bits_parse(const struct qcow2_head *head, uint64_t place, const uint8_t entry[8],
		     uint64_t *at, bool *set, struct error *err)
{
	uint64_t value = get_be(entry, 8), found = value & OFFSET_MASK;

	DEMAND((value & ~(uint64_t)OFFSET_MASK & ~(uint64_t)ALL_SET) == 0 &&
		       (found == 0 || (value & ALL_SET) == 0),
	       place, "reserved bits in the table of a bitmap");
	DEMAND(found == 0 || lies_in_file(head, found, qcow2_cluster(head)), place,
	       "bits outside of the file");
	*at = found;
	*set = (value & ALL_SET) != 0;
	return 0;
}

static bool bit_of(const uint8_t *bytes, uint32_t bit)
{
	return bytes[bit / 8] >> bit % 8 & 1;
}

uint32_t qcow2_bits_run(const uint8_t *bytes, uint32_t bit, uint32_t n_bits, bool *set)
{
	bool first = bit_of(bytes, bit);
	uint32_t i = bit + 1, end = bit + n_bits;
	uint8_t like = first ? UINT8_MAX : 0;

	while (i < end) {
		if (i % 8 == 0 && end - i >= 8 && bytes[i / 8] == like)
			i += 8;
		else if (bit_of(bytes, i) == first)
			i++;
		else
			break;
	}
	*set = first;
	return i - bit;
}

/* ---- internal snapshots ---- */

#define SNAPSHOT_HEAD	   40u
#define SNAPSHOT_EXTRA_MAX 1024u

int qcow2_snapshot_parse(const struct qcow2_head *head, const uint8_t *table, uint32_t n,
			 uint32_t *at, struct qcow2_snapshot *out, struct error *err)
{
	uint64_t place = head->snapshots_at + *at;
	const uint8_t *entry = table + *at;
	uint32_t left = n - *at;

	DEMAND(*at <= n && left >= SNAPSHOT_HEAD, place, "the table of snapshots is too short");
	uint32_t n_id = (uint32_t)get_be(entry + 12, 2), n_name = (uint32_t)get_be(entry + 14, 2);
	uint32_t extra = (uint32_t)get_be(entry + 36, 4);
	DEMAND(extra <= SNAPSHOT_EXTRA_MAX, place, "%u bytes of extra data", extra);
	DEMAND(SNAPSHOT_HEAD + extra + n_id + n_name <= left, place,
	       "a snapshot's entry ends outside of the table");
	struct qcow2_snapshot snapshot = {
		.id = {entry + SNAPSHOT_HEAD + extra, n_id},
		.name = {entry + SNAPSHOT_HEAD + extra + n_id, n_name},
		.date_s = (uint32_t)get_be(entry + 16, 4),
		.date_ns = (uint32_t)get_be(entry + 20, 4),
		.clock_ns = get_be(entry + 24, 8),
		.size_bytes = extra >= 16 ? get_be(entry + SNAPSHOT_HEAD + 8, 8) : head->size_bytes,
		.l1 = {get_be(entry, 8), (uint32_t)get_be(entry + 8, 4)},
		.at = place,
	};
	DEMAND(snapshot.size_bytes <= INT64_MAX, place, "the size of a snapshot is too large");
	TRY(check_l1(head, &snapshot.l1, snapshot.size_bytes, place, err));
	uint32_t whole = (SNAPSHOT_HEAD + extra + n_id + n_name + 7) / 8 * 8;
	*at += whole < left ? whole : left;
	*out = snapshot;
	return 0;
}

/* ---- L1 and L2 ---- */

static uint32_t l2_entry_bytes(const struct qcow2_head *head)
{
	return head->extended_l2 ? 16 : 8;
}

uint32_t qcow2_l2_entries(const struct qcow2_head *head)
{
	return qcow2_cluster(head) / l2_entry_bytes(head);
}

int qcow2_l1_parse(const struct qcow2_head *head, uint64_t place, const uint8_t entry[8],
		   uint64_t *at, struct error *err)
{
	uint64_t value = get_be(entry, 8), found = value & OFFSET_MASK;

	DEMAND((value & ~(uint64_t)OFFSET_MASK & ~COPIED) == 0, place,
	       "reserved bits in an L1 table");
	DEMAND(found == 0 || lies_in_file(head, found, qcow2_cluster(head)), place,
	       "an L2 table outside of the file");
	*at = found;
	return 0;
}

bool qcow2_l2_differs(const struct qcow2_head *head, const uint8_t *a, const uint8_t *b, uint32_t i)
{
	static const uint8_t nothing[16];
	uint32_t n = l2_entry_bytes(head);
	const uint8_t *x = a == NULL ? nothing : a + i * n, *y = b == NULL ? nothing : b + i * n;

	return ((get_be(x, 8) ^ get_be(y, 8)) & ~COPIED) != 0 || memcmp(x + 8, y + 8, n - 8) != 0;
}
