/*
 * Groups of options that several commands have.
 */
#ifndef CLI_GROUPS_H
#define CLI_GROUPS_H

#include "archive/create_plan.h"
#include "cli/command.h"

/* Of struct common_options. */
extern const struct option_spec common_specs[];
/* Less of it: for commands that print what they find, or serve until they are stopped. */
extern const struct option_spec brief_specs[];
extern const struct option_spec serving_specs[];
/* Beside them: --json. */
extern const struct option_spec result_specs[];
/* The same for commands that read or write archives; and for those that do so in order. */
extern const struct option_spec store_specs[];
extern const struct option_spec tape_specs[];

/* For commands with no options of their own. */
struct plain_options {
	struct common_options common;
};
extern const struct plain_options plain_defaults;

/* Of struct create_options: where an archive goes and in which format; how it is written. */
extern const struct option_spec output_specs[];
extern const struct option_spec writing_specs[];
extern const struct option_spec extent_specs[]; /* VMAB only */
extern const struct option_spec resume_specs[];

/* Of struct serve_options: where NBD clients come, and which. */
extern const struct option_spec place_specs[];

/* Of struct folder_options: a folder of chains. */
extern const struct option_spec folder_specs[];

/* Of struct machine_options: how the machine is frozen; how it is reached and saved. */
extern const struct option_spec consistency_specs[];
extern const struct option_spec running_specs[];

/* --threads, --parents, --cache, --rate and --no-sync, in any struct. */
#define OPTION_THREADS(STRUCT, in)                                                     \
	{                                                                              \
		"threads", 0, OPTION_NUMBER, OPTION_FIELD(STRUCT, in),                 \
			.argument = "N", .min = 1, .max = 256,                         \
			.help = "use N threads, 1 to 256 (default: one per processor)" \
	}
#define OPTION_PARENTS(STRUCT, in)                                                      \
	{                                                                               \
		"parents", 0, OPTION_LIST, OPTION_FIELD(STRUCT, in),                    \
			.argument = "DIR",                                              \
			.help = "also look for parents in this folder; may be repeated" \
	}
#define OPTION_CACHE(STRUCT, in)                                                              \
	{                                                                                     \
		"cache", 0, OPTION_SIZE, OPTION_FIELD(STRUCT, in),                            \
			.argument = "SIZE", .min = VIEW_CACHE_MIN, .max = INT64_MAX,          \
			.help = "keep at most this much decoded data, at least 8M (default: " \
				"256M)"                                                       \
	}
#define OPTION_READ_RATE(STRUCT, in)                                                     \
	{                                                                                \
		"rate", 0, OPTION_PACE, OPTION_FIELD(STRUCT, in),                        \
			.argument = "RATE",                                              \
			.help = "read at most this much per second, such as 10M, or by " \
				"local time 20M@08:00-18:00,0 (default: 0, no limit)"    \
	}
#define OPTION_NO_SYNC(STRUCT, in, text)                                          \
	{                                                                         \
		"no-sync", 0, OPTION_FLAG, OPTION_FIELD(STRUCT, in), .help = text \
	}

#endif
