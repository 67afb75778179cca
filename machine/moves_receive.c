/*
 * From a stream into a machine, with answers or without.
 */
#include "base/io.h"
#include "machine/moves.h"
#include "machine/moves_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct receiving {
	struct move_reader reader;
	int answers; /* or -1 */
	uint64_t id; /* of the answers */
	struct move_machine *to;
	struct move_sink sink;
	struct move_counts *counts;
	struct received {
		struct outline outline;
		uint64_t n_chunks;
	} * drives; /* owned; by number */
	uint32_t n;
	uint8_t *buffer; /* owned */
};

/* ---- answers ---- */

static int answer(struct receiving *receiving, const struct mapstream_record *record,
		  const struct mapstream_run *runs, struct error *err)
{
	uint32_t n;
	int sys;

	if (receiving->answers < 0)
		return 0;
	n = mapstream_put(receiving->buffer, receiving->id, record, runs);
	sys = io_write(receiving->answers, receiving->buffer, n);
	return sys == 0 ? 0 : fail_system(err, sys, "answering");
}

static int answer_head(struct receiving *receiving, struct error *err)
{
	uint8_t head[MAPSTREAM_HEAD];
	int sys;

	if (receiving->answers < 0)
		return 0;
	if (getrandom(&receiving->id, sizeof(receiving->id), 0) != sizeof(receiving->id))
		return fail_system(err, errno, "random numbers");
	mapstream_put_head(head, receiving->id);
	sys = io_write(receiving->answers, head, sizeof(head));
	return sys == 0 ? 0 : fail_system(err, sys, "answering");
}

/* What is there of the drive, as far as an answer has room for it. */
static int answer_have(struct receiving *receiving, uint32_t number, struct error *err)
{
	struct mapstream_record record = {.kind = MAPSTREAM_HAVE, .drive = number};
	struct mapstream_run *runs;
	uint64_t n = 0;
	bool has;
	int code = 0;

	runs = calloc(MAPSTREAM_RUNS_MAX, sizeof(*runs));
	if (runs == NULL)
		return fail_memory(err);
	for (uint64_t chunk = 0; chunk < receiving->drives[number].n_chunks && code == 0 &&
				 record.n_runs < MAPSTREAM_RUNS_MAX;
	     chunk += n) {
		code = receiving->sink.has(receiving->to, number, chunk, &n, &has, err);
		if (code == 0 && has) {
			runs[record.n_runs++] = (struct mapstream_run){chunk, n};
			receiving->counts->n_kept += n;
		}
	}
	if (code == 0)
		code = answer(receiving, &record, runs, err);
	free(runs);
	return code;
}

/* ---- records ---- */

static int take_drive(struct receiving *receiving, const struct mapstream_record *record,
		      struct error *err)
{
	uint64_t n_clusters = clusters_of(record->outline.size_bytes);
	uint64_t per = (uint64_t)record->chunk_bytes * 8;

	struct received *more;

	TRY(receiving->sink.drive(receiving->to, record->drive, &record->outline,
				  record->chunk_bytes, err));
	more = realloc(receiving->drives, (receiving->n + (size_t)1) * sizeof(*more));
	if (more == NULL)
		return fail_memory(err);
	receiving->drives = more;
	more[receiving->n] = (struct received){.outline = record->outline,
					       .n_chunks = (n_clusters + per - 1) / per};
	receiving->counts->n_chunks += receiving->drives[receiving->n].n_chunks;
	receiving->n++;
	return receiving->answers < 0 ? 0 : answer_have(receiving, record->drive, err);
}

static int take_chunks(struct receiving *receiving, const struct mapstream_record *record,
		       struct error *err)
{
	struct mapstream_record told = {.kind = MAPSTREAM_TAKEN,
					.drive = record->drive,
					.chunk = record->chunk,
					.n = record->n};

	TRY(receiving->sink.chunks(receiving->to, record->drive, record->chunk, record->n,
				   record->bits, record->n_bytes, err));
	return answer(receiving, &told, NULL, err);
}

static int take_end(struct receiving *receiving, const struct mapstream_record *record,
		    struct error *err)
{
	struct outline outline = receiving->drives[record->drive].outline;
	struct mapstream_record told = {.kind = MAPSTREAM_RESULT, .drive = record->drive};
	const struct error *refused = &receiving->to->refused;
	bool was_refused = refused->code != 0;

	outline.still = record->outline.still;
	outline.last_ns = record->outline.last_ns;
	outline.n_changed = record->outline.n_changed;
	receiving->counts->n_changed += outline.n_changed;
	TRY(receiving->sink.end(receiving->to, record->drive, &outline, err));
	if (!was_refused && refused->code != 0) {
		told.code = refused->code;
		snprintf(told.text, sizeof(told.text), "%.399s", refused->text);
	}
	return answer(receiving, &told, NULL, err);
}

static int take_record(struct receiving *receiving, const struct mapstream_record *record,
		       struct error *err)
{
	if (record->kind == MAPSTREAM_DRIVE)
		return take_drive(receiving, record, err);
	if (record->kind == MAPSTREAM_DONE)
		return receiving->sink.done(receiving->to, record->drive, err);
	if (record->kind != MAPSTREAM_CHUNKS && record->kind != MAPSTREAM_END)
		return fail(err, ERR_DAMAGED, "holds an answer");
	if (record->drive >= receiving->n)
		return fail(err, ERR_DAMAGED, "a record is of a drive that it has not");
	return record->kind == MAPSTREAM_CHUNKS ? take_chunks(receiving, record, err)
						: take_end(receiving, record, err);
}

static int receive(struct receiving *receiving, struct error *err)
{
	struct mapstream_record record = {0};
	int got;

	receiving->buffer = malloc(MAPSTREAM_RECORD_MAX);
	receiving->drives =
		calloc(receiving->to->to.list->n_drives + 1, sizeof(*receiving->drives));
	if (receiving->buffer == NULL || receiving->drives == NULL)
		return fail_memory(err);
	TRY(answer_head(receiving, err));
	do {
		got = move_read(&receiving->reader, &record, err);
		if (got == 0)
			return fail(err, ERR_INCOMPLETE, "ends before its end");
		if (got < 0)
			return got;
		TRY(take_record(receiving, &record, err));
	} while (record.kind != MAPSTREAM_DONE);
	receiving->counts->n_parts = receiving->n;
	return 0;
}

int moves_receive(int fd, const char *name, int answers, struct move_machine *to,
		  struct move_counts *counts, struct error *err)
{
	struct receiving *receiving = calloc(1, sizeof(*receiving));
	int code;

	*counts = (struct move_counts){0};
	if (receiving == NULL)
		return fail_memory(err);
	receiving->reader.fd = fd;
	receiving->answers = answers;
	receiving->to = to;
	receiving->counts = counts;
	code = move_machine_sink(&receiving->sink, to, err);
	if (code == 0)
		code = receive(receiving, err);
	if (code == ERR_INCOMPLETE)
		error_append(err, "; what came is kept, and the checkpoint is incomplete until all "
				  "of it has come");
	if (code < 0 && (code == ERR_DAMAGED || code == ERR_INCOMPLETE || code == ERR_UNSUPPORTED))
		error_prefix(err, "%s", name);
	move_reader_free(&receiving->reader);
	free(receiving->buffer);
	free(receiving->drives);
	free(receiving);
	return code;
}
