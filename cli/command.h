/*
 * What a command is: a row with its options and its help, in a file of its own, cli/cmd_NAME.c.
 * Dispatch, help, completion and the check of the man pages are driven by these rows; options.h
 * reads a command line by them.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/text.h"
#include "cli/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first member of every command's struct. */
struct common_options {
	struct strings arguments; /* what is not an option */
	uint64_t given;		  /* a bit for each option of the command, in order */
	bool help;
	const char *s3_endpoint; /* NULL: as the environment says */
	const char
		*next_volume; /* a command that changes tapes; NULL: ask, if there is a terminal */
	struct report_options report;
	const struct command *const *commands; /* all there are, ended by NULL */
};

/* For the initial value of a command's struct; options that are not given keep it. */
#define COMMON_DEFAULTS .report = {.progress = {.fd = UINT64_MAX}}

enum option_kind {
	OPTION_FLAG,   /* bool; this and a list may be repeated */
	OPTION_TEXT,   /* const char * */
	OPTION_OUTPUT, /* the same: an archive to be written; /dev/stdout becomes "-" */
	OPTION_FOLDER, /* the same: a folder to write it to, instead */
	OPTION_LIST,   /* struct strings */
	OPTION_CHOICE, /* unsigned: which of choices, from 1 */
	OPTION_NUMBER, /* uint64_t, min to max */
	OPTION_SIZE,   /* the same, with a unit */
	OPTION_RATE,   /* the same, with "/s" or without */
	OPTION_PACE,   /* the same, or a schedule: base/pace.h */
};

struct option_spec {
	const char *name; /* long, without dashes; NULL ends an array */
	char letter;	  /* or 0 */
	enum option_kind kind;
	size_t field;	      /* offset in the struct of its group */
	const char *argument; /* what help calls the value; NULL for a flag. "[=...]": a choice that
				 may be left out, for the first one */
	const char *help;
	const char *choices; /* words with blanks between; of a text: what completion offers */
	uint64_t min, max;
	unsigned sources; /* kinds of source it is for, as bits (cli/sources.h); 0: any */
};

/* Options that stand together in help, and fill one struct. Several commands may share them. */
struct option_group {
	const char *title; /* in help; NULL: the one before goes on */
	const struct option_spec *specs;
	size_t at; /* offset of the group's struct in that of the command */
};

/* One entry of an array of specs, for a field of STRUCT. */
#define OPTION_FIELD(STRUCT, in) .field = offsetof(struct STRUCT, in)
#define OPTIONS_END          \
	{                    \
		.name = NULL \
	}

#define OPTION_GROUPS 16u /* of one command, and one that ends them */

struct command {
	const char *name;
	const char *usage;   /* what follows the name */
	const char *operand; /* what its arguments are, for completion: ARCHIVE, SOCKET, ... */
	const char *summary; /* one line */
	const char *help;    /* the longer text, with an example */
	/* Returns the exit code; warnings are the report's affair. options: the command's own
	 * struct. */
	int (*run)(const void *options, struct report *report);
	struct option_group groups[OPTION_GROUPS]; /* ended by one without specs */
	const void *defaults;			   /* the initial value of its struct */
	size_t options_size;			   /* bytes of it */
	unsigned min_arguments, max_arguments;
	bool hidden;
};

/* The row's members for a command whose struct begins as this variable. */
#define COMMAND_DEFAULTS(variable) .defaults = &(variable), .options_size = sizeof(variable)

/* ---- cmd_help.c ---- */

struct program_options {
	struct common_options common;
	bool version;
};

extern const struct command command_none; /* --help, --version */

/* Prints what --help prints, of one command or, with command_none, of all. */
void help_print(const struct command *command, const struct command *const *commands);

/* ---- version.c ---- */

/* Prints the versions of the program and of its libraries, into the JSON result or as text. */
void version_print(struct report *report);

#endif
