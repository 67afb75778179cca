/*
 * Checkpoints that move between maps: what arrives, in which order and how often, what is refused,
 * and that no bit of a stream can be wrong, and no byte missing, unnoticed.
 */
#include "tests/unit/one_move.h"
#include "tests/unit/suites.h"

#include "base/bytes.h"
#include "cow/mapstream.h"

#include <CUnit/CUnit.h>
#include <stdio.h>

#define CLUSTERS 1300u /* three chunks of 64 bytes, the last with a bit less */
#define ROOM	 8192u

static struct checkpoint_source from, to;
static struct error err;
static uint8_t stream[ROOM];
static size_t n_stream;

static void make(struct checkpoint_source *source)
{
	*source = (struct checkpoint_source){.size_bytes = (uint64_t)CLUSTERS * CLUSTER_SIZE - 5,
					     .still = true};
	CU_ASSERT_FATAL(generation_new(&source->map, source->size_bytes, &err) == 0);
}

/* A checkpoint of an archive, and since then clusters 0, 511, 512 and 1299. */
static void make_both(void)
{
	struct checkpoint line = {.name = "c", .uuid = {7}, .instant_ns = 9, .good = true};

	make(&from);
	make(&to);
	generation_mark(from.map, 3, 1);
	line.generation = generation_advance(from.map);
	CU_ASSERT_FATAL(checkpoints_add(generation_checkpoints(from.map), &line, &err) == 0);
	generation_mark(from.map, 0, 1);
	generation_mark(from.map, 511, 2);
	generation_mark(from.map, CLUSTERS - 1, 1);
	from.last_ns = generation_began_ns(to.map) + 1;
}

static void free_both(void)
{
	one_free(&from);
	one_free(&to);
}

static int export(void)
{
	const struct move_end end = one_end_of(&from);
	struct move_stream *writer;
	struct move_counts counts;
	struct move_sink sink;
	int fd = memfd_create("stream", MFD_CLOEXEC), code;

	CU_ASSERT_FATAL(move_stream_new(&writer, &sink, fd, -1, &err) == 0);
	code = moves_send(&end, "c", 64, &sink, &counts, &err);
	move_stream_free(writer);
	n_stream = (size_t)pread(fd, stream, sizeof(stream), 0);
	CU_ASSERT_FATAL(n_stream < ROOM);
	close(fd);
	return code;
}

static int import(bool trust)
{
	return one_import(&to, stream, n_stream, trust, &err);
}

static void bits_are_added(void)
{
	uint64_t n;

	make_both();
	generation_mark(to.map, 600, 1);
	CU_ASSERT(export() == 0);
	CU_ASSERT(import(false) == 0);
	CU_ASSERT(one_is_good(&to, "c"));
	CU_ASSERT(generation_count(to.map, 0) == 5);
	CU_ASSERT(generation_changed(to.map, 0, 511, &n) && generation_changed(to.map, 0, 600, &n));
	CU_ASSERT(!generation_changed(to.map, 0, 3, &n));
	/* What comes later than an instant here does not count as written after it. */
	CU_ASSERT(generation_advance(to.map) == 1);
	CU_ASSERT(import(false) == 0);
	CU_ASSERT(generation_count(to.map, 1) == 0 && generation_count(to.map, 0) == 5);
	free_both();
}

