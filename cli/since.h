/*
 * What a running machine recorded since the parent's instant, and what the new instant is called
 * there.
 */
#ifndef CLI_SINCE_H
#define CLI_SINCE_H

#include "machine/machine.h"

struct create;
struct drive_changes;
struct increment_choice;
struct report;

struct since {
	struct machine_since told; /* for begin */
	char **tokens;		   /* owned; told's */
	uint32_t n_drives;
};

/* After create_prepare: out has the tokens that the drives have in the parent. Free *out even after
 * an error. */
int since_begin(struct since *out, const struct machine_kind *kind, struct machine *machine,
		const struct create *create, struct error *err);
/* After that: the drives get tokens of their own. */
int since_name(const struct machine_kind *kind, struct machine *machine, struct create *create,
	       struct error *err);
/* Between the two: proves what a machine recorded whose instant cannot be read. Of a drive of which
 * it is wrong all will be read. */
int since_prove(struct since *since, const struct machine_kind *kind, struct machine *machine,
		const struct increment_choice *choice, struct create *create, struct report *report,
		struct error *err);
/* After begin: what is known, into the changes. The others are told, and why. */
int since_ask(const struct since *since, const struct machine_kind *kind, struct machine *machine,
	      const struct create *create, struct drive_changes *changes, struct report *report,
	      struct error *err);
/* After the proof of what it asked: as since_prove, of machines whose instant was read. */
int since_judge(const struct since *since, const struct machine_kind *kind, struct machine *machine,
		struct create *create, struct error *err);
void since_free(struct since *since);

#endif
