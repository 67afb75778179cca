/*
 * Options: declared in the tables of the commands, read by one function into each command's own
 * struct. Groups that several commands share fill a struct that lies within it.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"

struct command;

/* Of OPTION_CHOICE; 0: not given. */
enum progress_choice { PROGRESS_AUTO = 1, PROGRESS_ALWAYS, PROGRESS_NEVER };

/* The first member of every command's struct. */
struct common_options {
	struct strings arguments; /* what is not an option */
	uint64_t given;		  /* a bit for each option of the command, in order */
	bool help;
	bool quiet;
	bool verbose;
	bool json;
	unsigned progress;    /* enum progress_choice */
	uint64_t progress_fd; /* UINT64_MAX: none */
};

/* For the initial value of a command's struct; what is not given is left as it is there. */
#define COMMON_DEFAULTS .progress_fd = UINT64_MAX

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *; the last one counts */
	OPTION_OUTPUT, /* the same: an archive to be written; /dev/stdout becomes "-" */
	OPTION_LIST,   /* struct strings */
	OPTION_CHOICE, /* unsigned: which of choices, from 1 */
	OPTION_NUMBER, /* uint64_t, min to max */
	OPTION_SIZE,   /* the same, with a unit */
	OPTION_RATE,   /* the same, with "/s" or without */
};

struct option_spec {
	const char *name; /* long, without dashes; NULL ends an array */
	char letter;	  /* or 0 */
	enum option_kind kind;
	size_t field;	      /* offset in the struct of its group */
	const char *argument; /* what help calls the value; NULL for a flag */
	const char *help;
	const char *choices; /* words with blanks between; also what completion offers */
	uint64_t min, max;
	unsigned sources; /* kinds of source it is for, as bits (cli/sources.h); 0: any */
};

struct option_group {
	const char *title; /* in help; NULL: the one before goes on */
	const struct option_spec *specs;
	size_t at; /* where the struct of the group lies in that of the command */
};

/* One entry of an array of specs, for a field of STRUCT. */
#define OPTION_FIELD(STRUCT, in) .field = offsetof(struct STRUCT, in)
#define OPTIONS_END {.name = NULL}

/* An option as a command has it. */
struct option_use {
	const struct option_spec *spec;
	const char *title; /* of its group; the same pointer within one */
	size_t field;	   /* offset in the struct of the command */
};

#define OPTIONS_MAX 56u /* of one command; common_options.given has room for 64 */

/* All options of a command in one list; returns how many. */
unsigned options_list(const struct command *command, struct option_use out[OPTIONS_MAX]);

/* Reads argv[1] and on by the command's table. out, command->options_size bytes, is initialised
 * first, whatever comes, and released by options_free. Returns 0 or ERR_USAGE. */
int options_parse(const struct command *command, int argc, char **argv, void *out,
		  struct error *err);
void options_free(const struct command *command, void *options);

/* Where the archive that the command writes goes; NULL: it writes none. */
const char *options_output(const struct command *command, const void *options);

#endif
