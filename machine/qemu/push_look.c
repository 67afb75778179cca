/*
 * What a drive of a running QEMU holds now, in some of its clusters: a push of these alone, of
 * which no archive is made. So it needs nothing of QEMU that a backup does not need, and is as
 * gentle.
 */
#include "machine/qemu/push_look.h"

#include "machine/qemu/names.h"
#include "machine/qemu/push_run.h"
#include "machine/qemu/qmp.h"
#include "machine/qemu/transfer.h"

#include <stdlib.h>

/* The bitmap goes with the nodes of the run. */
static int add_bitmap(struct machine *run, const struct cluster_set *set, struct error *err)
{
	const struct inventory_drive *drive = &run->qemu.inventory.drives[0];
	char name[NODE_NAME_SIZE];
	const struct transfer transfer = {
		.node = drive->node,
		.bitmap = node_name(name, run->id, 0),
		.size_bytes = drive->size_bytes,
	};

	TRY(qmp_execute(run->qemu.qmp, NULL, err, "block-dirty-bitmap-add",
			"{s:s, s:s, s:i, s:b, s:b}", "node", drive->node, "name", name,
			"granularity", (int)CLUSTER_SIZE, "disabled", true, "persistent", false));
	return transfer_put(run->qemu.qmp, &transfer, set, err);
}

static int begin(struct machine *run, const struct cluster_set *set, struct error *err)
{
	TRY(push_make(run, err));
	TRY(push_connect(run, err));
	TRY(add_bitmap(run, set, err));
	receiver_expect(run->receiver, 0, set);
	TRY(push_start(run, err));
	return push_go(run, err);
}

static int take_chunk(const struct chunk *chunk, const struct machine_taker *taker,
		      struct error *err)
{
	for (uint32_t i = 0; i < chunk->n_clusters; i++)
		TRY(taker->take(taker->context, chunk->clusters[i].cluster,
				chunk->bytes + (size_t)i * CLUSTER_SIZE, err));
	for (uint32_t i = 0; i < chunk->n_zeros; i++) {
		const struct chunk_zeros *zeros = &chunk->zeros[i];

		for (uint64_t k = 0; k < zeros->n_clusters; k++)
			TRY(taker->take(taker->context, zeros->cluster + k, NULL, err));
	}
	return 0;
}

static int take_all(struct machine *run, const struct machine_taker *taker, struct error *err)
{
	struct chunk *chunk;
	int got;

	while ((got = buffer_next(run->buffer, &chunk, BUFFER_FOR_WORK, err)) == 1) {
		run->taken_bytes += chunk->n_clusters * CLUSTER_SIZE;
		if (take_chunk(chunk, taker, err) < 0)
			buffer_fail(run->buffer, err);
		buffer_release(run->buffer, chunk);
	}
	return got;
}

/* As push_begin. */
static int look(struct machine *run, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err)
{
	int code;

	qemu_stir(push_interrupt, run);
	if (begin(run, set, err) < 0) {
		qemu_advise(&run->qemu, err);
		if (run->buffer != NULL)
			buffer_fail(run->buffer, err);
		push_undo(run);
		return err->code;
	}
	code = take_all(run, taker, err);
	push_join(run);
	return code;
}

/* The drive is the only one of the run, which uses the connection that is there, and may have had
 * to make a new one. */
int push_look(struct qemu *qemu, uint32_t i, const struct cluster_set *set,
	      const struct machine_taker *taker, struct error *err)
{
	struct machine *run = calloc(1, sizeof(*run));
	const bool part = true;
	int code;

	if (run == NULL)
		return fail_memory(err);
	run->qemu = *qemu;
	run->qemu.inventory.drives += i;
	run->qemu.inventory.n_drives = 1;
	run->qemu.drives += i;
	run->jobs.parts = &part;
	code = look(run, set, taker, err);
	qemu->qmp = run->qemu.qmp;
	qemu_warn(&run->qemu);
	push_free(run);
	free(run);
	return code;
}
