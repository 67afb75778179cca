#include "archive/proved.h"

#include "archive/match.h"

#include <stdlib.h>

void proved_add(struct proved *proved, int64_t created_ns, const struct drive_mark *mark)
{
	const struct drive_proof *proof = &mark->proof;
	bool full = proof->verdict == PROOF_NONE || proof->n_points == PROOF_CIRCLE;

	if (proved->whole)
		return;
	/* What was read in full closes the circle wherever the other arcs lie. */
	if (!full && proved->n_points > 0 && proof_end(proof) != proved->from)
		proved->broken = true;
	if (!full && proved->broken)
		return;
	proved->from = proof->from;
	proved->n_points += full ? PROOF_CIRCLE : proof->n_points;
	proved->since_ns = proof->verdict == PROOF_NONE ? created_ns : proof->since_ns;
	proved->whole = proved->n_points >= PROOF_CIRCLE;
}

int proved_open(struct proved_chain *out, const struct archive *newest, struct error *err)
{
	*out = (struct proved_chain){.newest = newest};
	out->drives = calloc(newest->n_drives + 1, sizeof(*out->drives));
	out->marks = calloc(newest->n_drives + 1, sizeof(*out->marks));
	out->number_of = calloc(newest->n_drives + 1, sizeof(*out->number_of));
	if (out->drives == NULL || out->marks == NULL || out->number_of == NULL)
		return fail_memory(err);
	drive_marks_read(newest, out->marks);
	return 0;
}

/* A drive that the link lacks was held in full by a newer one. */
int proved_link(struct proved_chain *chain, const struct archive *link, struct error *err)
{
	struct drive_mark *marks = calloc(link->n_drives + 1, sizeof(*marks));
	int code;

	if (marks == NULL)
		return fail_memory(err);
	drive_marks_read(link, marks);
	code = match_drives(chain->newest, link, chain->number_of, err);
	for (uint32_t i = 0; code == 0 && i < chain->newest->n_drives; i++) {
		if (chain->number_of[i] != link->n_drives)
			proved_add(&chain->drives[i], link->created_ns,
				   &marks[chain->number_of[i]]);
	}
	free(marks);
	return code;
}

bool proved_since(const struct proved_chain *chain, int64_t *since_ns)
{
	bool whole = chain->newest->n_drives > 0;

	for (uint32_t i = 0; i < chain->newest->n_drives && whole; i++) {
		const struct proved *drive = &chain->drives[i];

		whole = drive->whole;
		if (i == 0 || drive->since_ns < *since_ns)
			*since_ns = drive->since_ns;
	}
	return whole;
}

void proved_merge(const struct proved_chain *chain, struct drive_mark *out)
{
	for (uint32_t i = 0; i < chain->newest->n_drives; i++) {
		const struct proved *drive = &chain->drives[i];
		struct drive_proof *proof = &out[i].proof;
		uint32_t end;

		out[i] = chain->marks[i];
		/* Read in full by the newest: that is so whatever it is merged with. */
		if (proof->verdict != PROOF_RIGHT)
			continue;
		end = proof_end(proof);
		proof->n_points = drive->n_points < PROOF_CIRCLE ? drive->n_points : PROOF_CIRCLE;
		proof->from = (uint32_t)(end - proof->n_points);
		proof->since_ns = drive->since_ns;
	}
}

void proved_close(struct proved_chain *chain)
{
	free(chain->drives);
	free(chain->marks);
	free(chain->number_of);
}
