/*
 * What users type, read strictly: the whole text, in range, or not at all.
 *
 * Each returns false and leaves *out alone when the text is not what it should be; the caller knows
 * what to call it.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include "base/grain.h"

#include <stdbool.h>

#define UUID_TEXT_SIZE 37u /* bytes, the NUL included */

/* Decimal digits only. */
bool parse_number(const char *text, uint64_t *out);

/* Digits and at most one unit: 10 (bytes), 10K = 10KiB = 10 * 1024, 10KB = 10 * 1000; so for K, M,
 * G, T, P. */
bool parse_size(const char *text, uint64_t *out);

/* A size, "/s" after it or not: bytes per second. */
bool parse_rate(const char *text, uint64_t *out);

enum compress_method { COMPRESS_DEFAULT, COMPRESS_NONE, COMPRESS_ZSTD, COMPRESS_GZIP };

struct compress {
	enum compress_method method;
	int level; /* 0: not said */
};

/* none, zstd[:1-19], gzip[:1-9] */
bool parse_compress(const char *text, struct compress *out);

/* The value of a hexadecimal digit of either case; -1: it is none. */
int parse_hex_digit(char c);
/* 8-4-4-4-12 hexadecimal digits of either case, not all zero. */
bool parse_uuid(const char *text, uint8_t out[UUID_SIZE]);
char *format_uuid(char out[UUID_TEXT_SIZE], const uint8_t uuid[UUID_SIZE]);

#endif
