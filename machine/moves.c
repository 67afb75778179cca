#include "machine/moves.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES   65536u /* of bits, at once */
#define MOVE_PARTS_MAX 65536u
#define NAMES_TOLD     4u

/* ---- from a machine ---- */

struct sending {
	const struct move_end *from;
	struct move_sink *sink;
	const char *name;
	uint32_t i, number;
	uint32_t chunk_bytes;
	uint64_t n_clusters, n_chunks;
	struct move_counts *counts;
	uint8_t bits[WINDOW_BYTES];
};

static uint64_t bytes_of(const struct sending *sending, uint64_t chunk, uint64_t n)
{
	uint64_t per = (uint64_t)sending->chunk_bytes * 8, first = chunk * per;

	return (least(n * per, sending->n_clusters - first) + 7) / 8;
}

/* Chunks of one kind from the k-th of the window on: all without a bit, or all with some. */
static uint64_t alike(const struct sending *sending, uint64_t chunk, uint64_t k, uint64_t n,
		      bool *zero)
{
	uint64_t size = sending->chunk_bytes, at = k;

	*zero = all_zero(sending->bits + k * size, bytes_of(sending, chunk + k, 1));
	while (++at < n)
		if (all_zero(sending->bits + at * size, bytes_of(sending, chunk + at, 1)) != *zero)
			break;
	return at - k;
}

static int send_window(struct sending *sending, uint64_t chunk, uint64_t n, struct error *err)
{
	struct move_sink *sink = sending->sink;
	uint64_t per = (uint64_t)sending->chunk_bytes * 8, first = chunk * per, n_same;
	bool any = false, zero;

	TRY(sending->from->kind->moves->bits(sending->from->source, sending->i, sending->name,
					     first, least(n * per, sending->n_clusters - first),
					     sending->bits, &any, err));
	if (!any)
		return sink->chunks(sink->context, sending->number, chunk, n, NULL, 0, err);
	for (uint64_t k = 0; k < n; k += n_same) {
		n_same = alike(sending, chunk, k, n, &zero);
		TRY(sink->chunks(sink->context, sending->number, chunk + k, n_same,
				 zero ? NULL : sending->bits + k * sending->chunk_bytes,
				 zero ? 0 : (uint32_t)bytes_of(sending, chunk + k, n_same), err));
	}
	return 0;
}

static int send_chunks(struct sending *sending, struct error *err)
{
	struct move_sink *sink = sending->sink;
	uint64_t window = WINDOW_BYTES / sending->chunk_bytes, n;
	bool has;

	for (uint64_t chunk = 0; chunk < sending->n_chunks; chunk += n) {
		TRY(sink->has(sink->context, sending->number, chunk, &n, &has, err));
		n = least(n, sending->n_chunks - chunk);
		if (has)
			sending->counts->n_kept += n;
		else
			n = least(n, window);
		if (!has)
			TRY(send_window(sending, chunk, n, err));
	}
	sending->counts->n_chunks += sending->n_chunks;
	return 0;
}

static int send_drive(struct sending *sending, struct outline *outline, struct error *err)
{
	struct move_sink *sink = sending->sink;
	uint64_t per = (uint64_t)sending->chunk_bytes * 8;
	int there;

	sending->n_clusters = clusters_of(outline->size_bytes);
	sending->n_chunks = (sending->n_clusters + per - 1) / per;
	TRY(sink->drive(sink->context, sending->number, outline, sending->chunk_bytes, err));
	TRY(send_chunks(sending, err));
	there = sending->from->kind->moves->outline(sending->from->source, sending->i,
						    sending->name, outline, err);
	if (there <= 0)
		return there < 0 ? there
				 : fail(err, ERR_USAGE, "checkpoint %s: was deleted meanwhile",
					sending->name);
	sending->counts->n_changed += outline->n_changed;
	return sink->end(sink->context, sending->number, outline, err);
}

/* The checkpoint of all drives that have it. */
static int send_named(struct sending *sending, const char *name, struct error *err)
{
	const struct move_end *from = sending->from;
	uint32_t before = sending->number;
	int there;

	sending->name = name;
	for (sending->i = 0; sending->i < from->list->n_drives; sending->i++) {
		struct outline outline = {0};

		there = from->kind->moves->outline(from->source, sending->i, name, &outline, err);
		if (there < 0)
			return there;
		if (there == 0)
			continue;
		TRY(send_drive(sending, &outline, err));
		sending->number++;
	}
	return sending->number > before
		       ? 0
		       : fail(err, ERR_USAGE, "checkpoint %.127s: there is none of that name",
			      name);
}

/* One is told where the first drive has it. */
static bool is_sent(const struct checkpoint_list *list, uint32_t drive, const char *name)
{
	for (uint32_t i = 0; i < drive; i++) {
		if (checkpoint_of(&list->drives[i], name) != NULL)
			return true;
	}
	return false;
}

static int send_all(struct sending *sending, struct error *err)
{
	const struct checkpoint_list *list = sending->from->list;

	for (uint32_t i = 0; i < list->n_drives; i++) {
		for (uint32_t k = list->drives[i].n_lines; k-- > 0;) {
			const struct checkpoint *line = &list->drives[i].lines[k].it;

			if (line->good && !is_sent(list, i, line->name))
				TRY(send_named(sending, line->name, err));
		}
	}
	return sending->number > 0 ? 0 : fail(err, ERR_USAGE, "there is no checkpoint yet");
}

