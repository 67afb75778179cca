/*
 * What a prune tells of a machine, and of the folder.
 */
#ifndef CLI_TELL_PRUNE_H
#define CLI_TELL_PRUNE_H

struct folder;
struct json_t;
struct prune;
struct report;

void prune_put(const struct prune *prune, struct json_t *machines);
void prune_print(const struct prune *prune);
/* How many were removed, and which are not whole. */
void prune_tell(const struct prune *prune, struct report *report);
/* Files of other names than those of machines that keep everything. */
void prune_tell_unknown(const struct folder *folder, struct report *report);

#endif
