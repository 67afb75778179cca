/*
 * Options of increments: how change lists are proved, and what instants are called.
 */
#ifndef CLI_GROUP_INCREMENT_H
#define CLI_GROUP_INCREMENT_H

#include "cli/command.h"

struct changes;
struct create;
struct drive;
struct error;
struct json_t;
struct proof_live;
struct report;

struct increment_choice {
	struct strings tokens; /* NAME=TEXT */
	const char *audit;     /* 1/K or 0; NULL: the default */
	bool since_unchecked;
	bool strict;
	unsigned incremental; /* 2: require */
};

extern const struct option_spec increment_specs[];

/* What can be refused before anything is opened. */
int increment_choice_check(const struct increment_choice *choice, bool has_parent,
			   struct error *err);

/* Whether an archive without a parent, or with all of a drive, is an error. */
bool increment_required(const struct increment_choice *choice);

/* After create_prepare, before create_open: tokens, those of lists, too, and whether parent and
 * lists can be used. changes: of each drive, or NULL. */
int increment_name(const struct increment_choice *choice, struct create *create,
		   struct changes *const *changes, struct report *report, struct error *err);
/* After that, before create_write: the proof of the lists. Those that still count have PROOF_RIGHT
 * in create->marks then. drives: see increment_prove. */
int increment_apply(const struct increment_choice *choice, struct create *create,
		    struct drive *const *drives, struct changes *const *changes,
		    struct report *report, struct error *err);

/* Before that, of a machine whose instant cannot be read: see increment_prove_live. */
int increment_apply_live(const struct increment_choice *choice, struct create *create,
			 uint32_t drive, struct changes *list, const struct proof_live *live,
			 struct report *report, struct error *err);

/* What was proved: a line, and the member "proofs" of the result. */
void increment_tell(const struct create *create, struct report *report);

/* The members of a drive's token and proof; result: of the drive, or NULL. */
struct drive_mark;
void increment_put_mark(const struct drive_mark *mark, struct json_t *result);

#endif
