/*
 * The marks at both ends of an archive's part on one tape.
 */
#include "base/bytes.h"
#include "format/volume.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

static const struct volume_mark sample = {.kind = VOLUME_END_GOES_ON,
					  .set = "a set of volumes",
					  .uuid = "uuid of archive",
					  .number = 7,
					  .record_size = 65536,
					  .place = UINT64_C(5) << 40,
					  .written_ns = -1};

static void what_was_built_is_parsed(void)
{
	uint8_t bytes[VOLUME_MARK_SIZE];
	struct volume_mark found;
	struct error err;

	volume_build(&sample, bytes);
	CU_ASSERT(volume_is_mark(bytes, 8) && !volume_is_mark(bytes, 7));
	CU_ASSERT_FATAL(volume_parse(bytes, &found, &err) == 0);
	CU_ASSERT(found.kind == sample.kind && found.number == 7 && found.record_size == 65536);
	CU_ASSERT(found.place == sample.place && found.written_ns == -1);
	CU_ASSERT(memcmp(found.set, sample.set, UUID_SIZE) == 0);
	CU_ASSERT(memcmp(found.uuid, sample.uuid, UUID_SIZE) == 0);
}

static void every_bit_counts(void)
{
	uint8_t bytes[VOLUME_MARK_SIZE];
	struct volume_mark found;
	struct error err;
	unsigned n = 0;

	volume_build(&sample, bytes);
	for (unsigned i = 0; i < VOLUME_MARK_SIZE * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		n += volume_parse(bytes, &found, &err) == ERR_DAMAGED;
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	CU_ASSERT(n == VOLUME_MARK_SIZE * 8);
}

/* Sets so many bytes at an offset, with the checksum right. */
static int parse_with(unsigned offset, unsigned n, uint64_t value)
{
	uint8_t bytes[VOLUME_MARK_SIZE];
	struct volume_mark found;
	struct error err;

	volume_build(&sample, bytes);
	put_le(bytes + offset, n, value);
	checksum_bytes(bytes, 0x1f0, bytes + 0x1f0);
	return volume_parse(bytes, &found, &err);
}

static void what_is_refused(void)
{
	CU_ASSERT(parse_with(0x08, 4, 2) == ERR_UNSUPPORTED);
	CU_ASSERT(parse_with(0x0c, 4, 0) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x0c, 4, 4) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x30, 4, 0) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x30, 4, VOLUME_NUMBER_MAX + 1) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x34, 4, 0) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x34, 4, 513) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x34, 4, 16777216 + 512) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x34, 4, 16777216) == 0);
	CU_ASSERT(parse_with(0x38, 8, UINT64_MAX) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x48, 1, 1) == ERR_DAMAGED);
	CU_ASSERT(parse_with(0x1ef, 1, 1) == ERR_DAMAGED);
}

/* The bytes of spec/tape.md, section 5. */
static void the_example_of_the_specification(void)
{
	uint8_t bytes[VOLUME_MARK_SIZE] = {0}, built[VOLUME_MARK_SIZE];
	char line[256];
	struct volume_mark found;
	struct error err;
	FILE *spec = fopen("spec/tape.md", "r"); /* from the top folder, as make runs it */

	CU_ASSERT_FATAL(spec != NULL);
	while (fgets(line, sizeof line, spec) != NULL) {
		unsigned at, byte;
		int skip = 0, length = 0;
		if (sscanf(line, "    %8x  %n", &at, &skip) != 1 || skip != 14 || at > 0x1f0)
			continue;
		for (char *text = line + skip; sscanf(text, "%2x%n", &byte, &length) == 1;
		     text += length + 1)
			bytes[at++] = (uint8_t)byte;
	}
	fclose(spec);
	CU_ASSERT_FATAL(volume_parse(bytes, &found, &err) == 0);
	CU_ASSERT(found.kind == VOLUME_LABEL && found.number == 1);
	CU_ASSERT(found.record_size == 262144 && found.place == 0);
	CU_ASSERT(found.set[15] == 16 && found.uuid[0] == 17);
	volume_build(&found, built);
	CU_ASSERT(memcmp(built, bytes, VOLUME_MARK_SIZE) == 0);
}

void test_volume(void)
{
	CU_pSuite suite = CU_add_suite("volumes of tapes", NULL, NULL);

	CU_ADD_TEST(suite, what_was_built_is_parsed);
	CU_ADD_TEST(suite, every_bit_counts);
	CU_ADD_TEST(suite, what_is_refused);
	CU_ADD_TEST(suite, the_example_of_the_specification);
}
