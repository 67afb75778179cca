#ifndef CLI_BACKUP_PULL_H
#define CLI_BACKUP_PULL_H

struct options;
struct report;

/* backup --qmp: of a machine that runs under a QEMU as it is. Returns the exit code. */
int backup_pull(const struct options *options, struct report *report);

#endif
