/*
 * The one way by which text goes to a terminal. Names of archives, files and peers are in it: what
 * a terminal could take for a command, or would show as something else, goes out as \xNN, whoever
 * calls. tests/arrows.sh sees to it that nobody prints otherwise. JSON is ASCII, and goes its own
 * way.
 */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdint.h>
#include <stdio.h>

/* As printf. A line feed counts at the two ends of the format alone: one in a name is shown. Takes
 * no memory; text beyond 8 KiB is cut. */
void say(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes that are text of several lines, to a terminal. */
void say_lines(FILE *to, const uint8_t *bytes, size_t length);

#endif
