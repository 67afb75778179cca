#include "cli/options.h"

#include "archive/create_plan.h"
#include "cli/memory.h"
#include "base/human.h"
#include "base/pace.h"
#include "base/parse.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_BASE 256 /* getopt's value of the first long option; below are letters */

unsigned options_list(const struct command *command, struct option_use out[OPTIONS_MAX])
{
	const char *title = NULL;
	unsigned n = 0;

	for (const struct option_group *group = command->groups; group->specs != NULL; group++) {
		if (group->title != NULL)
			title = group->title;
		for (const struct option_spec *spec = group->specs;
		     spec->name != NULL && n < OPTIONS_MAX; spec++)
			out[n++] = (struct option_use){spec, title, group->at + spec->field};
	}
	return n;
}

bool option_value_is_optional(const struct option_spec *spec)
{
	return spec->argument != NULL && *spec->argument == '[' && spec->argument[1] == '=';
}

/* The two forms that getopt takes. letters holds at least 2 * OPTIONS_MAX + 2 bytes. */
static void make_getopt(const struct option_use *uses, unsigned n, struct option *out,
			char *letters)
{
	*letters++ = ':';
	for (unsigned i = 0; i < n; i++) {
		const struct option_spec *spec = uses[i].spec;

		out[i] = (struct option){
			.name = spec->name,
			.has_arg = spec->argument == NULL	    ? no_argument
				   : option_value_is_optional(spec) ? optional_argument
								    : required_argument,
			.val = LONG_BASE + (int)i,
		};
		if (spec->letter == 0)
			continue;
		*letters++ = spec->letter;
		if (spec->argument != NULL)
			*letters++ = ':';
	}
	out[n] = (struct option){0};
	*letters = '\0';
}

