/*
 * What is told of an archive that was written.
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

struct create;
struct report;

/* After create_write: a line on standard error, or the fields of the JSON result. */
void summary_tell(const struct create *create, struct report *report);

#endif