static void what_is_refused_and_why(void)
{
	struct checkpoint line = {.name = "c", .good = true};

	make_both();
	from.last_ns = generation_began_ns(to.map) - 1;
	CU_ASSERT(export() == 0 && import(false) == ERR_SYSTEM && !one_is_good(&to, "c"));
	CU_ASSERT(strstr(err.text, "--unwritten") != NULL);
	CU_ASSERT(import(true) == 0 && one_is_good(&to, "c"));
	free_both();

	make_both();
	from.still = false;
	CU_ASSERT(export() == 0 && import(false) == ERR_SYSTEM && !one_is_good(&to, "c"));
	from.still = true;
	generation_mark(from.map, 8, 1);
	CU_ASSERT(export() == 0 && import(false) == 0 && generation_count(to.map, 0) == 5);
	free_both();

	make_both();
	CU_ASSERT(export() == 0);
	CU_ASSERT(one_import(&from, stream, n_stream, false, &err) == ERR_USAGE);
	line.generation = generation_advance(to.map);
	CU_ASSERT(checkpoints_add(generation_checkpoints(to.map), &line, &err) == 0);
	CU_ASSERT(import(false) == ERR_USAGE && strstr(err.text, "exists already") != NULL);
	free_both();

	make_both();
	CU_ASSERT(export() == 0);
	to.size_bytes -= CLUSTER_SIZE;
	CU_ASSERT(import(false) == ERR_USAGE && strstr(err.text, "where it goes") != NULL);
	free_both();
}

/* The same instant under another name, or of another archive. */
static void an_instant_has_one_name(void)
{
	struct checkpoint line;
	struct checkpoints *table;

	make_both();
	CU_ASSERT(export() == 0 && import(false) == 0);
	table = generation_checkpoints(from.map);
	CU_ASSERT(checkpoints_find(table, "c", &line));
	CU_ASSERT(checkpoints_delete(table, "c", &err) == 0);
	line.uuid[0] = 8;
	CU_ASSERT(checkpoints_add(table, &line, &err) == 0);
	CU_ASSERT(export() == 0 && import(false) == ERR_USAGE && one_is_good(&to, "c"));
	CU_ASSERT(strstr(err.text, "the same instant") != NULL);
	free_both();
}

static void no_bit_is_wrong_unnoticed(void)
{
	unsigned n_taken = 0, n_good = 0;

	make_both();
	CU_ASSERT(export() == 0);
	/* The last record is the end of the stream: before it nothing is missing any more. */
	for (size_t i = 0; i < n_stream * 8; i++) {
		stream[i / 8] ^= (uint8_t)(1u << i % 8);
		n_taken += import(true) == 0;
		n_good += i < (n_stream - 24) * 8 && one_is_good(&to, "c");
		stream[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	CU_ASSERT(n_taken == 0 && n_good == 0);
	CU_ASSERT(import(true) == 0 && generation_count(to.map, 0) == 4);
	free_both();
}

static void no_byte_is_missing_unnoticed(void)
{
	size_t n_all;
	unsigned n_wrong = 0;

	make_both();
	CU_ASSERT(export() == 0);
	n_all = n_stream;
	for (n_stream = 0; n_stream < n_all; n_stream++) {
		/* When all but the very end has come, nothing is missing any more. */
		n_wrong += import(true) != ERR_INCOMPLETE;
		n_wrong += n_stream < n_all - 24 - 40 && one_is_good(&to, "c");
	}
	CU_ASSERT(n_wrong == 0);
	CU_ASSERT(import(true) == 0 && one_is_good(&to, "c"));
	free_both();
}

/* Records of another stream are noticed: the id is their seed. */
static void streams_are_not_spliced(void)
{
	static uint8_t other[ROOM];
	size_t n_other;

	make_both();
	CU_ASSERT(export() == 0);
	memcpy(other, stream, n_stream);
	n_other = n_stream;
	CU_ASSERT(export() == 0 && n_other == n_stream);
	memcpy(other, stream, MAPSTREAM_HEAD);
	CU_ASSERT(one_import(&to, other, n_other, true, &err) == ERR_DAMAGED);
	free_both();
}

static size_t add(size_t at, uint64_t id, const struct mapstream_record *record)
{
	return at + mapstream_put(stream + at, id, record, NULL);
}

static struct mapstream_record drive_record(uint32_t number)
{
	struct mapstream_record record = {
		.kind = MAPSTREAM_DRIVE, .drive = number, .chunk_bytes = 64};

	one_outline(&from, 0, "c", &record.outline, &err);
	return record;
}

/* Right checksums, and nonsense: each a change of one record. */
static void nonsense_is_damage(void)
{
	static const uint8_t bits[64] = {1};
	const struct {
		struct mapstream_record record;
		int code;
	} cases[] = {
		{{.kind = MAPSTREAM_CHUNKS, .chunk = 3, .n = 1}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .chunk = 1, .n = 3}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .chunk = UINT64_MAX, .n = 1}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .chunk = 0, .n = 0}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .chunk = 0, .n = UINT32_MAX}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .n = 1, .bits = bits, .n_bytes = 63}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .drive = 1, .n = 1}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_CHUNKS, .drive = UINT32_MAX, .n = 1}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_END, .drive = 1}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_TAKEN, .n = 1}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_HAVE}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_RESULT}, ERR_DAMAGED},
		{{.kind = MAPSTREAM_DONE, .drive = 2}, ERR_DAMAGED},
		{{.kind = 8}, ERR_UNSUPPORTED},
	};
	struct mapstream_record drive;
	size_t at;

	make_both();
	drive = drive_record(0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mapstream_put_head(stream, 5);
		at = add(add(MAPSTREAM_HEAD, 5, &drive), 5, &cases[i].record);
		CU_ASSERT(one_import(&to, stream, at, true, &err) == cases[i].code);
	}
	drive.outline.line.origin_id = 0;
	at = add(MAPSTREAM_HEAD, 5, &drive);
	CU_ASSERT(one_import(&to, stream, at, true, &err) == ERR_DAMAGED);
	drive = drive_record(0);
	drive.chunk_bytes = 8;
	at = add(MAPSTREAM_HEAD, 5, &drive);
	CU_ASSERT(one_import(&to, stream, at, true, &err) == ERR_UNSUPPORTED);
	drive = drive_record(7);
	at = add(MAPSTREAM_HEAD, 5, &drive);
	CU_ASSERT(one_import(&to, stream, at, true, &err) == ERR_DAMAGED);
	free_both();
}

