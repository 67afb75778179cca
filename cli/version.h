#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include "cli/report.h"

/* Prints the versions of the program and of its libraries, into the JSON result or as text. */
void version_print(struct report *report);

#endif
