/*
 * What several commands tell of their results.
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

struct create;
struct json_t;
struct report;
struct restore_plan;

/* After create_write: a line on standard error, or the fields of the JSON result. */
void summary_tell(const struct create *create, struct report *report);

/* The member "configs" of a result: those that were restored, and where to. */
void summary_put_configs(const struct restore_plan *plan, struct json_t *result);

#endif
