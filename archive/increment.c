#include "archive/increment.h"

#include "archive/changes.h"
#include "archive/create.h"
#include "base/bytes.h"
#include "base/watcher.h"
#include "drive/drive.h"
#include "format/format.h"
#include "writer/writer.h"

#include <stdlib.h>
#include <string.h>

int increment_tokens(struct create *create, struct changes *const *changes, struct error *err)
{
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		const char *until = changes[i] != NULL ? changes[i]->until : NULL;

		if (until != NULL && create->archive->format == FORMAT_VMAB)
			TRY(create_set_token(create, i, until, err));
	}
	return 0;
}

static bool parent_has(const struct create *create, uint32_t drive)
{
	return create->parent.drive_of[drive] != sums_archive(create->parent.found.sums)->n_drives;
}

static struct proof_job make_job(const struct create *create, uint32_t drive,
				 struct drive *const *drives, struct changes *const *changes)
{
	uint32_t i = create->parent.drive_of[drive];

	return (struct proof_job){
		.archive = create->archive,
		.drive = drive,
		.source = drives != NULL ? drives[drive] : NULL,
		.changes = changes != NULL ? changes[drive] : NULL,
		.sums = &create->parent.sums,
		.parent_bytes = sums_archive(create->parent.found.sums)->drives[i].size_bytes,
		.parent_mark = &create->parent.marks[i],
	};
}

/* Not an increment, then, and the list is of no use. */
static int drive_is_new(const struct create *create, uint32_t drive, bool has_list,
			const struct increment_options *options, const struct watcher *watcher,
			struct error *err)
{
	const struct text *text = &create->archive->drives[drive].name;
	char name[80];

	escape_text(name, sizeof(name), text->bytes, text->length);
	if (options->require)
		return fail(err, ERR_USAGE,
			    "drive %s: the parent has no drive of that name, so all of it would "
			    "have to be stored, which --incremental require excludes",
			    name);
	if (has_list)
		watcher_warn(watcher,
			     "drive %s: its change list is not used: the parent has no drive of "
			     "that name, so all of it is stored",
			     name);
	return 0;
}

int increment_check(const struct create *create, struct changes *const *changes,
		    const struct increment_options *options, const struct watcher *watcher,
		    struct error *err)
{
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		if (!parent_has(create, i)) {
			TRY(drive_is_new(create, i, changes[i] != NULL, options, watcher, err));
		} else if (changes[i] != NULL) {
			struct proof_job job = make_job(create, i, NULL, changes);

			TRY(proof_check_since(&job, &options->proof, err));
		}
	}
	return 0;
}

/* Clusters of the set or not, into the list. */
static int add_outside(struct changes *changes, const struct cluster_set *used, uint64_t size_bytes,
		       struct error *err)
{
	uint64_t n_all = clusters_of(size_bytes), n;
	bool in;

	for (uint64_t at = 0; at < n_all; at += n) {
		n = cluster_set_run(used, at, n_all - at, &in);
		if (!in)
			TRY(changes_add(changes, at * CLUSTER_SIZE,
					least((at + n) * CLUSTER_SIZE, size_bytes) -
						at * CLUSTER_SIZE,
					err));
	}
	return 0;
}

/* What the parent has as zeros. */
static int add_zeros(const struct proof_job *job, uint64_t size_bytes, struct error *err)
{
	const struct parent_sums *sums = job->sums;
	uint64_t n_all = clusters_of(least(size_bytes, job->parent_bytes)), n;
	void *state = calloc(1, sums->state_size);
	const uint8_t *sum;
	int code = state == NULL ? fail_memory(err) : 0;

	for (uint64_t at = 0; at < n_all && code == 0; at += n) {
		code = sums->get(sums->context, state, job->drive, at, &sum, &n, err);
		n = code == 0 ? least(n, n_all - at) : 1;
		if (code == 0 && sum != NULL && all_zero(sum, CHECKSUM_SIZE))
			code = changes_add(job->changes, at * CLUSTER_SIZE,
					   least((at + n) * CLUSTER_SIZE, size_bytes) -
						   at * CLUSTER_SIZE,
					   err);
	}
	free(state);
	return code;
}

/* Free space that is left out, or was by the parent, changes without being written to. */
static int add_left_out(const struct proof_job *job, struct error *err)
{
	uint64_t size_bytes = job->archive->drives[job->drive].size_bytes;

	if (job->source != NULL && drive_used(job->source) != NULL)
		TRY(add_outside(job->changes, drive_used(job->source), size_bytes, err));
	return job->parent_mark->left_out_bytes > 0 ? add_zeros(job, size_bytes, err) : 0;
}

int increment_prove_live(struct create *create, uint32_t drive, struct changes *list,
			 const struct proof_live *live, const struct increment_options *options,
			 const struct watcher *watcher, struct error *err)
{
	struct proof_job job = make_job(create, drive, NULL, NULL);

	job.changes = list;
	job.live = live;
	TRY(add_left_out(&job, err));
	return proof_run(&job, &options->proof, &create->marks[drive].proof, watcher, err);
}

/* A proof before the instant is of no use if nothing is known of the instant itself. */
static void forget_proof(struct drive_mark *mark)
{
	if (mark->proof.verdict == PROOF_RIGHT)
		mark->proof = (struct drive_proof){0};
}

int increment_prove(struct create *create, struct drive *const *drives,
		    struct changes *const *changes, const struct increment_options *options,
		    const struct watcher *watcher, struct error *err)
{
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		struct proof_job job;

		if (changes[i] == NULL || !parent_has(create, i)) {
			forget_proof(&create->marks[i]);
			continue;
		}
		job = make_job(create, i, drives, changes);
		TRY(add_left_out(&job, err));
		if (drives == NULL)
			TRY(proof_none(&job, &create->marks[i].proof, err));
		else
			TRY(proof_run(&job, &options->proof, &create->marks[i].proof, watcher,
				      err));
	}
	return 0;
}
