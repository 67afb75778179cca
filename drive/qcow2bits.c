#include "drive/qcow2bits.h"

#include <stdlib.h>

#define ENTRIES 8192u /* of a table, read in one go */
#define ENTRY	8u

struct bit_reader {
	const struct qcow2_file *file;
	int (*one)(void *context, uint64_t from, uint64_t to, struct error *err);
	void *context;
	uint64_t grain, n_bits;
	uint8_t *table; /* owned */
	uint8_t *bits;	/* owned: a cluster of them */
};

/* The bits that begin with this one, of which n are in memory. */
static int tell_bits(struct bit_reader *reader, uint64_t first, uint32_t n, struct error *err)
{
	uint32_t length;
	bool set;

	for (uint32_t at = 0; at < n; at += length) {
		length = qcow2_bits_run(reader->bits, at, n - at, &set);
		if (set)
			TRY(reader->one(reader->context, (first + at) * reader->grain,
					(first + at + length) * reader->grain, err));
	}
	return 0;
}

static int tell_entry(struct bit_reader *reader, uint64_t number, const uint8_t *entry,
		      uint64_t place, struct error *err)
{
	const struct qcow2_file *file = reader->file;
	uint32_t per_entry = qcow2_cluster(&file->head) * 8;
	uint64_t first = number * per_entry, n = least(per_entry, reader->n_bits - first), at;
	bool set;

	if (qcow2_bits_parse(&file->head, place, entry, &at, &set, err) != 0)
		return qcow2_file_fault(file, err);
	if (at == 0)
		return set ? reader->one(reader->context, first * reader->grain,
					 (first + n) * reader->grain, err)
			   : 0;
	TRY(qcow2_file_read(file, at, reader->bits, (size_t)(n + 7) / 8, err));
	return tell_bits(reader, first, (uint32_t)n, err);
}

static int read_bits(struct bit_reader *reader, const struct qcow2_bitmap *bitmap,
		     struct error *err)
{
	const struct qcow2_file *file = reader->file;

	reader->table = malloc(ENTRIES * ENTRY);
	reader->bits = malloc(qcow2_cluster(&file->head));
	if (reader->table == NULL || reader->bits == NULL)
		return fail_memory(err);
	for (uint64_t i = 0; i < bitmap->n_entries; i++) {
		uint64_t in_table = i % ENTRIES, place = bitmap->table_at + i * ENTRY;
		size_t left = (size_t)least(ENTRIES, bitmap->n_entries - i);

		if (in_table == 0)
			TRY(qcow2_file_read(file, place, reader->table, left * ENTRY, err));
		TRY(tell_entry(reader, i, reader->table + in_table * ENTRY, place, err));
	}
	return 0;
}

int qcow2_file_bits(const struct qcow2_file *file, const struct qcow2_bitmap *bitmap,
		    int (*one)(void *context, uint64_t from, uint64_t to, struct error *err),
		    void *context, struct error *err)
{
	struct bit_reader reader = {.file = file, .one = one, .context = context};
	int code;

	if (qcow2_bitmap_check(&file->head, bitmap, err) != 0)
		return qcow2_file_fault(file, err);
	reader.grain = UINT64_C(1) << bitmap->granularity_bits;
	reader.n_bits =
		file->head.size_bytes / reader.grain + (file->head.size_bytes % reader.grain != 0);
	code = read_bits(&reader, bitmap, err);
	free(reader.table);
	free(reader.bits);
	return code;
}
