#ifndef CLI_BACKUP_PUSH_H
#define CLI_BACKUP_PUSH_H

struct backup_options;
struct report;

/* backup --qmp: of a machine that runs under a QEMU as it is. Returns the exit code. */
int backup_push(const struct backup_options *options, struct report *report);

#endif
