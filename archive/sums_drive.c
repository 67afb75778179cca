#include "archive/sums_drive.h"

#include "base/bytes.h"
#include "base/watcher.h"
#include "cow/sweep.h"
#include "drive/drive.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW 64u /* clusters */

struct reading {
	struct sums_writer *writer;
	struct sweep *sweep;
	uint8_t *bytes; /* owned; WINDOW clusters */
	_Atomic uint64_t done_bytes;
};

/* A head of which nobody sees more than the drive. */
static int create(struct reading *reading, const char *folder, const char *name,
		  const struct drive *drive, struct error *err)
{
	struct archive *archive = calloc(1, sizeof(*archive));
	int code;

	if (archive == NULL)
		return fail_memory(err);
	archive->format = FORMAT_VMAB;
	archive->cluster_checksum = CLUSTER_XXH3_128;
	archive->uuid[0] = 1; /* none may be all zero */
	archive->n_drives = 1;
	archive->drives[0].size_bytes = drive_size(drive);
	archive->drives[0].name = (struct text){(const uint8_t *)name, (uint32_t)strlen(name)};
	code = sums_create_unnamed(&reading->writer, folder, archive, err);
	free(archive);
	return code;
}

static int put_run(struct reading *reading, const struct sweep_run *run, const uint8_t *bytes,
		   struct error *err)
{
	uint8_t sum[CHECKSUM_SIZE];

	for (uint64_t i = 0; i < run->n_clusters; i++, bytes += CLUSTER_SIZE) {
		if (all_zero(bytes, CLUSTER_SIZE))
			continue;
		checksum_cluster(CLUSTER_XXH3_128, bytes, sum);
		TRY(sums_put_run(reading->writer, 0, run->cluster + i, sum, 1, err));
	}
	return 0;
}

static int read_all(struct reading *reading, struct error *err)
{
	struct sweep_piece piece;
	int got;

	while ((got = sweep_next(reading->sweep, &piece, err)) > 0) {
		const uint8_t *bytes = reading->bytes;

		TRY(sweep_read(reading->sweep, &piece, reading->bytes, err));
		for (uint32_t i = 0; i < piece.n_runs; i++) {
			if (piece.runs[i].zero)
				continue;
			TRY(put_run(reading, &piece.runs[i], bytes, err));
			bytes += piece.runs[i].n_clusters * CLUSTER_SIZE;
		}
		reading->done_bytes += (uint64_t)piece.n_data * CLUSTER_SIZE;
	}
	return got;
}

int sums_of_drive(struct sums_writer **out, const char *folder, const char *name,
		  struct drive *drive, const struct watcher *watcher, struct error *err)
{
	struct reading reading = {.bytes = aligned_alloc(BLOCK_SIZE, WINDOW * CLUSTER_SIZE)};
	const struct progress_view view = {
		.label = name,
		.done_bytes = &reading.done_bytes,
		.of_drives = true,
	};
	int code = reading.bytes == NULL ? fail_memory(err)
					 : create(&reading, folder, name, drive, err);

	if (code == 0)
		code = sweep_new(&reading.sweep, &drive, 1, WINDOW, err);
	if (code == 0) {
		watcher_begin(watcher, &view);
		code = read_all(&reading, err);
		watcher_end(watcher, code == 0);
	}
	if (code == 0 && drive_was_changed(drive))
		code = fail(err, ERR_SYSTEM, "was written to while it was read");
	if (code == 0)
		code = sums_finish(reading.writer, false, err);
	sweep_free(reading.sweep);
	free(reading.bytes);
	*out = reading.writer;
	return code;
}
