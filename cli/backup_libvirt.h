#ifndef CLI_BACKUP_LIBVIRT_H
#define CLI_BACKUP_LIBVIRT_H

struct backup_options;
struct report;

/* backup --libvirt: of a domain that runs. Returns the exit code. */
int backup_libvirt(const struct backup_options *options, struct report *report);

#endif
