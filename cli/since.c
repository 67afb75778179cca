#include "cli/since.h"

#include "archive/changes.h"
#include "archive/create.h"
#include "archive/proof_live.h"
#include "base/json.h"
#include "cli/group_changes.h"
#include "cli/group_increment.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cow/rebuilt.h"

#include <stdlib.h>
#include <string.h>

/* An archive that has none may have been compared with the drive since (checkpoint rebuild). */
static char *copy_token(const struct text *token, const uint8_t *uuid)
{
	char rebuilt[GENERATION_TOKEN_SIZE];
	size_t length = token->length;
	char *out;

	if (length == 0)
		length = strlen(rebuilt_token(rebuilt, uuid));
	out = memory_new(1, length + 1);
	memcpy(out, token->length == 0 ? (const uint8_t *)rebuilt : token->bytes, length);
	return out;
}

static void parent_tokens(struct since *out, const struct create *create, bool may_be_rebuilt)
{
	const struct parent *parent = &create->parent;

	out->n_drives = create->archive->n_drives;
	out->tokens = memory_new(out->n_drives + 1, sizeof(*out->tokens));
	out->told.tokens = (const char *const *)out->tokens;
	out->told.parent = create->archive->parent;
	for (uint32_t i = 0; i < out->n_drives; i++) {
		const struct text *token = &parent->marks[parent->drive_of[i]].token;

		if (parent_drive_size(parent, i) > 0 && (token->length > 0 || may_be_rebuilt))
			out->tokens[i] = copy_token(token, out->told.parent);
	}
}

int since_begin(struct since *out, const struct machine_kind *kind, struct machine *machine,
		const struct create *create, struct error *err)
{
	(void)err;
	if (create->archive->format != FORMAT_VMAB || kind->token == NULL)
		return 0;
	out->told.uuid = create->archive->uuid;
	if (kind->archive != NULL)
		kind->archive(machine, create->archive->uuid);
	if (create->parent.found.sums != NULL && kind->changes != NULL)
		parent_tokens(out, create, kind->rebuilds);
	return 0;
}

int since_name(const struct machine_kind *kind, struct machine *machine, struct create *create,
	       struct error *err)
{
	if (create->archive->format != FORMAT_VMAB || kind->token == NULL)
		return 0;
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		const char *token = kind->token(machine, i);

		if (token != NULL)
			TRY(create_set_token(create, i, token, err));
	}
	return 0;
}

/* ---- the proof ---- */

struct proving {
	const struct since *since;
	const struct machine_kind *kind;
	struct machine *machine;
	uint32_t drive;
};

static int changed_now(void *context, struct cluster_set *out, struct error *err)
{
	const struct proving *proving = context;
	struct machine_changes found = {0};
	int code = proving->kind->changes_now(proving->machine, proving->drive,
					      &proving->since->told, &found, err);

	*out = found.set;
	return code < 0 ? code : found.known;
}

static int look(void *context, const struct cluster_set *set, const struct proof_taker *taker,
		struct error *err)
{
	const struct proving *proving = context;
	const struct machine_taker to = {taker->take, taker->context};

	return proving->kind->look(proving->machine, proving->drive, set, &to, err);
}

static int prove_drive(const struct proving *proving, const struct increment_choice *choice,
		       struct create *create, struct report *report, struct error *err)
{
	const struct proof_live live = {(void *)(uintptr_t)proving, look, changed_now};
	struct changes list = {0};
	int code = changed_now((void *)(uintptr_t)proving, &list.set, err);

	if (code == 1)
		code = increment_apply_live(choice, create, proving->drive, &list, &live, report,
					    err);
	changes_free(&list);
	return code < 0 ? code : 0;
}

int since_prove(struct since *since, const struct machine_kind *kind, struct machine *machine,
		const struct increment_choice *choice, struct create *create, struct report *report,
		struct error *err)
{
	for (uint32_t i = 0; i < since->n_drives && kind->look != NULL; i++) {
		const struct proving proving = {since, kind, machine, i};
		struct error ignored;
		int code;

		if (since->tokens[i] == NULL)
			continue;
		code = prove_drive(&proving, choice, create, report, err);
		if (code < 0 && create->marks[i].proof.verdict == PROOF_WRONG)
			kind->distrust(machine, i, &ignored);
		if (code < 0)
			return code;
		if (create->marks[i].proof.verdict != PROOF_WRONG)
			continue;
		TRY(kind->distrust(machine, i, err));
		free(since->tokens[i]);
		since->tokens[i] = NULL;
	}
	return 0;
}

/* ---- what changed ---- */

static void tell_unknown(const struct create *create, uint32_t drive, const char *why,
			 struct report *report)
{
	const struct text *text = &create->archive->drives[drive].name;
	char name[80];

	escape_text(name, sizeof(name), text->bytes, text->length);
	report_warning(report, "drive %s: all of it is compared with the parent: %s", name, why);
}

static void take_list(const struct since *since, uint32_t drive,
		      const struct machine_changes *found, struct drive_changes *changes)
{
	struct changes *own;
	size_t size = strlen(since->tokens[drive]) + 1;

	changes->of[drive] = own = memory_new(1, sizeof(*own));
	own->set = found->set;
	own->n_clusters = found->set.n_clusters;
	own->since = memory_new(1, size);
	memcpy(own->since, since->tokens[drive], size);
}

int since_ask(const struct since *since, const struct machine_kind *kind, struct machine *machine,
	      const struct create *create, struct drive_changes *changes, struct report *report,
	      struct error *err)
{
	for (uint32_t i = 0; i < since->n_drives; i++) {
		struct machine_changes found = {0};

		if (since->tokens[i] == NULL)
			continue;
		if (kind->changes(machine, i, &found, err) < 0) {
			cluster_set_free(&found.set);
			return err->code;
		}
		if (found.known)
			take_list(since, i, &found, changes);
		else if (found.why[0] != '\0')
			tell_unknown(create, i, found.why, report);
	}
	return 0;
}

int since_judge(const struct since *since, const struct machine_kind *kind, struct machine *machine,
		struct create *create, struct error *err)
{
	for (uint32_t i = 0; i < since->n_drives && kind->distrust != NULL && kind->look == NULL;
	     i++) {
		if (since->tokens[i] == NULL || create->marks[i].proof.verdict != PROOF_WRONG)
			continue;
		TRY(kind->distrust(machine, i, err));
		create_renew_token(create, i, kind->token(machine, i));
	}
	return 0;
}

void since_free(struct since *since)
{
	for (uint32_t i = 0; i < since->n_drives; i++)
		free(since->tokens[i]);
	free(since->tokens);
	*since = (struct since){0};
}
