#include "format/qcow2_build.h"

#include "base/bytes.h"
#include "format/qcow2.h"

#define CLUSTER	      QCOW2_BUILD_CLUSTER
#define L2_ENTRIES    (CLUSTER / 8)
#define PART_BYTES    ((uint64_t)CLUSTER * 8 * CLUSTER) /* of the drive, of a cluster of bits */
#define HEADER_LENGTH 104u
#define EXTENSION     0x23852875u
#define ENTRY_LENGTH  24u

/* Clusters of the file. */
enum place { AT_REFCOUNTS = 1, AT_REFCOUNT_BLOCK, AT_DIRECTORY, AT_TABLE, AT_L1 };

static uint32_t l1_clusters(const struct qcow2_build *plan)
{
	return (plan->l1_entries * 8 + CLUSTER - 1) / CLUSTER;
}

/* Above the limit its bits would need more than one table and refcount block. */
int qcow2_build_plan(struct qcow2_build *out, uint64_t size_bytes, struct error *err)
{
	if (size_bytes == 0 || size_bytes > QCOW2_BITS_MAX / CLUSTER * PART_BYTES)
		return fail(err, ERR_UNSUPPORTED, "a drive of %llu bytes can have no bitmap",
			    (unsigned long long)size_bytes);
	*out = (struct qcow2_build){
		.size_bytes = size_bytes,
		.l1_entries = (uint32_t)((size_bytes - 1) / ((uint64_t)CLUSTER * L2_ENTRIES) + 1),
		.n_parts = (uint32_t)((size_bytes - 1) / PART_BYTES + 1),
	};
	out->first_stored = AT_L1 + l1_clusters(out);
	return 0;
}

/* Version 3, with 16 bits a refcount. */
static void put_header(const struct qcow2_build *plan, uint8_t *out)
{
	memcpy(out, "QFI\xfb", 4);
	put_be(out + 4, 4, 3);
	put_be(out + 20, 4, QCOW2_BUILD_BITS);
	put_be(out + 24, 8, plan->size_bytes);
	put_be(out + 36, 4, plan->l1_entries);
	put_be(out + 40, 8, (uint64_t)AT_L1 * CLUSTER);
	put_be(out + 48, 8, (uint64_t)AT_REFCOUNTS * CLUSTER);
	put_be(out + 56, 4, 1); /* clusters of the refcount table */
	put_be(out + 88, 8, 1); /* autoclear: the bitmaps count */
	put_be(out + 96, 4, 4); /* a refcount has 2^4 bits */
	put_be(out + 100, 4, HEADER_LENGTH);
	out += HEADER_LENGTH;
	put_be(out, 4, EXTENSION);
	put_be(out + 4, 4, 24);
	put_be(out + 8, 4, 1);		       /* bitmaps */
	put_be(out + 16, 8, ENTRY_LENGTH + 8); /* the directory, with the name padded to 8 */
	put_be(out + 24, 8, (uint64_t)AT_DIRECTORY * CLUSTER);
}

static void put_entry(const struct qcow2_build *plan, uint8_t *out)
{
	static_assert(sizeof(QCOW2_BUILD_NAME) - 1 <= 8, "see put_header");

	put_be(out, 8, (uint64_t)AT_TABLE * CLUSTER);
	put_be(out + 8, 4, plan->n_parts);
	put_be(out + 12, 4, QCOW2_BITMAP_AUTO);
	out[16] = 1; /* the one type there is */
	out[17] = QCOW2_BUILD_BITS;
	put_be(out + 18, 2, sizeof(QCOW2_BUILD_NAME) - 1);
	memcpy(out + ENTRY_LENGTH, QCOW2_BUILD_NAME, sizeof(QCOW2_BUILD_NAME) - 1);
}

void qcow2_build(struct qcow2_build *plan, const bool *stored, uint8_t *out)
{
	uint8_t *table = out + (size_t)AT_TABLE * CLUSTER;

	memset(out, 0, (size_t)QCOW2_BUILD_PLACE * CLUSTER);
	put_header(plan, out);
	put_entry(plan, out + (size_t)AT_DIRECTORY * CLUSTER);
	plan->n_stored = 0;
	for (uint32_t i = 0; i < plan->n_parts; i++) {
		if (stored[i])
			put_be(table + (size_t)i * 8, 8, qcow2_build_part(plan, plan->n_stored++));
	}
	put_be(out + (size_t)AT_REFCOUNTS * CLUSTER, 8, (uint64_t)AT_REFCOUNT_BLOCK * CLUSTER);
	for (uint32_t i = 0; i < plan->first_stored + plan->n_stored; i++)
		put_be(out + (size_t)AT_REFCOUNT_BLOCK * CLUSTER + (size_t)i * 2, 2, 1);
}

uint64_t qcow2_build_part(const struct qcow2_build *plan, uint32_t n)
{
	return (uint64_t)(plan->first_stored + n) * CLUSTER;
}

uint64_t qcow2_build_file_bytes(const struct qcow2_build *plan)
{
	return qcow2_build_part(plan, plan->n_stored);
}
