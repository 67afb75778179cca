#include "tests/fuzz/memory_restore.h"
#include "reader/input/input.h"
#include "reader/reader.h"
#include "drive/target.h"
#include "tests/fuzz/fuzz.h"

#define DRIVES_TRIED 64u
#define BYTES_TRIED  ((uint64_t)1 << 36) /* a larger drive costs only memory for its map */

bool memory_is_small(const struct archive *archive)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < archive->n_drives && i < DRIVES_TRIED; i++) {
		if (archive->drives[i].size_bytes > BYTES_TRIED - sum)
			return false;
		sum += archive->drives[i].size_bytes;
	}
	return archive->n_drives <= DRIVES_TRIED;
}

static bool is_full(const struct archive *archive)
{
	for (uint32_t i = 0; i < UUID_SIZE; i++)
		if (archive->parent[i] != 0)
			return false;
	return true;
}

static int run(enum memory_command command, struct reader *reader, struct input *in,
	       struct error *err)
{
	const struct archive *archive = reader_archive(reader);
	struct target *targets[DRIVES_TRIED] = {0};
	bool restores = command >= MEMORY_RESTORE, some = command == MEMORY_RESTORE_SOME;
	struct reader_job job = {.n_threads = 1,
				 .scrub = command == MEMORY_VERIFY_QUICK,
				 .targets = restores ? targets : NULL,
				 .seek_in = some ? in : NULL};
	for (uint32_t i = 0; restores && i < archive->n_drives; i += some ? 2 : 1)
		target_open(&targets[i], "", archive->drives[i].size_bytes, NULL, err);
	int code = reader_run(reader, &job, err);
	for (uint32_t i = 0; i < DRIVES_TRIED; i++) {
		if (targets[i] != NULL && code == 0 && is_full(archive))
			target_finish(targets[i], err);
		target_close(targets[i]);
	}
	return code;
}

int memory_run(enum memory_command command, const uint8_t *bytes, size_t size, bool *tried,
	       struct error *err)
{
	struct input *in = NULL;
	struct reader *reader = NULL;
	struct totals totals;
	memory_input_use(bytes, size);
	input_open(&in, "", err);
	int code = reader_open(&reader, in, err);
	*tried = code != 0 || memory_is_small(reader_archive(reader));
	if (code == 0 && command == MEMORY_LIST)
		code = reader_find_tail(reader, in, &totals, err) < 0 ? err->code : 0;
	else if (code == 0 && *tried)
		code = run(command, reader, in, err);
	reader_free(reader);
	MUST(code == 0 || err->text[0] != '\0');
	return code;
}
