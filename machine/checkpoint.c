#include "machine/checkpoint.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

void checkpoint_list_free(struct checkpoint_list *list)
{
	for (uint32_t i = 0; i < list->n_drives; i++)
		free(list->drives[i].lines);
	free(list->drives);
	*list = (struct checkpoint_list){0};
}

void checkpoint_sort(struct checkpoint_drive *drive)
{
	for (uint32_t i = 1; i < drive->n_lines; i++) {
		struct checkpoint_line line = drive->lines[i];
		uint32_t to = i;

		for (; to > 0 && drive->lines[to - 1].it.instant_ns > line.it.instant_ns; to--)
			drive->lines[to] = drive->lines[to - 1];
		drive->lines[to] = line;
	}
}

const struct checkpoint_line *checkpoint_of(const struct checkpoint_drive *drive, const char *name)
{
	for (uint32_t i = 0; i < drive->n_lines; i++) {
		if (strcmp(drive->lines[i].it.name, name) == 0)
			return &drive->lines[i];
	}
	return NULL;
}

bool checkpoint_is_of_backup(const struct checkpoint_line *line)
{
	return !all_zero(line->it.uuid, UUID_SIZE);
}

const struct checkpoint_line *checkpoint_latest(const struct checkpoint_list *list, bool of_backup)
{
	const struct checkpoint_line *latest = NULL;

	for (uint32_t i = 0; i < list->n_drives; i++) {
		const struct checkpoint_drive *drive = &list->drives[i];

		for (uint32_t j = 0; j < drive->n_lines; j++) {
			const struct checkpoint_line *line = &drive->lines[j];

			if (line->it.good && (!of_backup || checkpoint_is_of_backup(line)) &&
			    (latest == NULL || line->it.instant_ns >= latest->it.instant_ns))
				latest = line;
		}
	}
	return latest;
}

bool checkpoint_estimate(const struct checkpoint_list *list, uint64_t changed_bytes, uint64_t *out)
{
	const struct checkpoint *latest = NULL;

	for (uint32_t i = 0; i < list->n_drives; i++) {
		const struct checkpoint_drive *drive = &list->drives[i];

		for (uint32_t j = 0; j < drive->n_lines; j++) {
			const struct checkpoint *it = &drive->lines[j].it;

			/* One without data tells the size of a head. */
			if (it->good && it->raw_bytes > 0 && it->written_bytes > 0 &&
			    (latest == NULL || it->instant_ns > latest->instant_ns))
				latest = it;
		}
	}
	if (latest == NULL)
		return false;
	*out = (uint64_t)((double)changed_bytes * (double)latest->written_bytes /
			  (double)latest->raw_bytes);
	return true;
}
