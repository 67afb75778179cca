/*
 * A bash completion made from the table of commands.
 */
#include "cli/groups.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

/* The fixed part: what is completed where. The cases of options and values come from the table. */
static const char head[] = "# bash completion for vmabak, made by \"vmabak completion bash\".\n"
			   "_vmabak_files()\n"
			   "{\n"
			   "\tlocal IFS=$'\\n' file\n"
			   "\tcompopt -o filenames 2>/dev/null\n"
			   "\tCOMPREPLY=($(compgen -d -- \"$cur\"))\n"
			   "\tfor file in $(compgen -f -- \"$cur\"); do\n"
			   "\t\t[[ -d $file ]] && continue\n"
			   "\t\tif [[ -z $1 || $file =~ $1 ]]; then COMPREPLY+=(\"$file\"); fi\n"
			   "\tdone\n"
			   "}\n"
			   "\n"
			   "_vmabak()\n"
			   "{\n"
			   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} "
			   "verb=${COMP_WORDS[1]}\n"
			   "\tlocal archives='\\.(vmab|vma)(\\.(zst|gz|lzo|xz|bz2))?$'\n"
			   "\tCOMPREPLY=()\n"
			   "\t# bash takes --option=value for three words\n"
			   "\t[[ $cur == = ]] && cur=\n"
			   "\tif [[ $prev == = && ${COMP_WORDS[COMP_CWORD-2]} == --* ]]; then\n"
			   "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
			   "\tfi\n";

static const char tail[] = "\tif [[ $cur == -* ]]; then\n"
			   "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
			   "\telif [[ $verb == backup ]]; then\n"
			   "\t\t_vmabak_files ''\n"
			   "\telif [[ $verb == help ]]; then\n"
			   "\t\tCOMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
			   "\telif [[ $verb == completion ]]; then\n"
			   "\t\tCOMPREPLY=($(compgen -W bash -- \"$cur\"))\n"
			   "\telse\n"
			   "\t\t_vmabak_files \"$archives\"\n"
			   "\tfi\n"
			   "}\n"
			   "complete -F _vmabak vmabak\n";

static void print_verbs(const struct command *const *commands)
{
	printf("\tlocal verbs='");
	for (const struct command *const *command = commands; *command != NULL; command++) {
		if (!(*command)->hidden)
			printf("%s%s", command == commands ? "" : " ", (*command)->name);
	}
	puts("'\n"
	     "\tif [[ $COMP_CWORD == 1 ]]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$verbs --help --version\" -- \"$cur\"))\n"
	     "\t\treturn\n"
	     "\tfi");
}

/* How the value of an option is completed, as a bash statement. */
static void print_value(const struct option_spec *spec)
{
	printf("\t--%s", spec->name);
	if (spec->letter != 0)
		printf("|-%c", spec->letter);
	if (spec->choices != NULL)
		printf(") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", spec->choices);
	else if (strcmp(spec->name, "compress") == 0)
		puts(") COMPREPLY=($(compgen -W 'zstd gzip none' -- \"$cur\")); return ;;");
	else if (strcmp(spec->name, "directory") == 0)
		puts(") compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")); "
		     "return ;;");
	else if (strcmp(spec->name, "output") == 0)
		puts(") _vmabak_files \"$archives\"; return ;;");
	else if (strcmp(spec->name, "config") == 0)
		puts(") _vmabak_files ''; return ;;");
	else
		puts(") return ;;");
}

/* Options mean the same wherever they occur, so each is printed once. */
static void print_values(const struct command *const *commands)
{
	const struct option_spec *seen[OPTIONS_MAX * 4];
	struct option_use uses[OPTIONS_MAX];
	unsigned n_seen = 0;

	puts("\tcase $prev in");
	for (const struct command *const *command = commands; *command != NULL; command++) {
		unsigned n = options_list(*command, uses);

		for (unsigned i = 0; i < n; i++) {
			const struct option_spec *spec = uses[i].spec;
			unsigned j = 0;

			while (j < n_seen && strcmp(seen[j]->name, spec->name) != 0)
				j++;
			if (spec->argument == NULL || j < n_seen)
				continue;
			seen[n_seen++] = spec;
			print_value(spec);
		}
	}
	puts("\tesac");
}

static void print_options(const struct command *const *commands)
{
	puts("\tlocal options=\n\tcase $verb in");
	for (const struct command *const *command = commands; *command != NULL; command++) {
		struct option_use uses[OPTIONS_MAX];
		unsigned n = options_list(*command, uses);

		printf("\t%s) options='", (*command)->name);
		for (unsigned i = 0; i < n; i++)
			printf("%s--%s", i == 0 ? "" : " ", uses[i].spec->name);
		puts("' ;;");
	}
	puts("\tesac");
}

static int run(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const char *shell = options->common.arguments.items[0];
	struct error err = {0};

	if (strcmp(shell, "bash") != 0) {
		fail(&err, ERR_USAGE, "completion: unknown shell '%s'; there is: bash", shell);
		return report_error(report, NULL, &err);
	}
	report->no_document = true;
	fputs(head, stdout);
	print_verbs(options->common.commands);
	print_values(options->common.commands);
	print_options(options->common.commands);
	fputs(tail, stdout);
	return EXIT_DONE;
}

const struct command command_completion = {
	.name = "completion",
	.usage = "bash",
	.summary = "print a completion script for a shell",
	.help = "Print a script that completes commands, options and archives.\n"
		"\n"
		"Example:\n"
		"  . <(vmabak completion bash)\n",
	.run = run,
	.groups = {{"Options", common_specs, 0}},
	COMMAND_DEFAULTS(plain_defaults),
	.min_arguments = 1,
	.max_arguments = 1,
	.hidden = true,
};