static unsigned hex_bytes(const char *path, uint8_t *out, unsigned room)
{
	FILE *spec = fopen(path, "r"); /* from the top folder, as make runs it */
	char line[256];
	unsigned n = 0, byte;
	int length = 0;

	CU_ASSERT_FATAL(spec != NULL);
	while (fgets(line, sizeof(line), spec) != NULL) {
		for (char *at = line; strncmp(line, "    ", 4) == 0; at += length) {
			if (sscanf(at, " %2x%n", &byte, &length) != 1 || n == room)
				break;
			out[n++] = (uint8_t)byte;
		}
	}
	fclose(spec);
	return n;
}

static void the_example_of_the_specification(void)
{
	uint64_t n;

	to = (struct checkpoint_source){.size_bytes = 16 * CLUSTER_SIZE};
	CU_ASSERT_FATAL(generation_new(&to.map, to.size_bytes, &err) == 0);
	n_stream = hex_bytes("spec/moves.md", stream, ROOM);
	CU_ASSERT(import(true) == 0);
	CU_ASSERT_STRING_EQUAL(err.text, "");
	CU_ASSERT(one_is_good(&to, "c") && generation_count(to.map, 0) == 2);
	CU_ASSERT(generation_changed(to.map, 0, 0, &n) && generation_changed(to.map, 0, 15, &n));
	one_free(&to);
}

void test_moves(void)
{
	CU_pSuite suite = CU_add_suite("checkpoints that move", NULL, NULL);

	CU_ADD_TEST(suite, bits_are_added);
	CU_ADD_TEST(suite, what_is_refused_and_why);
	CU_ADD_TEST(suite, an_instant_has_one_name);
	CU_ADD_TEST(suite, no_bit_is_wrong_unnoticed);
	CU_ADD_TEST(suite, no_byte_is_missing_unnoticed);
	CU_ADD_TEST(suite, streams_are_not_spliced);
	CU_ADD_TEST(suite, nonsense_is_damage);
	CU_ADD_TEST(suite, the_example_of_the_specification);
}
