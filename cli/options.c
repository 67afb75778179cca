#include "cli/options.h"

#include "cli/commands.h"
#include "cli/memory.h"
#include "base/parse.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_BASE 256 /* getopt's value of the first long option; below are letters */

unsigned options_list(const struct command *command, const struct option_spec *out[OPTIONS_MAX])
{
	unsigned n = 0;

	for (unsigned group = 0; group < OPTION_GROUPS; group++) {
		const struct option_spec *spec = command->options[group];

		for (; spec != NULL && spec->name != NULL && n < OPTIONS_MAX; spec++)
			out[n++] = spec;
	}
	return n;
}

/* The two forms getopt wants. letters holds at least 2 * OPTIONS_MAX + 2 bytes. */
static void make_getopt(const struct option_spec **specs, unsigned n, struct option *out,
			char *letters)
{
	*letters++ = ':';
	for (unsigned i = 0; i < n; i++) {
		out[i] = (struct option){
			.name = specs[i]->name,
			.has_arg = specs[i]->argument == NULL ? no_argument : required_argument,
			.val = LONG_BASE + (int)i,
		};
		if (specs[i]->letter == 0)
			continue;
		*letters++ = specs[i]->letter;
		if (specs[i]->argument != NULL)
			*letters++ = ':';
	}
	out[n] = (struct option){0};
	*letters = '\0';
}

static const struct option_spec *find_spec(const struct option_spec **specs, unsigned n, int value)
{
	if (value >= LONG_BASE && value < LONG_BASE + (int)n)
		return specs[value - LONG_BASE];
	for (unsigned i = 0; i < n; i++) {
		if (specs[i]->letter != 0 && specs[i]->letter == value)
			return specs[i];
	}
	return NULL;
}

static void append(struct strings *strings, const char *text)
{
	strings->items = memory_grow(strings->items, strings->n + 1, sizeof(char *));
	strings->items[strings->n++] = text;
}

/* Which of "auto always never" value is, from 1; 0: none. */
static unsigned choice_of(const char *choices, const char *value)
{
	size_t length = strlen(value);

	for (unsigned i = 1; *choices != '\0'; i++) {
		size_t one = strcspn(choices, " ");

		if (one == length && memcmp(choices, value, length) == 0)
			return i;
		choices += one + (choices[one] == ' ');
	}
	return 0;
}

static int take_number(const struct option_spec *spec, const char *value, uint64_t *field,
		       struct error *err)
{
	uint64_t number;
	bool ok = spec->kind == OPTION_NUMBER ? parse_number(value, &number)
		  : spec->kind == OPTION_SIZE ? parse_size(value, &number)
					      : parse_rate(value, &number);

	if (!ok)
		return fail(err, ERR_USAGE, "--%s '%s': not a %s", spec->name, value,
			    spec->kind == OPTION_NUMBER ? "number"
			    : spec->kind == OPTION_SIZE ? "size such as 4096, 64K or 1MiB"
							: "rate such as 10M, 10MiB/s or 1000000");
	if (number < spec->min || number > spec->max)
		return fail(err, ERR_USAGE, "--%s '%s': must be from %llu to %llu", spec->name,
			    value, (unsigned long long)spec->min, (unsigned long long)spec->max);
	*field = number;
	return 0;
}

static int take(const struct option_spec *spec, const char *value, struct options *out,
		struct error *err)
{
	void *field = (char *)out + spec->field;
	unsigned choice;

	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)field = value;
		return 0;
	case OPTION_LIST:
		append(field, value);
		return 0;
	case OPTION_CHOICE:
		choice = choice_of(spec->choices, value);
		if (choice == 0)
			return fail(err, ERR_USAGE, "--%s '%s': must be one of: %s", spec->name,
				    value, spec->choices);
		*(unsigned *)field = choice;
		return 0;
	default:
		return take_number(spec, value, field, err);
	}
}

/* getopt returned '?' or ':'. word is what it choked on. */
static int bad_option(int result, const struct option_spec *spec, const char *word,
		      struct error *err)
{
	if (result == ':')
		return fail(err, ERR_USAGE, "option '%s' needs a value, %s", word,
			    spec == NULL ? "none given" : spec->argument);
	if (optopt != 0 && spec != NULL)
		return fail(err, ERR_USAGE, "option '--%s' takes no value", spec->name);
	if (optopt != 0)
		return fail(err, ERR_USAGE, "unknown option '-%c'", optopt);
	return fail(err, ERR_USAGE, "unknown option '%s'", word);
}

static int check_arguments(const struct command *command, const struct options *options,
			   struct error *err)
{
	if (options->help || options->version)
		return 0;
	if (options->arguments.n < command->min_arguments)
		return fail(err, ERR_USAGE, "%s: too few arguments; usage: vmabak %s %s",
			    command->name, command->name, command->usage);
	if (options->arguments.n > command->max_arguments)
		return fail(err, ERR_USAGE, "%s: unexpected argument '%s'", command->name,
			    options->arguments.items[command->max_arguments]);
	return 0;
}

int options_parse(const struct command *command, int argc, char **argv, struct options *out,
		  struct error *err)
{
	const struct option_spec *specs[OPTIONS_MAX];
	struct option long_options[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 2];
	unsigned n = options_list(command, specs);
	struct error later;
	int result, code = 0;

	*out = (struct options){.command = command,
				.progress_fd = UINT64_MAX,
				.buffer = UINT64_MAX,
				.spill = UINT64_MAX};
	out->directory = ".";
	if (find_spec(specs, n, 'o') != NULL)
		out->output = "-";
	make_getopt(specs, n, long_options, letters);
	opterr = 0;
	optind = 1;
	while ((result = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		const struct option_spec *spec;
		struct error *where = code == 0 ? err : &later;

		/* The first error counts, but the rest is looked at all the same: it tells where
		 * the error is to be told. */
		if (result == '?' || result == ':') {
			code = bad_option(result, find_spec(specs, n, optopt), argv[optind - 1],
					  where);
			continue;
		}
		spec = find_spec(specs, n, result);
		if (spec == NULL || take(spec, optarg, out, where) < 0)
			code = ERR_USAGE;
	}
	for (int i = optind; i < argc; i++)
		append(&out->arguments, argv[i]);
	/* One name for one thing: whatever looks at "-" later need not know the other. */
	if (out->output != NULL && strcmp(out->output, "/dev/stdout") == 0)
		out->output = "-";
	return code != 0 ? code : check_arguments(command, out, err);
}

void options_free(struct options *options)
{
	free(options->arguments.items);
	free(options->config_files.items);
	free(options->drives.items);
	free(options->donors.items);
	free(options->nbd.items);
	free(options->maps.items);
}
