/*
 * A bash completion made from the table of commands.
 */
#include "cli/groups.h"
#include "cli/options.h"
#include "cli/sources.h"

#include <stdio.h>
#include <string.h>

/* The fixed part: what is completed where. The cases of options and values come from the table. */
static const char head[] =
	"# bash completion for vmabak, made by \"vmabak completion bash\".\n"
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
	"_vmabak_folders()\n"
	"{\n"
	"\tlocal IFS=$'\\n'\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\tCOMPREPLY=($(compgen -d -- \"$cur\"))\n"
	"}\n"
	"\n"
	"_vmabak_words()\n"
	"{\n"
	"\tCOMPREPLY=($(compgen -W \"$1\" -- \"$cur\"))\n"
	"}\n"
	"\n"
	"# drives, or the first word of a machine\n"
	"_vmabak_sources()\n"
	"{\n"
	"\tif [[ $first == libvirt ]]; then return; fi\n"
	"\t_vmabak_files ''\n"
	"\tif [[ -n $first ]]; then return; fi\n"
	"\tCOMPREPLY+=($(compgen -W \"$sources\" -- \"$cur\"))\n"
	"\tif [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then\n"
	"\t\tcompopt +o filenames -o nospace 2>/dev/null\n"
	"\tfi\n"
	"}\n"
	"\n"
	"_vmabak()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} at=$COMP_CWORD first= prev\n"
	"\tlocal archives='\\.(vmab|vma)(\\.(zst|gz|lzo|xz|bz2))?$'\n"
	"\tCOMPREPLY=()\n"
	"\t# --option=value, NAME=value and qemu:SOCKET are three words each for bash; first is "
	"the\n"
	"\t# first of them\n"
	"\tif [[ $cur == [=:] ]]; then\n"
	"\t\tcur= at=$((at - 1)) first=${COMP_WORDS[at]}\n"
	"\telif [[ ${COMP_WORDS[at - 1]} == [=:] ]]; then\n"
	"\t\tat=$((at - 2)) first=${COMP_WORDS[at]}\n"
	"\tfi\n"
	"\tprev=${COMP_WORDS[at - 1]}\n"
	"\tif [[ $prev == = ]]; then prev=${COMP_WORDS[at - 2]}; fi\n"
	"\tif [[ $first == --* ]]; then prev=$first first=; fi\n";

static const char tail[] = "\tif [[ $cur == -* && -z $first ]]; then\n"
			   "\t\t_vmabak_words \"$options\"\n"
			   "\t\treturn\n"
			   "\tfi\n";

/* What completes a value that help calls by this word; of several, the first in this list. */
static const struct {
	const char *word;
	const char *statement; /* of bash */
} offers[] = {
	{"NAME[=", "[[ -n $first ]] && _vmabak_files ''"},
	{"SOURCE", "_vmabak_sources"},
	{"FILE", "_vmabak_files ''"},
	{"IMAGE", "_vmabak_files ''"},
	{"TARGET", "_vmabak_files ''"},
	{"SOCKET", "_vmabak_files ''"},
	{"PLACE", "_vmabak_files ''"},
	{"DIR", "_vmabak_folders"},
	{"ARCHIVE", "_vmabak_files \"$archives\""},
	{"VERB", "_vmabak_words \"$verbs\""},
	{"SHELL", "_vmabak_words bash"},
};

static const char *offer_of(const char *words)
{
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		if (strstr(words, offers[i].word) != NULL)
			return offers[i].statement;
	}
	return NULL;
}

static void print_verbs(const struct command *const *commands)
{
	const char *between = "";

	printf("\tlocal verbs='");
	for (; *commands != NULL; commands++) {
		if ((*commands)->hidden)
			continue;
		printf("%s%s", between, (*commands)->name);
		between = " ";
	}
	puts("'\n"
	     "\tif [[ $COMP_CWORD == 1 ]]; then\n"
	     "\t\t_vmabak_words \"$verbs --help --version\"\n"
	     "\t\treturn\n"
	     "\tfi");
}

static void print_sources(void)
{
	const char *prefix;

	printf("\tlocal sources='");
	for (unsigned i = 0; (prefix = source_prefix(i)) != NULL; i++)
		printf("%s%s", i == 0 ? "" : " ", prefix);
	puts("'");
}

/* How the value of an option is completed. The same name may mean another thing elsewhere. */
static void print_value(const struct command *command, const struct option_spec *spec)
{
	const char *offer = offer_of(spec->argument);

	printf("\t%s:--%s", command->name, spec->name);
	if (spec->letter != 0)
		printf("|%s:-%c", command->name, spec->letter);
	if (spec->choices != NULL)
		printf(") _vmabak_words '%s'; return ;;\n", spec->choices);
	else
		printf(") %s%sreturn ;;\n", offer == NULL ? "" : offer, offer == NULL ? "" : "; ");
}

static void print_values(const struct command *const *commands)
{
	puts("\tcase $verb:$prev in");
	for (; *commands != NULL; commands++) {
		struct option_use uses[OPTIONS_MAX];
		unsigned n = (*commands)->hidden ? 0 : options_list(*commands, uses);

		for (unsigned i = 0; i < n; i++) {
			if (uses[i].spec->argument != NULL &&
			    !option_value_is_optional(uses[i].spec))
				print_value(*commands, uses[i].spec);
		}
	}
	puts("\tesac");
}

static void print_options(const struct command *const *commands)
{
	puts("\tlocal options=\n\tcase $verb in");
	for (; *commands != NULL; commands++) {
		struct option_use uses[OPTIONS_MAX];
		unsigned n = options_list(*commands, uses);

		if ((*commands)->hidden)
			continue;
		printf("\t%s) options='", (*commands)->name);
		for (unsigned i = 0; i < n; i++)
			printf("%s--%s", i == 0 ? "" : " ", uses[i].spec->name);
		puts("' ;;");
	}
	puts("\tesac");
}

static void print_arguments(const struct command *const *commands)
{
	puts("\tcase $verb in");
	for (; *commands != NULL; commands++) {
		const char *offer =
			offer_of((*commands)->operand == NULL ? "" : (*commands)->operand);

		if (offer != NULL)
			printf("\t%s) %s ;;\n", (*commands)->name, offer);
	}
	puts("\tesac\n}\ncomplete -F _vmabak vmabak");
}

static int run(const void *given, struct report *report)
{
	const struct plain_options *options = given;
	const char *shell = options->common.arguments.items[0];
	struct error err = {0};

	if (strcmp(shell, "bash") != 0) {
		fail(&err, ERR_USAGE, "completion: unknown shell '%s'; supported: bash", shell);
		return report_error(report, NULL, &err);
	}
	report->no_document = true;
	fputs(head, stdout);
	print_sources();
	print_verbs(options->common.commands);
	print_values(options->common.commands);
	print_options(options->common.commands);
	fputs(tail, stdout);
	print_arguments(options->common.commands);
	return EXIT_DONE;
}

const struct command command_completion = {
	.name = "completion",
	.usage = "bash",
	.operand = "SHELL",
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
};
