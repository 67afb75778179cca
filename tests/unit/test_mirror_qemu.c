/*
 * What a mirror of a QEMU copies itself, beside QEMU's job: where the guest wrote meanwhile the
 * target has what the guest wrote in the end, also when a batch was broken off.
 */
#include "base/clock.h"
#include "machine/mirror_target.h"
#include "machine/qemu/mirror_parts.h"
#include "machine/qemu/qmp.h"
#include "tests/unit/fake_drive.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTERS 8u

/* QEMU, as far as it is asked here. */
static struct script {
	bool on;
	struct qemu_mirror *mirror;
	struct fake_drive *from;
	uint64_t cluster;   /* the guest writes it, before each harvest */
	const char *writes; /* of this; '.': nothing; '0': zeros */
	unsigned n_opens;   /* of the monitor, */
	unsigned refused;   /* and which of them another program has it at */
	unsigned n_harvest; /* that were made */
} qemu;

int __real_qmp_open(struct qmp **out, const char *place, struct error *err);
int __wrap_qmp_open(struct qmp **out, const char *place, struct error *err);
void __real_qmp_close(struct qmp *qmp);
void __wrap_qmp_close(struct qmp *qmp);
int __real_bits_harvest(struct qmp *qmp, const struct mirrored *drive, struct cluster_set *out,
			struct error *err);
int __wrap_bits_harvest(struct qmp *qmp, const struct mirrored *drive, struct cluster_set *out,
			struct error *err);

int __wrap_qmp_open(struct qmp **out, const char *place, struct error *err)
{
	if (!qemu.on)
		return __real_qmp_open(out, place, err);
	if (++qemu.n_opens == qemu.refused) {
		atomic_store(&qemu.mirror->leaving, true);
		return fail(err, ERR_LOCKED, "in use");
	}
	*out = NULL;
	return 0;
}

void __wrap_qmp_close(struct qmp *qmp)
{
	if (!qemu.on)
		__real_qmp_close(qmp);
}

/* The guest's write came while the batch was copied: the job wrote it, and the batch the old bytes
 * after it. */
int __wrap_bits_harvest(struct qmp *qmp, const struct mirrored *drive, struct cluster_set *out,
			struct error *err)
{
	if (!qemu.on)
		return __real_bits_harvest(qmp, drive, out, err);
	int now = qemu.n_harvest < strlen(qemu.writes) ? qemu.writes[qemu.n_harvest] : '.';

	qemu.n_harvest++;
	if (now == '.')
		return 0;
	memset(qemu.from->bytes + qemu.cluster * CLUSTER_SIZE, now == '0' ? 0 : now, CLUSTER_SIZE);
	return cluster_set_include(out, qemu.cluster, 1, err) < 0 ? err->code : 1;
}

/* Copies all. refused: the time at which the monitor is another's. again: the next batch is broken
 * off at once, too. */
static void copy(const char *writes, unsigned refused, bool again)
{
	static struct qemu_mirror mirror;
	struct mirrored *drive = &mirror.drives[0];
	struct fake_drive from, to;
	struct error err;

	mirror = (struct qemu_mirror){.place = "x", .n_drives = 1};
	fake_make(&from, CLUSTERS * CLUSTER_SIZE);
	fake_make(&to, CLUSTERS * CLUSTER_SIZE);
	for (uint64_t i = 0; i < CLUSTERS; i++)
		memset(from.bytes + i * CLUSTER_SIZE, 'o', CLUSTER_SIZE);
	memset(from.holes, 0, CLUSTERS * CLUSTER_SIZE / FAKE_GRAIN);
	*drive = (struct mirrored){.size_bytes = CLUSTERS * CLUSTER_SIZE,
				   .n_clusters = CLUSTERS,
				   .fresh = true,
				   .output = {.fd = -1, .drive = &to.drive},
				   .from = &from.drive};
	CU_ASSERT_FATAL(cluster_set_include(&drive->need, 0, CLUSTERS, &err) >= 0);
	qemu = (struct script){true, &mirror, &from, 5, writes, 0, refused, 0};
	CU_ASSERT_EQUAL(qmirror_copy(&mirror, drive, &err), refused == 0 ? 0 : ERR_LOCKED);
	if (again)
		CU_ASSERT_EQUAL(qmirror_copy(&mirror, drive, &err), 0);
	atomic_store(&mirror.leaving, false);
	while (!qmirror_copied(drive))
		CU_ASSERT_EQUAL_FATAL(qmirror_copy(&mirror, drive, &err), 0);
	qemu.on = false;
	CU_ASSERT(qemu.n_harvest > 0 && from.bytes[5 * CLUSTER_SIZE] != 'o');
	CU_ASSERT_EQUAL(memcmp(from.bytes, to.bytes, CLUSTERS * CLUSTER_SIZE), 0);
	cluster_set_free(&drive->need);
	cluster_set_free(&drive->seen);
	cluster_set_free(&drive->doubtful);
	fake_free(&from);
	fake_free(&to);
}

