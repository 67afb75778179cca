/*
 * The other side of machine/qemu/line.h, played by the bytes of an input, and a clock that it turns.
 *
 * Bytes are said as they are, a piece whenever somebody waits for one: it ends with a line, or
 *   0x01   here, within a line
 *   0x02   here, and nothing is said until the time of who waits is over
 *   0x03   is a mebibyte of 'a'
 *   0x04   is the number after the last "id": that was heard
 * After the last piece the peer hangs up, or says nothing more.
 *
 * Linked with --wrap of connect, poll, clock_gettime and nanosleep. One thread.
 */
#ifndef TESTS_FUZZ_SCRIPT_PEER_H
#define TESTS_FUZZ_SCRIPT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next connect of this thread leads to the peer; others fail. Borrowed. */
void script_peer_use(const uint8_t *script, size_t size, bool hangs_up);
/* Ends what is left of it. */
void script_peer_end(void);

#endif
