/*
 * The pass over the drives: drives that tell a scripted layout, in parts of any length.
 */
#include "base/clusterset.h"
#include "cow/sweep.h"
#include "drive/kind.h"
#include "tests/unit/scratch.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Data where the layout has an 'x', zeros where it has a '.'; each stands for `grain` bytes. */
struct fake {
	struct drive drive;
	const char *layout;
	uint64_t grain;
	uint64_t chop; /* the most bytes that an answer covers; 0: all */
	uint64_t asked_to;
	unsigned reads;
};

static bool fake_zero(const struct fake *fake, uint64_t at)
{
	return fake->layout[at / fake->grain] == '.';
}

static int fake_status(struct drive *drive, uint64_t offset, uint64_t *n, bool *zero,
		       struct error *err)
{
	struct fake *fake = (struct fake *)drive;
	uint64_t end = offset;

	(void)err;
	CU_ASSERT(offset >= fake->asked_to);
	fake->asked_to = offset;
	*zero = fake_zero(fake, offset);
	while (end < drive->size_bytes && fake_zero(fake, end) == *zero)
		end += fake->grain - end % fake->grain;
	*n = end - offset;
	if (fake->chop != 0 && *n > fake->chop)
		*n = fake->chop;
	return 0;
}

static uint8_t byte_at(uint64_t at)
{
	return (uint8_t)(1 + at % 251);
}

static int fake_read(struct drive *drive, uint64_t offset, void *buffer, size_t n,
		     struct error *err)
{
	struct fake *fake = (struct fake *)drive;

	(void)err;
	fake->reads++;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)buffer)[i] = byte_at(offset + i);
	return 0;
}

static const struct drive_ops fake_ops = {.read = fake_read, .status = fake_status};

static struct fake fake_new(const char *layout, uint64_t grain, uint64_t cut, uint64_t chop)
{
	return (struct fake){
		.drive = {.ops = &fake_ops, .size_bytes = strlen(layout) * grain - cut},
		.layout = layout,
		.grain = grain,
		.chop = chop,
	};
}

/* The pieces as text: clusters of a run and 'x' or '.', pieces parted by '|'. */
static void sweep_to_text(struct drive *const *drives, uint32_t n, uint32_t window, char *out)
{
	struct sweep *sweep = NULL;
	struct sweep_piece *piece = malloc(sizeof *piece);
	struct error err;
	uint64_t cluster = 0;
	uint32_t drive = 0;
	const char *bar = "";

	CU_ASSERT_EQUAL_FATAL(sweep_new(&sweep, drives, n, window, &err), 0);
	out[0] = '\0';
	while (sweep_next(sweep, piece, &err) == 1) {
		if (piece->drive != drive)
			cluster = 0;
		drive = piece->drive;
		out += sprintf(out, "%s%u:", bar, drive);
		bar = "|";
		for (uint32_t i = 0; i < piece->n_runs; i++) {
			const struct sweep_run *run = &piece->runs[i];
			CU_ASSERT_EQUAL(run->cluster, cluster);
			cluster += run->n_clusters;
			out += sprintf(out, "%llu%c", (unsigned long long)run->n_clusters,
				       run->zero ? '.' : 'x');
		}
	}
	CU_ASSERT_EQUAL(sweep_next(sweep, piece, &err), 0);
	free(piece);
	sweep_free(sweep);
}

/* Blocks of 16 KiB, four to a cluster. */
static const struct {
	const char *layout;
	uint64_t cut; /* bytes missing at the end */
	uint32_t window;
	const char *pieces;
} layouts[] = {
	{"xxxx", 0, 64, "0:1x"},
	{"....", 0, 64, "0:1."},
	{"...x", 0, 64, "0:1x"},
	{"x...", 0, 64, "0:1x"},
	{".", 1, 64, "0:1."},
	{"....x", 16383, 64, "0:1.1x"},
	{"x....", 16383, 64, "0:1x1."},
	{"x.......x...", 0, 64, "0:1x1.1x"},
	{"...x....x...", 0, 64, "0:1x1.1x"},
	{"..x...........x.", 0, 64, "0:1x2.1x"},
	{"......x.........", 0, 64, "0:1.1x2."},
	{"....x...x...x...", 0, 2, "0:1.1x|0:2x"},
	{"x...x...........", 0, 2, "0:2x|0:2."},
	{"x.......x.......x.......", 0, 2, "0:1x1.|0:1x1.|0:1x1."},
	{"............x.......................x...", 0, 2, "0:2.|0:1.1x|0:4.|0:1.1x"},
	{"x...................", 0, 2, "0:1x1.|0:3."},
	{"xxxxxxxxxxxxxxxxxxxx", 0, 1, "0:1x|0:1x|0:1x|0:1x|0:1x"},
	{"....................", 0, 1, "0:5."},
};

