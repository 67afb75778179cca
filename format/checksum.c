#define XXH_STATIC_LINKING_ONLY /* for a hash state on the stack */
#include "format/layout.h"

#include <openssl/md5.h>
#include <xxhash.h>

static_assert(sizeof(XXH128_canonical_t) == CHECKSUM_SIZE, "a checksum is its bytes");

void checksum_bytes(const void *bytes, size_t size, uint8_t out[CHECKSUM_SIZE])
{
	XXH128_canonicalFromHash((XXH128_canonical_t *)out, XXH3_128bits(bytes, size));
}

bool checksum_in_place(uint8_t *bytes, size_t size, size_t field)
{
	XXH3_state_t state;
	uint8_t before[CHECKSUM_SIZE], *after = bytes + field;

	memcpy(before, after, CHECKSUM_SIZE);
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, bytes, field);
	XXH3_128bits_update(&state, after + CHECKSUM_SIZE, size - field - CHECKSUM_SIZE);
	XXH128_canonicalFromHash((XXH128_canonical_t *)after, XXH3_128bits_digest(&state));
	return memcmp(after, before, CHECKSUM_SIZE) == 0;
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

bool md5_in_place(uint8_t *bytes, size_t size, size_t field)
{
	uint8_t before[MD5_SIZE], *after = bytes + field;

	memcpy(before, after, MD5_SIZE);
	memset(after, 0, MD5_SIZE);
	return memcmp(MD5(bytes, size, after), before, MD5_SIZE) == 0;
}
