/*
 * Numbers for people.
 */
#ifndef BASE_HUMAN_H
#define BASE_HUMAN_H

#include <stddef.h>
#include <stdint.h>

#define HUMAN_SIZE 32u /* bytes of any text made here */

/* "0 B", "512 B", "4.0 KiB", "935 MiB" */
char *human_size(char out[HUMAN_SIZE], uint64_t bytes);
/* "0.3 s", "42 s", "3:05", "1:02:03" */
char *human_duration(char out[HUMAN_SIZE], double seconds);
/* Nanoseconds: "850 ns", "12 us", "3.4 ms", "1.2 s" */
char *human_delay(char out[HUMAN_SIZE], uint64_t ns);
/* Nanoseconds since 1970 as "2026-11-20T10:43:11Z". */
char *human_time(char out[HUMAN_SIZE], int64_t ns);
/* The same in the time zone of TZ, as "2026-11-20 11:43:11 CET". */
char *human_local_time(char out[HUMAN_SIZE], int64_t ns);
#define HUMAN_CLEAN 4u /* human_clean makes at most this many bytes of one */

/* Appends the first character of these bytes to out in a form that is safe for a terminal: the
 * character itself, or its first byte as \xNN if it is a control character (C1 too), invisible,
 * changes the direction of writing or is not UTF-8. Returns how many bytes it took. */
size_t human_clean(const uint8_t *bytes, size_t length, char *out, size_t *used);
/* A text of an archive for a terminal: harmless UTF-8 is copied, so that notes can be read in any
 * language; everything else becomes \xNN. Cut with "..." if out, of at least 8 bytes, is too small.
 * Returns out. */
char *human_note(char *out, size_t out_size, const uint8_t *bytes, size_t length);

#endif
