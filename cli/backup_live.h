#ifndef CLI_BACKUP_LIVE_H
#define CLI_BACKUP_LIVE_H

struct backup_options;
struct report;

/* backup --serve: of drives that a running serve has. Returns the exit code. */
int backup_live(const struct backup_options *options, struct report *report);

#endif
