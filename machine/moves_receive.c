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

#define GATHER_BYTES 65536u /* of bits, given on at once */
#define GATHER_MAX   (GATHER_BYTES / ARRIVAL_CHUNK_MIN)
#define TAKEN_BYTES  (MAPSTREAM_HEAD + 16u) /* an answer to a record of chunks */

/* Records of chunks, one after the other, whose bits are given on together. */
struct gathered {
	uint32_t drive, n_bytes;
	uint32_t n; /* records, of a chunk each; 0: none */
	uint64_t chunk;
	uint8_t bits[GATHER_BYTES];
	uint8_t answers[GATHER_MAX * TAKEN_BYTES];
};

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
		uint32_t chunk_bytes;
	} * drives; /* owned; by number */
	uint32_t n;
	uint8_t *buffer; /* owned */
	struct gathered gathered;
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
					       .n_chunks = (n_clusters + per - 1) / per,
					       .chunk_bytes = record->chunk_bytes};
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

/* Each record has its own answer. */
static int answer_gathered(struct receiving *receiving, struct error *err)
{
	struct gathered *gathered = &receiving->gathered;
	uint32_t n_bytes = 0;
	int sys;

	if (receiving->answers < 0)
		return 0;
	for (uint32_t i = 0; i < gathered->n; i++) {
		const struct mapstream_record told = {.kind = MAPSTREAM_TAKEN,
						      .drive = gathered->drive,
						      .chunk = gathered->chunk + i,
						      .n = 1};
		n_bytes += mapstream_put(gathered->answers + n_bytes, receiving->id, &told, NULL);
	}
	sys = io_write(receiving->answers, gathered->answers, n_bytes);
	return sys == 0 ? 0 : fail_system(err, sys, "answering");
}

static int give_on(struct receiving *receiving, struct error *err)
{
	struct gathered *gathered = &receiving->gathered;

	if (gathered->n == 0)
		return 0;
	TRY(receiving->sink.chunks(receiving->to, gathered->drive, gathered->chunk, gathered->n,
				   gathered->bits, gathered->n_bytes, err));
	TRY(answer_gathered(receiving, err));
	gathered->n = 0;
	return 0;
}

/* A chunk that is whole: the one after it can stand behind it. */
static bool goes_on(const struct receiving *receiving, const struct mapstream_record *record)
{
	const struct gathered *gathered = &receiving->gathered;

	return gathered->n > 0 && record->drive == gathered->drive &&
	       record->chunk == gathered->chunk + gathered->n &&
	       gathered->n_bytes == gathered->n * receiving->drives[record->drive].chunk_bytes &&
	       record->n_bytes <= GATHER_BYTES - gathered->n_bytes;
}

static int gather(struct receiving *receiving, const struct mapstream_record *record,
		  struct error *err)
{
	struct gathered *gathered = &receiving->gathered;

	if (!goes_on(receiving, record)) {
		TRY(give_on(receiving, err));
		gathered->drive = record->drive;
		gathered->chunk = record->chunk;
		gathered->n_bytes = 0;
	}
	memcpy(gathered->bits + gathered->n_bytes, record->bits, record->n_bytes);
	gathered->n_bytes += record->n_bytes;
	gathered->n++;
	return 0;
}

static bool is_gathered(const struct receiving *receiving, const struct mapstream_record *record)
{
	return record->kind == MAPSTREAM_CHUNKS && record->bits != NULL && record->n == 1 &&
	       record->drive < receiving->n && record->n_bytes <= GATHER_BYTES;
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

/* What came before counts. */
static int give_on_and_fail(struct receiving *receiving, int got, struct error *err)
{
	struct error other = {0};

	if (give_on(receiving, &other) < 0 && got == 0) {
		*err = other;
		return err->code;
	}
	return got < 0 ? got : fail(err, ERR_INCOMPLETE, "ends before its end");
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
		if (got <= 0)
			return give_on_and_fail(receiving, got, err);
		if (is_gathered(receiving, &record)) {
			TRY(gather(receiving, &record, err));
		} else {
			TRY(give_on(receiving, err));
			TRY(take_record(receiving, &record, err));
		}
		/* The other side may wait for the answers. */
		if (!move_is_ready(&receiving->reader))
			TRY(give_on(receiving, err));
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
