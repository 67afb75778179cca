/*
 * Bit maps: bit i is bit i % 64 of word i / 64. Runs of bits are given by their first bit and their
 * end, and are never empty unless the contract says so.
 *
 * The atomic twins are for maps that threads share: whoever sees a bit sees all that the thread
 * that set it had written before.
 */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Words of a map of n bits. */
static inline uint64_t bits_words(uint64_t n)
{
	return n / 64 + 1;
}

/* The part of the run that lies in the word of its first bit. */
static inline uint64_t bits_mask(uint64_t first, uint64_t end)
{
	uint64_t mask = UINT64_MAX << first % 64;

	return first / 64 == end / 64 ? mask & ~(UINT64_MAX << end % 64) : mask;
}

/* The first bit of the next word. */
static inline uint64_t bits_next_word(uint64_t at)
{
	return (at / 64 + 1) * 64;
}

/* Sets a run, which may be empty; returns how many of its bits were clear. */
static inline uint64_t bits_set(uint64_t *map, uint64_t first, uint64_t end)
{
	uint64_t n_clear = 0;

	for (; first < end; first = bits_next_word(first)) {
		uint64_t mask = bits_mask(first, end), *word = &map[first / 64];
		n_clear += (uint64_t)__builtin_popcountll(mask & ~*word);
		*word |= mask;
	}
	return n_clear;
}

static inline uint64_t bits_set_atomic(_Atomic uint64_t *map, uint64_t first, uint64_t end)
{
	uint64_t n_clear = 0;

	for (; first < end; first = bits_next_word(first)) {
		uint64_t mask = bits_mask(first, end);
		uint64_t word =
			atomic_fetch_or_explicit(&map[first / 64], mask, memory_order_acq_rel);
		n_clear += (uint64_t)__builtin_popcountll(mask & ~word);
	}
	return n_clear;
}

/* Returns how many were set. */
static inline uint64_t bits_clear_atomic(_Atomic uint64_t *map, uint64_t first, uint64_t end)
{
	uint64_t n_set = 0;

	for (; first < end; first = bits_next_word(first)) {
		uint64_t mask = bits_mask(first, end);
		uint64_t word =
			atomic_fetch_and_explicit(&map[first / 64], ~mask, memory_order_acq_rel);
		n_set += (uint64_t)__builtin_popcountll(mask & word);
	}
	return n_set;
}

/* The first bit from at on that is set, or clear; end if there is none before it. */
static inline uint64_t bits_find(const uint64_t *map, uint64_t at, uint64_t end, bool set)
{
	for (; at < end; at = bits_next_word(at)) {
		uint64_t word = (set ? map[at / 64] : ~map[at / 64]) & bits_mask(at, end);
		if (word != 0)
			return at / 64 * 64 + (uint64_t)__builtin_ctzll(word);
	}
	return end;
}

static inline uint64_t bits_find_atomic(const _Atomic uint64_t *map, uint64_t at, uint64_t end,
					bool set)
{
	for (; at < end; at = bits_next_word(at)) {
		uint64_t word = atomic_load_explicit(&map[at / 64], memory_order_acquire);
		word = (set ? word : ~word) & bits_mask(at, end);
		if (word != 0)
			return at / 64 * 64 + (uint64_t)__builtin_ctzll(word);
	}
	return end;
}

static inline bool bits_test(const uint64_t *map, uint64_t i)
{
	return (map[i / 64] >> i % 64 & 1) != 0;
}

static inline bool bits_test_atomic(const _Atomic uint64_t *map, uint64_t i)
{
	return (atomic_load_explicit(&map[i / 64], memory_order_acquire) >> i % 64 & 1) != 0;
}

#endif
