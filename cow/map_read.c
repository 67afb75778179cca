#include "cow/map_parts.h"

#include "base/bytes.h"
#include "base/io.h"

#include <sys/stat.h>

static bool read_pages(int fd, const struct map_memory *memory, uint64_t offset, uint64_t n)
{
	return io_pread(fd, memory->bytes + offset, n, offset, NULL) == 0;
}

static uint64_t mark_at(const struct map_memory *memory, uint64_t offset)
{
	return get_le(memory->bytes + offset, 2);
}

/* The clusters of a group; no mark may be above the group's. */
static bool read_group(int fd, const struct map_memory *memory, uint64_t group, uint64_t *sum)
{
	uint64_t at = (1 + memory->n_group_pages + group) * MAP_PAGE;
	uint64_t most = mark_at(memory, MAP_PAGE + 2 * group);
	bool right = read_pages(fd, memory, at, MAP_PAGE);

	for (unsigned i = 0; right && i < MAP_GROUP_CLUSTERS; i++) {
		*sum += mark_at(memory, at + 2 * i);
		right = mark_at(memory, at + 2 * i) <= most;
	}
	return right;
}

static bool read_marks(int fd, const struct map_memory *memory, uint16_t current, uint64_t *sum)
{
	bool right = read_pages(fd, memory, 0, (1 + memory->n_group_pages) * MAP_PAGE);

	for (uint64_t group = 0; right && group < memory->n_groups; group++) {
		uint64_t mark = mark_at(memory, MAP_PAGE + 2 * group);
		right = mark <= current && (mark == 0 || read_group(fd, memory, group, sum));
	}
	return right && (*sum == get_le(memory->bytes + MAP_SUM_AT, 8) ||
			 *sum == get_le(memory->bytes + MAP_SUM_AT + 8, 8));
}

/* Pages that hold lines take memory, the others do not. */
static bool read_table(int fd, const struct map_memory *memory, uint64_t at)
{
	uint64_t n;

	if (!read_pages(fd, memory, at, MAP_PAGE))
		return false;
	n = MAP_TABLE_HEAD + MAP_TABLE_LINE * get_le(memory->bytes + at + MAP_TABLE_N_AT, 4);
	return n <= MAP_PAGE || n > MAP_TABLE_SIZE || read_pages(fd, memory, at, n);
}

bool map_read(int fd, const struct map_memory *memory, const struct map_header *header,
	      uint64_t *sum)
{
	bool has_tables = header->version > 1, right;
	struct stat found;

	*sum = 0;
	right = fstat(fd, &found) == 0 &&
		((uint64_t)found.st_size == memory->size_bytes ||
		 (!has_tables && (uint64_t)found.st_size == memory->tables_at)) &&
		read_marks(fd, memory, header->current, sum);
	for (unsigned i = 0; right && has_tables && i < MAP_TABLES; i++)
		right = read_table(fd, memory, memory->tables_at + i * MAP_TABLE_SIZE);
	return right;
}