static void pieces_follow_the_layout(void)
{
	static const uint64_t chops[] = {0, 1000, 4096, 16384, 40000, 65536, 100000, 131072};
	char text[4096] = "";

	for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
		for (size_t j = 0; j < sizeof chops / sizeof chops[0]; j++) {
			struct fake fake =
				fake_new(layouts[i].layout, 16384, layouts[i].cut, chops[j]);
			struct drive *drives[] = {&fake.drive};
			sweep_to_text(drives, 1, layouts[i].window, text);
			CU_ASSERT_STRING_EQUAL(text, layouts[i].pieces);
		}
	}
}

/* Zeros between all data clusters fill every run that a piece has. */
static void runs_up_to_the_limit(void)
{
	char layout[401], expected[2000], text[4096] = "", *to = expected;

	for (int i = 0; i < 400; i++)
		layout[i] = i % 2 ? 'x' : '.';
	layout[400] = '\0';
	struct fake fake = fake_new(layout, CLUSTER_SIZE, 0, 7000);
	struct drive *drives[] = {&fake.drive};
	for (int i = 0; i < 200; i++)
		to += sprintf(to, "%s1.1x", i == 0 ? "0:" : i % 32 == 0 ? "|0:" : "");
	sweep_to_text(drives, 1, 64, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void drives_one_after_the_other(void)
{
	struct fake a = fake_new("x", 100, 0, 0), none = fake_new("", 1, 0, 0),
		    b = fake_new(".x", CLUSTER_SIZE, 0, 0);
	struct drive *drives[] = {&none.drive, &a.drive, &none.drive,
				  &none.drive, &b.drive, &none.drive};
	char text[4096] = "";

	sweep_to_text(drives, 6, 64, text);
	CU_ASSERT_STRING_EQUAL(text, "1:1x|4:1.1x");
	sweep_to_text(drives, 1, 64, text);
	CU_ASSERT_STRING_EQUAL(text, "");
}

/* A cluster of drive, set and pieces each; a piece has, for each run, the first cluster and how
 * many of it are data or zeros. */
static const struct {
	const char *layout, *set;
	uint32_t window;
	const char *pieces;
	unsigned n_data;
} restricted[] = {
	{"xxxx", "....", 64, "", 0},
	{"xxxx", "+..+", 64, "0+1x3+1x", 2},
	{"xx..xx", ".++++.", 64, "1+1x2+2.4+1x", 2},
	{"x.x.x.", "++....", 64, "0+1x1+1.", 1},
	{"xxxxxxxx", "+......+", 2, "0+1x|7+1x", 2},
	{"xxxxxxxx", ".++++...", 2, "1+1x|2+2x|4+1x", 4},
	{"........", "++++++++", 2, "0+8.", 0},
	{"........", ".++++++.", 2, "1+1.|2+4.|6+1.", 0},
	{".......x", "+...+..+", 2, "0+1.|4+1.|7+1x", 1},
	{"x......x", "........", 1, "", 0},
	{"x.......", ".......+", 4, "7+1.", 0},
};

static struct cluster_set set_of(const char *text)
{
	struct cluster_set set = {0};
	struct error err;

	for (uint64_t i = 0; text[i] != '\0'; i++)
		if (text[i] == '+')
			CU_ASSERT_EQUAL(cluster_set_add(&set, i, 1, &err), 1);
	return set;
}

static void only_what_is_wanted(void)
{
	for (size_t i = 0; i < sizeof restricted / sizeof restricted[0]; i++) {
		struct fake fake = fake_new(restricted[i].layout, CLUSTER_SIZE, 100, 0);
		struct drive *drives[] = {&fake.drive};
		struct cluster_set set = set_of(restricted[i].set);
		const struct cluster_set *sets[] = {&set};
		char text[400] = "", *to = text;
		struct sweep_piece piece;
		struct sweep *sweep;
		atomic_bool stop = false;
		struct error err;

		CU_ASSERT_EQUAL_FATAL(sweep_new(&sweep, drives, 1, restricted[i].window, &err), 0);
		sweep_restrict(sweep, sets);
		while (sweep_next(sweep, &piece, &err) == 1) {
			to += sprintf(to, "%s", to == text ? "" : "|");
			for (uint32_t j = 0; j < piece.n_runs; j++)
				to += sprintf(to, "%llu+%llu%c",
					      (unsigned long long)piece.runs[j].cluster,
					      (unsigned long long)piece.runs[j].n_clusters,
					      piece.runs[j].zero ? '.' : 'x');
		}
		CU_ASSERT_STRING_EQUAL(text, restricted[i].pieces);
		fake.asked_to = 0;
		CU_ASSERT_EQUAL(sweep_survey(sweep, &stop),
				(uint64_t)restricted[i].n_data * CLUSTER_SIZE);
		sweep_free(sweep);
		cluster_set_free(&set);
	}
}

static void reads_data_runs_whole(void)
{
	struct fake fake = fake_new("xx.xxx", CLUSTER_SIZE, 65000, 50000);
	struct drive *drives[] = {&fake.drive};
	uint8_t *buffer = malloc(5 * CLUSTER_SIZE);
	struct sweep *sweep = NULL;
	struct sweep_piece piece;
	struct error err;

	memset(buffer, 0xee, 5 * CLUSTER_SIZE);
	CU_ASSERT_EQUAL_FATAL(sweep_new(&sweep, drives, 1, 64, &err), 0);
	CU_ASSERT_EQUAL(sweep_next(sweep, &piece, &err), 1);
	CU_ASSERT_EQUAL(piece.n_data, 5);
	CU_ASSERT_EQUAL(sweep_read(sweep, &piece, buffer, &err), 0);
	CU_ASSERT_EQUAL(fake.reads, 2);
	for (size_t i = 0; i < 5 * CLUSTER_SIZE; i++) {
		uint64_t at = i < 2 * CLUSTER_SIZE ? i : i + CLUSTER_SIZE;
		if (buffer[i] != (at < fake.drive.size_bytes ? byte_at(at) : 0)) {
			CU_FAIL("a byte is not that of the drive");
			break;
		}
	}
	sweep_free(sweep);
	free(buffer);
}

/* tmpfs takes files that large; ext4 does not. */
static void a_hole_of_64_tib_costs_nothing(void)
{
	char path[] = "/dev/shm/vmabak-unit-XXXXXX";
	const off_t size = (off_t)64 << 40;
	int fd = mkstemp(path);
	struct drive_options options = {.format = "raw"};
	struct drive *drive = NULL;
	struct error err;
	char text[4096] = "";

	if (fd < 0 || ftruncate(fd, size) != 0) {
		printf("\nskipped: no tmpfs at /dev/shm for a file of 64 TiB\n");
	} else {
		CU_ASSERT_EQUAL(pwrite(fd, "a", 1, (off_t)1 << 45), 1);
		CU_ASSERT_EQUAL(pwrite(fd, "b", 1, size - 1), 1);
		CU_ASSERT_EQUAL_FATAL(drive_open(&drive, path, &options, &err), 0);
		double start = scratch_processor_seconds();
		sweep_to_text(&drive, 1, 64, text);
		CU_ASSERT(scratch_processor_seconds() - start < 0.5);
		CU_ASSERT_STRING_EQUAL(text, "0:536870912.|0:1x63.|0:536870784.|0:63.1x");
		drive_close(drive);
	}
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
}

void test_sweep(void)
{
	CU_pSuite suite = CU_add_suite("sweep", NULL, NULL);

	CU_ADD_TEST(suite, pieces_follow_the_layout);
	CU_ADD_TEST(suite, only_what_is_wanted);
	CU_ADD_TEST(suite, runs_up_to_the_limit);
	CU_ADD_TEST(suite, drives_one_after_the_other);
	CU_ADD_TEST(suite, reads_data_runs_whole);
	CU_ADD_TEST(suite, a_hole_of_64_tib_costs_nothing);
}
