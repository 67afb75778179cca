#ifndef CLI_BACKUP_PULL_H
#define CLI_BACKUP_PULL_H

struct backup_options;
struct report;

/* backup --qmp: of a machine that runs under a QEMU as it is. Returns the exit code. */
int backup_pull(const struct backup_options *options, struct report *report);

#endif
