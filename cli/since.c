#include "cli/since.h"

#include "archive/create.h"
#include "base/json.h"
#include "cli/group_changes.h"
#include "cli/memory.h"
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

static void parent_tokens(struct since *out, const struct create *create)
{
	const struct parent *parent = &create->parent;

	out->n_drives = create->archive->n_drives;
	out->tokens = memory_new(out->n_drives + 1, sizeof(*out->tokens));
	out->told.tokens = (const char *const *)out->tokens;
	out->told.parent = create->archive->parent;
	for (uint32_t i = 0; i < out->n_drives; i++) {
		uint32_t old = parent->drive_of[i];
		const struct text *token = &parent->marks[old].token;

		if (parent_drive_size(parent, i) == 0 || token->length == 0)
			continue;
		out->tokens[i] = memory_new(1, token->length + 1);
		memcpy(out->tokens[i], token->bytes, token->length);
	}
}

int since_name(struct since *out, const struct machine_kind *kind, struct machine *machine,
	       struct create *create, struct error *err)
{
	if (create->archive->format != FORMAT_VMAB || kind->token == NULL)
		return 0;
	out->told.uuid = create->archive->uuid;
	if (kind->archive != NULL)
		kind->archive(machine, create->archive->uuid);
	for (uint32_t i = 0; i < create->archive->n_drives; i++) {
		const char *token = kind->token(machine, i);

		if (token != NULL)
			TRY(create_set_token(create, i, token, err));
	}
	if (create->parent.found.sums != NULL && kind->changes != NULL)
		parent_tokens(out, create);
	return 0;
}

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

void since_free(struct since *since)
{
	for (uint32_t i = 0; i < since->n_drives; i++)
		free(since->tokens[i]);
	free(since->tokens);
	*since = (struct since){0};
}
