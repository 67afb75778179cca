/*
 * A backup of any source.
 */
#ifndef CLI_BACKUP_MACHINE_H
#define CLI_BACKUP_MACHINE_H

struct backup_options;
struct machine_kind;
struct report;

/* Returns the exit code. */
int backup_machine(const struct machine_kind *kind, const struct backup_options *options,
		   struct report *report);

#endif