static int send_and_end(struct sending *sending, const char *name, struct error *err)
{
	if (name != NULL)
		TRY(send_named(sending, name, err));
	else
		TRY(send_all(sending, err));
	sending->counts->n_parts = sending->number;
	return sending->sink->done(sending->sink->context, sending->number, err);
}

int moves_send(const struct move_end *from, const char *name, uint32_t chunk_bytes,
	       struct move_sink *sink, struct move_counts *counts, struct error *err)
{
	struct sending *sending;
	int code;

	*counts = (struct move_counts){0};
	if (from->kind->moves == NULL)
		return fail(err, ERR_USAGE, "the checkpoints of this kind of machine stay there");
	sending = calloc(1, sizeof(*sending));
	if (sending == NULL)
		return fail_memory(err);
	sending->from = from;
	sending->sink = sink;
	sending->chunk_bytes = chunk_bytes;
	sending->counts = counts;
	code = send_and_end(sending, name, err);
	free(sending);
	return code;
}

/* ---- into a machine ---- */

static int find_drive(const struct move_machine *machine, const char *name, uint64_t size_bytes,
		      uint32_t *out, struct error *err)
{
	const struct checkpoint_list *list = machine->to.list;
	uint32_t i = 0;

	while (i < list->n_drives && strcmp(list->drives[i].name, name) != 0)
		i++;
	if (i == list->n_drives) {
		fail(err, ERR_USAGE, "drive %s: there is none of that name where it goes", name);
		for (uint32_t k = 0; k < list->n_drives && k < NAMES_TOLD; k++)
			error_append(err, "%s%.60s", k == 0 ? ", but " : ", ",
				     list->drives[k].name);
		if (machine->is_stored)
			error_append(err, "; if it is of a map's file, export that as NAME=FILE");
		return err->code;
	}
	if (list->drives[i].size_bytes != size_bytes)
		return fail(err, ERR_USAGE, "drive %s: has %llu bytes, and %llu where it goes",
			    name, (unsigned long long)size_bytes,
			    (unsigned long long)list->drives[i].size_bytes);
	*out = i;
	return 0;
}

static int begin_drive(void *context, uint32_t number, const struct outline *outline,
		       uint32_t chunk_bytes, struct error *err)
{
	struct move_machine *machine = context;
	const struct move_end *to = &machine->to;
	uint32_t i = 0, *more;

	TRY(find_drive(machine, outline->drive, outline->size_bytes, &i, err));
	if (number != machine->n || number >= MOVE_PARTS_MAX)
		return fail(err, ERR_DAMAGED, "drive %s: has a number out of order",
			    outline->drive);
	more = realloc(machine->drive_of, (number + (size_t)1) * sizeof(*more));
	if (more == NULL)
		return fail_memory(err);
	machine->drive_of = more;
	for (uint32_t k = 0; k < number; k++) {
		if (more[k] == i)
			more[k] = UINT32_MAX;
	}
	TRY(to->kind->moves->begin(to->source, i, outline, chunk_bytes, err));
	more[machine->n++] = i;
	return 0;
}

static int drive_of(const struct move_machine *machine, uint32_t number, uint32_t *out,
		    struct error *err)
{
	if (number >= machine->n || machine->drive_of[number] == UINT32_MAX)
		return fail(err, ERR_DAMAGED, "a record is of a drive that it has not, or no more");
	*out = machine->drive_of[number];
	return 0;
}

static int ask_has(void *context, uint32_t number, uint64_t chunk, uint64_t *n, bool *has,
		   struct error *err)
{
	struct move_machine *machine = context;
	uint32_t i = 0;

	TRY(drive_of(machine, number, &i, err));
	return machine->to.kind->moves->has(machine->to.source, i, chunk, n, has, err);
}

static int take_chunks(void *context, uint32_t number, uint64_t chunk, uint64_t n,
		       const uint8_t *bits, uint32_t n_bytes, struct error *err)
{
	struct move_machine *machine = context;
	uint32_t i = 0;

	TRY(drive_of(machine, number, &i, err));
	return machine->to.kind->moves->take(machine->to.source, i, chunk, n, bits, n_bytes, err);
}

/* A checkpoint that stays incomplete is no reason to leave out others. */
static int end_drive(void *context, uint32_t number, const struct outline *outline,
		     struct error *err)
{
	struct move_machine *machine = context;
	struct error refused = {0};
	uint32_t i = 0;

	TRY(drive_of(machine, number, &i, err));
	if (machine->to.kind->moves->end(machine->to.source, i, outline, machine->trust, &refused) <
		    0 &&
	    machine->refused.code == 0)
		machine->refused = refused;
	return 0;
}

static int end_all(void *context, uint32_t n_parts, struct error *err)
{
	struct move_machine *machine = context;

	if (n_parts != machine->n)
		return fail(err, ERR_DAMAGED, "its end counts %u drives, and not %u", n_parts,
			    machine->n);
	*err = machine->refused;
	return err->code;
}

int move_machine_sink(struct move_sink *out, struct move_machine *machine, struct error *err)
{
	const struct checkpoint_moves *moves = machine->to.kind->moves;

	if (moves == NULL || moves->begin == NULL)
		return fail(err, ERR_USAGE, "no checkpoint can come to this kind of machine");
	*out = (struct move_sink){
		.drive = begin_drive,
		.has = ask_has,
		.chunks = take_chunks,
		.end = end_drive,
		.done = end_all,
		.context = machine,
	};
	return 0;
}

void move_machine_free(struct move_machine *machine)
{
	free(machine->drive_of);
	machine->drive_of = NULL;
}
