/*
 * Memory for the command line, in small amounts. Without it the program ends, cleanly.
 */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <stddef.h>

/* Before anything else: large buffers come from the system and are returned to it immediately. */
void memory_start(void);
/* n * size zeroed bytes, n and size not both large. Owned by the caller. */
void *memory_new(size_t n, size_t size);
/* Says that there is no memory, removes unfinished files, and ends the program. */
_Noreturn void memory_give_up(void);
/* As realloc. */
void *memory_grow(void *old, size_t n, size_t size);

#endif
