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

/* The machine went down: what is hot, and what the header knows nothing of yet. */
static void recover_group(const struct map_memory *memory, const struct map_header *header,
			  uint64_t group)
{
	uint64_t at = (1 + memory->n_group_pages + group) * MAP_PAGE;
	uint64_t n = MAP_GROUP_CLUSTERS / MAP_REGION_CLUSTERS, region = group * n;
	uint8_t *of_group = memory->bytes + MAP_PAGE + 2 * group;

	for (unsigned i = 0; i < MAP_GROUP_CLUSTERS; i++) {
		uint8_t *mark = memory->bytes + at + 2 * i;
		if (get_le(mark, 2) > header->current)
			put_le(mark, 2, header->current);
	}
	if (get_le(of_group, 2) > header->current)
		put_le(of_group, 2, header->current);
	for (uint64_t i = region; i < region + n && i < memory->n_regions; i++) {
		if (!map_log_says_hot(memory->bytes + memory->log_at, header->id, i))
			continue;
		put_le(of_group, 2, header->current);
		for (unsigned k = 0; k < MAP_REGION_CLUSTERS; k++)
			put_le(memory->bytes + at + 2 * ((i - region) * MAP_REGION_CLUSTERS + k), 2,
			       header->current);
	}
}

static bool is_group_hot(const struct map_memory *memory, uint64_t id, uint64_t group)
{
	uint64_t n = MAP_GROUP_CLUSTERS / MAP_REGION_CLUSTERS, region = group * n;
	bool hot = false;

	for (uint64_t i = region; i < region + n && i < memory->n_regions; i++)
		hot |= map_log_says_hot(memory->bytes + memory->log_at, id, i);
	return hot;
}

static bool recover_marks(int fd, const struct map_memory *memory, const struct map_header *header)
{
	bool right = read_pages(fd, memory, 0, (1 + memory->n_group_pages) * MAP_PAGE);

	for (uint64_t group = 0; right && group < memory->n_groups; group++) {
		uint64_t at = (1 + memory->n_group_pages + group) * MAP_PAGE;
		if (mark_at(memory, MAP_PAGE + 2 * group) == 0 &&
		    !is_group_hot(memory, header->id, group))
			continue;
		right = read_pages(fd, memory, at, MAP_PAGE);
		if (right)
			recover_group(memory, header, group);
	}
	return right;
}

/* As read_group and read_marks, of what is in memory. */
static bool check_marks(const struct map_memory *memory, uint64_t *sum)
{
	bool right = true;

	for (uint64_t group = 0; right && group < memory->n_groups; group++) {
		uint64_t at = (1 + memory->n_group_pages + group) * MAP_PAGE;
		uint64_t most = mark_at(memory, MAP_PAGE + 2 * group);
		for (unsigned i = 0; most > 0 && right && i < MAP_GROUP_CLUSTERS; i++) {
			*sum += mark_at(memory, at + 2 * i);
			right = mark_at(memory, at + 2 * i) <= most;
		}
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

/* That of its version, or of a later one that it was about to become. */
static bool is_right_size(const struct map_memory *memory, uint32_t version, uint64_t size)
{
	return size == memory->size_bytes || (version < 4 && size == memory->log_at) ||
	       (version < 2 && size == memory->tables_at);
}

bool map_read(int fd, const struct map_memory *memory, const struct map_header *header,
	      bool recover, uint64_t *sum)
{
	bool has_tables = header->version > 1, right;
	struct stat found;

	*sum = 0;
	right = fstat(fd, &found) == 0 &&
		is_right_size(memory, header->version, (uint64_t)found.st_size) &&
		(recover ? recover_marks(fd, memory, header) && check_marks(memory, sum)
			 : read_marks(fd, memory, header->current, sum));
	for (unsigned i = 0; right && has_tables && i < MAP_TABLES; i++)
		right = read_table(fd, memory, memory->tables_at + i * MAP_TABLE_SIZE);
	return right;
}
