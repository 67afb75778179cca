/*
 * The keys of --tls-psk, read once: GnuTLS would read the file in every handshake, and crashes
 * there when memory runs out (seen with 3.7.9). Private to nbd/.
 */
#ifndef NBD_PSK_H
#define NBD_PSK_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct psk {
	struct psk *next;
	size_t name_size, key_size;
	uint8_t bytes[]; /* the name, then the key */
};

/* A file of USER:HEXKEY lines, as psktool writes it. On success *out has at least one key. */
int psk_read(struct psk **out, const char *path, struct error *err);
/* NULL: no such user. */
const struct psk *psk_find(const struct psk *keys, const void *name, size_t size);
void psk_free(struct psk *keys); /* NULL-safe */

#endif
