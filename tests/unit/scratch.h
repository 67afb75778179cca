/*
 * A private folder for the files of a suite, and what tests need of the system around them.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* For CU_add_suite: makes the folder, and removes it with all that is in it. */
int scratch_make(void);
int scratch_remove(void);

/* The path of a name in it. The text is good for a few calls more. */
const char *scratch(const char *name);
/* How many entries it has, those with a leading dot included. */
unsigned scratch_count(void);

/* Whole files. scratch_read returns what the caller frees, with a NUL after it; *n may be NULL. */
void scratch_write(const char *path, const void *bytes, size_t n);
char *scratch_read(const char *path, size_t *n);
bool scratch_is(const char *path, const void *bytes, size_t n);
bool scratch_exists(const char *path);

/* As system(), the command made as by printf. */
int scratch_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A loop device over a file, its name in device; false, and a line that says so, when there can be
 * none. */
bool scratch_loop(const char *path, unsigned sector_size, char device[64]);
void scratch_unloop(const char *device);

/* Runs a qemu-io with these options that has the image open, until it is given to pclose; returns
 * when it has it. NULL when that did not work. */
FILE *scratch_hold(const char *options, const char *path);

/* Runs test in a child process in which the first n of these system calls fail with this error, and
 * returns what it returned; false if the child did not get so far. */
bool scratch_denied(const int *calls, unsigned n, int error, bool (*test)(void));

/* Whether test, which gives a file its name, returns true also on file systems that know no
 * renameat2 or no linkat, and false when renameat2 really fails; and leaves nothing. */
bool scratch_publishes(bool (*test)(void));

/* Bytes that repeat only after a long time and are never 0, the same for the same seed. */
void scratch_fill(uint8_t *out, size_t n, uint32_t seed);

double scratch_seconds(void);
/* Of the processor: what others do does not count. */
double scratch_processor_seconds(void);

/* Suites in files of their own, added by test_drive, test_capture, test_target and test_output. */
void test_capture_since(void);
void test_capture_waits(void);
void test_capture_threads(void);
void test_sweep(void);
void test_drive_write(void);
void test_captive(void);
void test_nbd_clients(void);
void test_nbd_listen(void);
void test_output_stream(void);

#endif