static void what_the_guest_wrote_stays(void)
{
	copy("n", 0, false);
	copy("0", 0, false);
}

/* Each time that it is copied again. */
static void what_the_guest_writes_on_and_on_stays(void)
{
	copy("n.m", 0, false);
	copy("n.m.0", 0, false);
	copy("n.m.k.l", 0, false);
}

static void what_is_broken_off_is_settled_later(void)
{
	for (unsigned refused = 1; refused <= 3; refused++) {
		copy("n", refused, false);
		copy("n", refused, true);
	}
}

/* Of two files that were there one after the other, also where they have the same inode. */
static void a_file_that_was_replaced_is_another(void)
{
	const char *path = scratch("replaced");
	struct statx found = {0};
	uint64_t last = 0, now;

	for (unsigned i = 0; i < 10; i++) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		CU_ASSERT_FATAL(fd >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &found) == 0);
		now = mirror_target_inode(path);
		CU_ASSERT(now != 0 && now == mirror_target_inode(path));
		CU_ASSERT(write(fd, "a", 1) == 1 && now == mirror_target_inode(path));
		CU_ASSERT(now != last || !(found.stx_mask & STATX_BTIME));
		last = now;
		close(fd);
		unlink(path);
		clock_sleep_ms(12); /* a file system may count time in ticks */
	}
	CU_ASSERT(mirror_target_inode(path) == 0);
}

#define MIB UINT64_C(1048576)

struct guest {
	struct mirrored drive;
	int64_t now_ms;
	uint64_t done, left;
};

/* Whether it is told to write faster than the target takes it, after so many looks in each of which
 * so much was added to what is left, and so much written. */
static bool diverges(struct guest *guest, unsigned n, uint64_t added, uint64_t written)
{
	for (unsigned i = 0; i < n; i++) {
		guest->left = guest->left + added > written ? guest->left + added - written : 0;
		guest->done += written;
		atomic_store(&guest->drive.job_bytes, guest->left);
		qmirror_compare(&guest->drive, guest->done, guest->left, guest->now_ms += 200);
	}
	return atomic_load(&guest->drive.n_worse) >= 3;
}

static struct guest guest_new(void)
{
	return (struct guest){.drive = {.n_clusters = 8, .cursor = 8}, .left = 64 * MIB};
}

static void guests_that_are_faster_than_the_target_are_noticed(void)
{
	struct guest guest = guest_new();

	CU_ASSERT(!diverges(&guest, 25, 2 * MIB, MIB)); /* a burst */
	CU_ASSERT(diverges(&guest, 25, 2 * MIB, MIB));
	CU_ASSERT(!diverges(&guest, 25, 0, MIB));
	guest = guest_new();
	CU_ASSERT(diverges(&guest, 50, MIB, MIB));
	CU_ASSERT(!diverges(&guest, 200, 0, MIB));
	guest = guest_new();
	CU_ASSERT(!diverges(&guest, 50, MIB / 2, MIB));
	guest = guest_new();
	CU_ASSERT(!diverges(&guest, 50, MIB, 0));
	/* What it writes once more is in flight until the next look. */
	guest = guest_new();
	for (unsigned i = 0; i < 50; i++) {
		diverges(&guest, 1, 0, MIB * (i % 4));
		guest.left = 64 * MIB;
	}
	CU_ASSERT(diverges(&guest, 1, 0, MIB));
	/* While we copy as well. */
	guest = guest_new();
	guest.drive.cursor = 7;
	CU_ASSERT(!diverges(&guest, 50, 2 * MIB, MIB));
	guest.drive.cursor = 8;
	CU_ASSERT(!diverges(&guest, 25, 2 * MIB, MIB));
}

void test_mirror_qemu(void)
{
	CU_pSuite suite = CU_add_suite("mirror-qemu", scratch_make, scratch_remove);

	CU_ADD_TEST(suite, what_the_guest_wrote_stays);
	CU_ADD_TEST(suite, what_the_guest_writes_on_and_on_stays);
	CU_ADD_TEST(suite, what_is_broken_off_is_settled_later);
	CU_ADD_TEST(suite, guests_that_are_faster_than_the_target_are_noticed);
	CU_ADD_TEST(suite, a_file_that_was_replaced_is_another);
}
