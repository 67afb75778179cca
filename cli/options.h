/*
 * Options: declared once in the table of commands, read by one function into one struct.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"

struct command;

/* Of OPTION_CHOICE; 0: not given. */
enum progress_choice { PROGRESS_AUTO = 1, PROGRESS_ALWAYS, PROGRESS_NEVER };
enum sync_choice { SYNC_TOP = 1, SYNC_FULL };
enum full_choice { FULL_CHOICE_ABORT = 1, FULL_CHOICE_WAIT };
enum format_choice { FORMAT_BY_NAME, FORMAT_CHOICE_VMAB, FORMAT_CHOICE_VMA };

/* Every option of every command; those not given are zero, but for what options_parse sets. */
struct options {
	const struct command *command;
	struct strings arguments; /* what is not an option */

	bool help;
	bool quiet;
	bool verbose;
	bool json;
	unsigned progress;    /* enum progress_choice */
	uint64_t progress_fd; /* UINT64_MAX: none */

	const char *output;
	unsigned format; /* enum format_choice */
	const char *compress;
	bool no_vma_checksums;
	uint64_t record_size; /* bytes, 0: free */
	uint64_t threads;     /* not given: one a processor */
	uint64_t rate;	      /* bytes per second, 0: no limit */
	bool no_sync;
	bool force;

	struct strings config_files;
	const char *note;
	const char *uuid;
	bool allow_writers;
	bool direct;

	const char *directory; /* not given: "." */
	struct strings drives;
	bool configs;
	bool no_configs;

	const char *map;
	struct strings donors;
	const char *qmp; /* backup, qemu-drives: the socket of QEMU's monitor */
	const char *guest_agent;
	unsigned sync_mode; /* enum sync_choice */
	bool pull;
	const char *pull_server; /* with pull: the socket of QEMU's */

	const char *libvirt; /* backup: the name of a domain */
	const char *connect; /* a URI of libvirt's */
	const char *scratch; /* a folder */
	bool quiesce;
	bool thaw;

	const char *serve; /* backup: the control socket */
	uint64_t buffer;   /* bytes, as spill; not given: UINT64_MAX */
	uint64_t spill;
	const char *spill_dir;
	unsigned on_full; /* enum sync_choice { SYNC_TOP = 1, SYNC_FULL };
enum full_choice */
	const char *freeze_command;
	const char *thaw_command;
	uint64_t freeze_timeout; /* seconds, 0: not given */

	const char *control; /* serve: the control socket */
	struct strings nbd;
	bool read_only;
	struct strings maps;
	const char *tls_certificates;
	const char *tls_psk;
	bool tls_verify_peer;
	bool plain_loopback;

	bool quick;
	bool version; /* of the program, not of a command */
};

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *; the last one counts */
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
	size_t field;	      /* offset in struct options */
	const char *argument; /* what help calls the value; NULL for a flag */
	const char *help;
	const char *choices; /* words with blanks between; also what completion offers */
	uint64_t min, max;
};

#define OPTIONS_MAX 48u /* of one command */

/* Reads argv[1] and on by the command's table. *out is initialised first, whatever comes. Returns 0
 * or ERR_USAGE. */
int options_parse(const struct command *command, int argc, char **argv, struct options *out,
		  struct error *err);
void options_free(struct options *options);

/* All specs of a command in one list; returns how many. */
unsigned options_list(const struct command *command, const struct option_spec *out[OPTIONS_MAX]);

#endif
