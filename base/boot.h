/*
 * Which boot of the host this is: what the kernel was given is there as long as it is the same.
 */
#ifndef BASE_BOOT_H
#define BASE_BOOT_H

#include <stdint.h>

#define BOOT_ID_SIZE 16u

/* All zeros, which no boot has, if it is unknown. */
void read_boot_id(uint8_t out[BOOT_ID_SIZE]);

#endif
