#include "cli/sources.h"

#include "cli/options.h"

#include <stdio.h>
#include <string.h>

static const struct {
	enum source_kind kind;
	const char *prefix; /* of its word */
	const char *name;
} table[] = {
	{SOURCE_QEMU, "qemu:", "qemu:SOCKET"},
	{SOURCE_PUSH, NULL, "qemu:SOCKET without --pull"},
	{SOURCE_PULL, NULL, "qemu:SOCKET with --pull"},
	{SOURCE_LIBVIRT, "libvirt:", "libvirt:DOMAIN"},
	{SOURCE_SERVE, "serve:", "serve:SOCKET"},
	{SOURCE_DRIVES, NULL, "drives"},
};

#define N_KINDS (sizeof(table) / sizeof(table[0]))

enum source_kind source_of(const char *word, const char **place)
{
	for (unsigned i = 0; i < N_KINDS; i++) {
		size_t length = table[i].prefix == NULL ? 0 : strlen(table[i].prefix);

		if (length > 0 && strncmp(word, table[i].prefix, length) == 0) {
			*place = word + length;
			return table[i].kind;
		}
	}
	*place = word;
	return SOURCE_DRIVES;
}

int source_place(const char *word, enum source_kind kind, const char **place, struct error *err)
{
	enum source_kind found = source_of(word, place);
	char names[80];

	if (found != SOURCE_DRIVES && found != kind)
		return fail(err, ERR_USAGE, "%s: this command is for %s only", word,
			    source_names(kind, names, sizeof(names)));
	if (**place == '\0')
		return fail(err, ERR_USAGE, "'%s': the name of a socket is missing", word);
	return 0;
}

int source_check_path(const char *path, const char *why, struct error *err)
{
	const char *place;

	if (source_of(path, &place) == SOURCE_DRIVES)
		return 0;
	return fail(err, ERR_USAGE,
		    "%s: names a running machine, %s; a file of that name is written ./%s", path,
		    why, path);
}

int source_check_targets(const struct strings *targets, struct error *err)
{
	for (unsigned i = 0; i < targets->n; i++) {
		const char *target = strchr(targets->items[i], '=');

		if (target != NULL)
			TRY(source_check_path(target + 1, "to which nothing can be restored", err));
	}
	return 0;
}

const char *source_prefix(unsigned i)
{
	for (unsigned j = 0; j < N_KINDS; j++) {
		if (table[j].prefix != NULL && i-- == 0)
			return table[j].prefix;
	}
	return NULL;
}

const char *source_names(unsigned kinds, char *out, unsigned size)
{
	const char *names[N_KINDS];
	unsigned n = 0, used = 0;

	for (unsigned i = 0; i < N_KINDS; i++) {
		if ((kinds & table[i].kind) != table[i].kind)
			continue;
		names[n++] = table[i].name;
		kinds &= ~(unsigned)table[i].kind;
	}
	out[0] = '\0';
	for (unsigned i = 0; i < n && used < size; i++)
		used += (unsigned)snprintf(out + used, size - used, "%s%s",
					   i == 0      ? ""
					   : i + 1 < n ? ", "
						       : " and ",
					   names[i]);
	return out;
}

int source_check_options(const struct command *command, uint64_t given, enum source_kind kind,
			 struct error *err)
{
	struct option_use uses[OPTIONS_MAX];
	unsigned n = options_list(command, uses);
	char names[160];

	for (unsigned i = 0; i < n; i++) {
		const struct option_spec *spec = uses[i].spec;

		if ((given & UINT64_C(1) << i) != 0 && spec->sources != 0 &&
		    (spec->sources & kind) == 0)
			return fail(err, ERR_USAGE, "--%s is for %s", spec->name,
				    source_names(spec->sources, names, sizeof(names)));
	}
	return 0;
}
