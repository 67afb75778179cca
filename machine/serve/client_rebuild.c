/*
 * The client's side of a checkpoint that is made by comparing: to look at the drives it has the
 * turn, as for a backup, whose instant does not come.
 */
#include "machine/kinds.h"
#include "machine/serve/client_source.h"

static int is_known(struct checkpoint_source *source, const struct machine_since *since, uint32_t i,
		    bool *known, struct error *err)
{
	struct machine_changes found = {0};
	int code = 0;

	*known = false;
	if (machine_serve.token(source->turn, i) != NULL && since->tokens[i] != NULL)
		code = machine_serve.changes_now(source->turn, i, since, &found, err);
	*known = found.known;
	cluster_set_free(&found.set);
	return code;
}

static int begin(struct checkpoint_source *source, const struct machine_since *since, bool *known,
		 struct error *err)
{
	struct machine_description description;

	TRY(machine_serve.open(&source->turn, source->options, source->watcher, err));
	machine_serve.describe(source->turn, &description);
	for (uint32_t i = 0; i < description.n_drives; i++)
		TRY(is_known(source, since, i, &known[i], err));
	return 0;
}

static const char *token(const struct checkpoint_source *source, uint32_t i)
{
	return machine_serve.token(source->turn, i);
}

static int look(struct checkpoint_source *source, uint32_t i, const struct cluster_set *set,
		const struct machine_taker *taker, struct error *err)
{
	return machine_serve.look(source->turn, i, set, taker, err);
}

const struct checkpoint_rebuild checkpoint_serve_rebuild = {
	.begin = begin,
	.token = token,
	.look = look,
};
