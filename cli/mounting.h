/*
 * The process that serves a mount, until it does.
 */
#ifndef CLI_MOUNTING_H
#define CLI_MOUNTING_H

struct child;
struct report;

/* Until it is mounted, when it says so, or has ended without. What it says until then
 * is said here, but for the failure with JSON, which becomes its error. The exit code. */
int mounting_await(struct child *child, struct report *report);

#endif
