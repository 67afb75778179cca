/*
 * A checkpoint that was exported (spec/moves.md): any bytes, imported into a map that has recorded
 * some, twice.
 *
 * Byte 0: the checksums of all records are made right first, and the user's word counts.
 */
#include "base/bytes.h"
#include "cow/mapstream.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/one_move.h"

#include <xxhash.h>

#define CLUSTERS 1300u
#define ROOM	 (1u << 17)

enum { RIGHT_CHECKS = 1, TRUST = 2 };

static uint8_t bytes[ROOM];

static void put_checks(size_t n)
{
	uint64_t id = n < MAPSTREAM_HEAD ? 0 : get_le(bytes + 8, 8);
	size_t at = MAPSTREAM_HEAD;

	while (at + MAPSTREAM_HEAD <= n) {
		uint64_t length = get_le(bytes + at + 4, 4);
		uint8_t head[16];

		if (length > n - at - MAPSTREAM_HEAD)
			break;
		memcpy(head, bytes + at, 8);
		put_le(head + 8, 8, XXH3_64bits_withSeed(bytes + at + MAPSTREAM_HEAD, length, id));
		put_le(bytes + at + 8, 8, XXH3_64bits_withSeed(head, sizeof(head), id));
		at += MAPSTREAM_HEAD + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint_source to = {.size_bytes = CLUSTERS * (uint64_t)CLUSTER_SIZE - 5};
	struct error err = {0};
	uint64_t n, before = 0;
	int code;

	if (size < 1 || size > ROOM)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	if (data[0] & RIGHT_CHECKS)
		put_checks(size - 1);
	MUST(generation_new(&to.map, to.size_bytes, &err) == 0);
	generation_mark(to.map, 7, 3);
	for (unsigned i = 0; i < 2; i++) {
		code = one_import(&to, bytes, size - 1, (data[0] & TRUST) != 0, &err);
		MUST(code <= 0 && (code == 0 || err.text[0] != '\0'));
		/* What was recorded stays, and nothing is behind the end. */
		MUST(generation_changed(to.map, 0, 7, &n) && n >= 3);
		MUST(generation_count(to.map, 0) <= CLUSTERS);
		MUST(i == 0 || generation_count(to.map, 0) == before);
		before = generation_count(to.map, 0);
	}
	one_free(&to);
	return 0;
}
