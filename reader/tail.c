#include "format/bytes.h"
#include "reader/input/input.h"
#include "reader/reader.h"

#include <stdlib.h>

/* The position of the last sector that is not all zero: what follows is the padding of a record. */
static int find_last_sector(struct input *in, uint64_t head_size, uint64_t *position,
			    struct error *err)
{
	uint64_t size = input_size(in), end = size - size % SECTOR_SIZE;
	uint8_t sector[SECTOR_SIZE];
	while (end > head_size && size - end <= PADDING_SIZE_MAX) {
		end -= SECTOR_SIZE;
		TRY(input_seek(in, end, err));
		TRY(input_read(in, sector, sizeof sector, err));
		if (!all_zero(sector, sizeof sector)) {
			*position = end;
			return 0;
		}
	}
	return fail_at(err, ERR_INCOMPLETE, size, "incomplete: it has no tail");
}

int reader_find_tail(struct reader *reader, struct input *in, struct totals *out, struct error *err)
{
	const struct archive *archive = reader_archive(reader);
	uint8_t sector[SECTOR_SIZE];
	uint64_t position = 0;
	uint32_t header_size;
	if (archive->format != FORMAT_VMAB || input_size(in) == 0)
		return 0;
	TRY(find_last_sector(in, archive->head_size, &position, err));
	TRY(input_seek(in, position, err));
	TRY(input_read(in, sector, sizeof sector, err));
	struct section *tail = calloc(1, sizeof *tail);
	if (tail == NULL)
		return fail(err, ERR_SYSTEM, "no memory");
	if (section_measure(archive, sector, position, &header_size, err) != 0 ||
	    header_size != sizeof sector ||
	    section_parse(archive, sector, position, tail, err) != 0 ||
	    tail->kind != SECTION_TAIL || tail->totals.archive_size != position + SECTOR_SIZE) {
		free(tail);
		return fail_at(err, ERR_INCOMPLETE, input_size(in), "incomplete: it has no tail");
	}
	*out = tail->totals;
	free(tail);
	return 1;
}
