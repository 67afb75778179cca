#include "archive/folder_next.h"
#include "cli/groups.h"

#include <limits.h>

const struct option_spec folder_specs[] = {
	{"to", 0, OPTION_FOLDER, OPTION_FIELD(folder_options, folder), .argument = "DIR",
	 .help = "instead of -o: add to the chain of archives of --name in this folder"},
	{"name", 0, OPTION_TEXT, OPTION_FIELD(folder_options, machine), .argument = "VM",
	 .help = "with --to: what the machine is called there"},
	{"full-every", 0, OPTION_TEXT, OPTION_FIELD(folder_options, full_every),
	 .argument = "N|TIME",
	 .help = "with --to: a full archive after N archives, or after 12h, 7d, 4w (default: 30; "
		 "0: never)"},
	{"lock-wait", 0, OPTION_NUMBER, OPTION_FIELD(folder_options, lock_wait),
	 .argument = "SECONDS", .max = INT_MAX,
	 .help = "with --to: how long to wait for another run for that machine (default: 0)"},
	OPTIONS_END,
};
