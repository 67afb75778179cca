/* The only place that knows byte order. n is the size of the integer, 1 to 8. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t get_le(const uint8_t *bytes, unsigned n)
{
	uint64_t value = 0;
	while (n > 0)
		value = value << 8 | bytes[--n];
	return value;
}

static inline uint64_t get_be(const uint8_t *bytes, unsigned n)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

static inline void put_le(uint8_t *bytes, unsigned n, uint64_t value)
{
	for (unsigned i = 0; i < n; i++, value >>= 8)
		bytes[i] = (uint8_t)value;
}

static inline void put_be(uint8_t *bytes, unsigned n, uint64_t value)
{
	for (; n > 0; value >>= 8)
		bytes[--n] = (uint8_t)value;
}

static inline bool all_zero(const uint8_t *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

#endif
