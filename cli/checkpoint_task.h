/*
 * What the actions of the command checkpoint are given; its files have it in common.
 */
#ifndef CLI_CHECKPOINT_TASK_H
#define CLI_CHECKPOINT_TASK_H

#include "cli/command.h"
#include "machine/checkpoint.h"

/* Of export, import, send, receive and migrate. */
struct checkpoint_moving {
	const char *output;
	const char *dump;
	uint64_t chunk_bytes;
	const char *to_state;
	bool unwritten;
	bool answers;
};

#define CHECKPOINT_MOVING_DEFAULTS .chunk_bytes = 1024

struct checkpoint_rebuilding {
	const char *parent;
	struct strings parents;
	uint64_t rate;
};

struct checkpoint_command {
	struct common_options common;
	struct machine_options machine;
	struct checkpoint_moving moving;
	struct checkpoint_rebuilding rebuilding;
	bool force;
};

/* The machine is open; its list is there for the actions that want it. */
struct task {
	const struct checkpoint_command *command;
	const struct checkpoint_kind *kind;
	struct checkpoint_source *source;
	const char *name; /* the word before SOURCE; NULL: none */
	const char *to;	  /* migrate: the last word, and SOURCE is the one before; else NULL */
	struct checkpoint_list list;
	struct report *report;
};

/* checkpoint_kinds.c: the kind of machine that a word names, and its place. */
int checkpoint_find_kind(const char *word, struct machine_options *machine,
			 const struct checkpoint_kind **out, struct error *err);

/* ---- checkpoint_moves.c ---- */

extern const struct option_spec checkpoint_move_specs[]; /* of struct checkpoint_moving */

int checkpoint_export(struct task *task, struct error *err);
int checkpoint_import(struct task *task, struct error *err);
int checkpoint_send(struct task *task, struct error *err);
int checkpoint_receive(struct task *task, struct error *err);
int checkpoint_migrate(struct task *task, struct error *err);

/* ---- checkpoint_rebuild.c ---- */

extern const struct option_spec checkpoint_rebuild_specs[]; /* of struct checkpoint_rebuilding */

int checkpoint_rebuild(struct task *task, struct error *err);

#endif
