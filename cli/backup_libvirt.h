#ifndef CLI_BACKUP_LIBVIRT_H
#define CLI_BACKUP_LIBVIRT_H

struct options;
struct report;

/* backup --libvirt: of a domain that runs. Returns the exit code. */
int backup_libvirt(const struct options *options, struct report *report);

#endif