static const struct option_use *find_use(const struct option_use *uses, unsigned n, int value)
{
	if (value >= LONG_BASE && value < LONG_BASE + (int)n)
		return &uses[value - LONG_BASE];
	for (unsigned i = 0; i < n; i++) {
		if (uses[i].spec->letter != 0 && uses[i].spec->letter == value)
			return &uses[i];
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

static const char *limit(const struct option_spec *spec, uint64_t number, char out[HUMAN_SIZE])
{
	if (spec->kind != OPTION_NUMBER)
		return human_size(out, number);
	snprintf(out, HUMAN_SIZE, "%llu", (unsigned long long)number);
	return out;
}

static int take_number(const struct option_spec *spec, const char *value, uint64_t *field,
		       struct error *err)
{
	char least[HUMAN_SIZE], most[HUMAN_SIZE];
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
		return fail(err, ERR_USAGE, "--%s '%s': must be from %s to %s", spec->name, value,
			    limit(spec, spec->min, least), limit(spec, spec->max, most));
	*field = number;
	return 0;
}

static int take_pace(const struct option_spec *spec, const char *value, uint64_t *field,
		     struct error *err)
{
	return pace_parse(value, field)
		       ? 0
		       : fail(err, ERR_USAGE,
			      "--%s '%s': not a rate such as 10M, 10MiB/s or 1000000, nor a "
			      "schedule such as 20M@08:00-18:00,0",
			      spec->name, value);
}

static int take_choice(const struct option_spec *spec, const char *value, unsigned *field,
		       struct error *err)
{
	unsigned choice = value == NULL ? 1 : choice_of(spec->choices, value);

	if (choice == 0)
		return fail(err, ERR_USAGE, "--%s '%s': must be one of: %s", spec->name, value,
			    spec->choices);
	*field = choice;
	return 0;
}

static int take(const struct option_use *use, const char *value, void *out, struct error *err)
{
	const struct option_spec *spec = use->spec;
	void *field = (char *)out + use->field;

	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
	case OPTION_FOLDER:
		*(const char **)field = value;
		return 0;
	case OPTION_OUTPUT:
		/* One name for one thing: later code need only know "-". */
		*(const char **)field = strcmp(value, "/dev/stdout") == 0 ? "-" : value;
		return 0;
	case OPTION_LIST:
		append(field, value);
		return 0;
	case OPTION_PACE:
		return take_pace(spec, value, field, err);
	case OPTION_CHOICE:
		return take_choice(spec, value, field, err);
	default:
		return take_number(spec, value, field, err);
	}
}

/* Of two values one would be lost without a word. A flag says the same twice. */
static int take_once(const struct option_use *uses, const struct option_use *use, void *out,
		     struct error *err)
{
	struct common_options *common = out;
	uint64_t bit = UINT64_C(1) << (use - uses);
	enum option_kind kind = use->spec->kind;

	if ((common->given & bit) != 0 && kind != OPTION_FLAG && kind != OPTION_LIST)
		return fail(err, ERR_USAGE, "--%s '%s': may be given only once", use->spec->name,
			    optarg);
	common->given |= bit;
	return take(use, optarg, out, err);
}

/* getopt returned '?' or ':' for word. */
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

static int bad_word(int result, const struct option_use *uses, unsigned n, const char *word,
		    struct error *err)
{
	const struct option_use *use = find_use(uses, n, optopt);

	return bad_option(result, use == NULL ? NULL : use->spec, word, err);
}

/* The value of the first option of this kind; *has: there is such an option. */
static const char *value_of(const struct command *command, const void *options,
			    enum option_kind kind, bool *has)
{
	struct option_use uses[OPTIONS_MAX];
	unsigned n = options_list(command, uses), i = 0;

	while (i < n && uses[i].spec->kind != kind)
		i++;
	*has = i < n;
	return *has ? *(const char *const *)((const char *)options + uses[i].field) : NULL;
}

/* Never standard output unasked: the archive would land in a log, or in a mail of cron's. */
static int check_output(const struct command *command, const struct common_options *options,
			struct error *err)
{
	const struct strings *arguments = &options->arguments;
	const char *archive = "web.vmab";
	bool has_output, has_folder;

	if (value_of(command, options, OPTION_OUTPUT, &has_output) != NULL || !has_output ||
	    value_of(command, options, OPTION_FOLDER, &has_folder) != NULL)
		return 0;
	for (unsigned i = command->min_arguments; i < arguments->n; i++) {
		if (create_plan_names_archive(arguments->items[i]))
			archive = arguments->items[i];
	}
	return fail(err, ERR_USAGE,
		    "%s: -o ARCHIVE is needed, such as -o %s%s; -o - is standard output",
		    command->name, archive, has_folder ? ", or --to DIR" : "");
}

static int check_arguments(const struct command *command, const struct common_options *options,
			   struct error *err)
{
	if (options->help)
		return 0;
	TRY(check_output(command, options, err));
	if (options->arguments.n < command->min_arguments)
		return fail(err, ERR_USAGE, "%s: too few arguments; usage: vmabak %s %s",
			    command->name, command->name, command->usage);
	if (options->arguments.n > command->max_arguments)
		return fail(err, ERR_USAGE, "%s: unexpected argument '%s'", command->name,
			    options->arguments.items[command->max_arguments]);
	return 0;
}

int options_parse(const struct command *command, int argc, char **argv, void *out,
		  struct error *err)
{
	struct option_use uses[OPTIONS_MAX];
	struct option long_options[OPTIONS_MAX + 1];
	char letters[2 * OPTIONS_MAX + 2];
	unsigned n = options_list(command, uses);
	struct common_options *common = out;
	struct error later;
	int result, code = 0;

	memcpy(out, command->defaults, command->options_size);
	make_getopt(uses, n, long_options, letters);
	opterr = 0;
	optind = 1;
	while ((result = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		const struct option_use *use;
		struct error *where = code == 0 ? err : &later;

		/* The first error counts, but the rest is parsed, too: it says how to report it. */
		if (result == '?' || result == ':') {
			code = bad_word(result, uses, n, argv[optind - 1], where);
			continue;
		}
		use = find_use(uses, n, result);
		if (use == NULL || take_once(uses, use, out, where) < 0)
			code = ERR_USAGE;
	}
	for (int i = optind; i < argc; i++)
		append(&common->arguments, argv[i]);
	return code != 0 ? code : check_arguments(command, common, err);
}

void options_free(const struct command *command, void *options)
{
	struct option_use uses[OPTIONS_MAX];
	unsigned n = options_list(command, uses);

	free(((struct common_options *)options)->arguments.items);
	for (unsigned i = 0; i < n; i++) {
		if (uses[i].spec->kind == OPTION_LIST)
			free(((struct strings *)((char *)options + uses[i].field))->items);
	}
}

const struct command *command_find(const struct command *const *commands, const char *name)
{
	while (*commands != NULL && strcmp((*commands)->name, name) != 0)
		commands++;
	return *commands;
}

const char *options_output(const struct command *command, const void *options)
{
	bool has;

	return value_of(command, options, OPTION_OUTPUT, &has);
}
