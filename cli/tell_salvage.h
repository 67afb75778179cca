/*
 * The result of a salvage, as text or as JSON.
 */
#ifndef CLI_TELL_SALVAGE_H
#define CLI_TELL_SALVAGE_H

struct report;
struct rescue;

/* After rescue_run. */
void tell_salvage(const struct rescue *rescue, struct report *report);

#endif
