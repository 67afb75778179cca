/*
 * What the fuzz targets have in common: each is one file with LLVMFuzzerTestOneInput, and runs
 * under libFuzzer, AFL++, or replay.c, which needs neither.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
/* libFuzzer's own; NULL where it is not linked. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

/* What must hold, whatever came in. */
#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* An input over these bytes, in place of files and pipes: borrowed. */
struct input;
void memory_input_use(const uint8_t *bytes, size_t size);

#endif
