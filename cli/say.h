/*
 * All text that may reach a terminal is printed here. It contains names from archives, files and
 * peers: everything that a terminal could take for a command, or show as something else, is printed
 * as \xNN. tests/arrows.sh proves that no other code prints text. JSON is ASCII and printed by
 * base/json.c.
 */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdint.h>
#include <stdio.h>

/* As printf. A line feed breaks the line only at the two ends of the format; elsewhere, as in a
 * name, it is printed as \x0a. Allocates nothing; text beyond 8 KiB is cut. */
void say(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same past stdio, whose locks others may hold. If nobody reads it, it is not printed. */
void say_now(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints text of several lines. */
void say_lines(FILE *to, const uint8_t *bytes, size_t length);

#endif
