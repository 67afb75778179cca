#define XXH_STATIC_LINKING_ONLY /* for a hash state on the stack */
#include "format/bytes.h"
#include "format/layout.h"

#include <openssl/evp.h>
#include <string.h>
#include <xxhash.h>

void checksum_bytes(const void *bytes, size_t size, uint8_t out[CHECKSUM_SIZE])
{
	XXH128_canonicalFromHash((XXH128_canonical_t *)out, XXH3_128bits(bytes, size));
}

void checksum_around(const uint8_t *bytes, size_t size, size_t hole, uint8_t out[CHECKSUM_SIZE])
{
	XXH3_state_t state;
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, bytes, hole);
	XXH3_128bits_update(&state, bytes + hole + CHECKSUM_SIZE, size - hole - CHECKSUM_SIZE);
	XXH128_canonicalFromHash((XXH128_canonical_t *)out, XXH3_128bits_digest(&state));
}

void checksum_cluster(enum cluster_checksum kind, const uint8_t cluster[CLUSTER_SIZE],
		      uint8_t out[CHECKSUM_SIZE])
{
	memset(out, 0, CHECKSUM_SIZE);
	if (kind == CLUSTER_XXH3_128)
		checksum_bytes(cluster, CLUSTER_SIZE, out);
	else if (kind == CLUSTER_XXH3_64)
		put_be(out, 8, XXH3_64bits(cluster, CLUSTER_SIZE));
}

/* VMA headers are hashed with the field of the MD5 itself zero. Whether it was right before. */
bool md5_in_place(uint8_t *bytes, size_t size, size_t field)
{
	uint8_t before[MD5_SIZE];
	memcpy(before, bytes + field, MD5_SIZE);
	memset(bytes + field, 0, MD5_SIZE);
	EVP_Digest(bytes, size, bytes + field, NULL, EVP_md5(), NULL);
	return memcmp(bytes + field, before, MD5_SIZE) == 0;
}
