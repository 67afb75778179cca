/*
 * Before an archive is written: drives, configs and sizes are judged. After a salvage: the lost
 * ranges of a drive.
 */
#include "archive/configs.h"
#include "archive/create.h"
#include "archive/recovery.h"
#include "base/place.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void begin(struct create *create, struct create_options *options, const char *name)
{
	static const struct head_options head;
	struct error err = {0};

	*options = (struct create_options){.name = scratch(name), .force = true};
	CU_ASSERT_FATAL(create_begin(create, options, &head, &err) == 0);
}

static void refuses_drives(void)
{
	struct create_options options;
	struct create create;
	struct error err = {0};

	scratch_write(scratch("a.vmab"), "old", 3);
	begin(&create, &options, "a.vmab");
	CU_ASSERT_EQUAL(create_add_drive(&create, "root", "elsewhere.raw", &err), 0);
	CU_ASSERT_EQUAL(create_add_drive(&create, "data", NULL, &err), 0);
	CU_ASSERT_EQUAL(create_add_drive(&create, "root", NULL, &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "taken already"));
	CU_ASSERT_EQUAL(create_add_drive(&create, "self", scratch("a.vmab"), &err), ERR_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is the output itself"));
	CU_ASSERT_EQUAL(create.archive->n_drives, 2);
	create_close(&create);
}

static void sizes_fit_the_format(void)
{
	struct create_options options;
	struct create create;
	struct error err = {0};

	begin(&create, &options, "b.vmab");
	CU_ASSERT_EQUAL(create_add_drive(&create, "root", NULL, &err), 0);
	create_set_size(&create, 0, 513, NULL);
	CU_ASSERT_EQUAL(create.archive->drives[0].size_bytes, 513);
	create_close(&create);

	begin(&create, &options, "b.vma");
	CU_ASSERT_EQUAL(create_add_drive(&create, "root", NULL, &err), 0);
	create_set_size(&create, 0, 513, NULL);
	CU_ASSERT_EQUAL(create.archive->drives[0].size_bytes, 1024);
	create_set_size(&create, 0, 512, NULL);
	CU_ASSERT_EQUAL(create.archive->drives[0].size_bytes, 512);
	create_close(&create);
}

static struct text text_of(const char *text)
{
	return (struct text){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void copies_configs(void)
{
	struct archive *archive = calloc(1, sizeof(*archive));
	struct error err = {0};
	char bytes[] = "memory: 512";

	CU_ASSERT_FATAL(archive != NULL);
	CU_ASSERT_FALSE(configs_have(archive, text_of("a.conf")));
	CU_ASSERT_EQUAL(configs_add(archive, "a.conf", text_of(bytes), &err), 0);
	CU_ASSERT_EQUAL(configs_add(archive, "empty", (struct text){NULL, 0}, &err), 0);
	bytes[0] = 'X';
	CU_ASSERT_EQUAL(archive->configs[0].data.bytes[0], 'm');
	CU_ASSERT(configs_have(archive, text_of("a.conf")));
	CU_ASSERT_FALSE(configs_have(archive, text_of("a.con")));
	CU_ASSERT_FALSE(configs_have(archive, text_of("a.conf2")));
	CU_ASSERT_EQUAL(archive->n_configs, 2);
	configs_free(archive);
	CU_ASSERT_EQUAL(archive->n_configs, 0);
	free(archive);
}

static void reads_configs(void)
{
	struct archive *archive = calloc(1, sizeof(*archive));
	uint8_t *large = calloc(1, CONFIGS_SIZE_MAX);
	struct error err = {0};

	CU_ASSERT_FATAL(archive != NULL && large != NULL);
	scratch_write(scratch("output"), "", 0);
	scratch_write(scratch("large"), large, CONFIGS_SIZE_MAX);
	scratch_write(scratch("small"), "0123456789", 10);
	CU_ASSERT_EQUAL(configs_read_file(archive, "o", scratch("output"), scratch("output"), &err),
			ERR_USAGE);
	CU_ASSERT_EQUAL(configs_read_file(archive, "n", scratch("none"), scratch("output"), &err),
			ERR_SYSTEM);
	CU_ASSERT_EQUAL(archive->n_configs, 0);
	CU_ASSERT_EQUAL(configs_read_file(archive, "s", scratch("small"), scratch("output"), &err),
			0);
	CU_ASSERT_EQUAL(archive->configs[0].data.length, 10);
	/* Ten bytes too many, read or added. */
	CU_ASSERT_EQUAL(configs_read_file(archive, "l", scratch("large"), scratch("output"), &err),
			ERR_USAGE);
	CU_ASSERT_EQUAL(configs_add(archive, "l", (struct text){large, CONFIGS_SIZE_MAX - 9}, &err),
			ERR_USAGE);
	CU_ASSERT_EQUAL(archive->n_configs, 1);
	CU_ASSERT_EQUAL(
		configs_add(archive, "l", (struct text){large, CONFIGS_SIZE_MAX - 10}, &err), 0);
	CU_ASSERT_EQUAL(archive->n_configs, 2);
	configs_free(archive);
	free(archive);
	free(large);
}

static void finds_lost_ranges(void)
{
	/* Ten clusters, the last of 100 bytes; 0, 1, 5 and 8 are recovered. */
	static const uint64_t good[] = {0, 1, 5, 8};
	static const uint64_t lost[][2] = {{2, 3}, {6, 2}, {9, 0}};
	struct archive *archive = calloc(1, sizeof(*archive));
	struct recovery_drive drive = {0};
	struct recovery recovery = {.archive = archive, .drives = &drive};
	uint64_t offset = 0, size = 0;
	struct recovery_sums sums;
	struct error err = {0};

	CU_ASSERT_FATAL(archive != NULL);
	archive->n_drives = 1;
	archive->drives[0].size_bytes = 9 * CLUSTER_SIZE + 100;
	cluster_map_open(&drive.map, 10, archive);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct slot slot = {.cluster = good[i], .n_clusters = 1, .mask = 1};

		CU_ASSERT_EQUAL(cluster_map_put(&drive.map, &slot, SALVAGE_GOOD, &err), 0);
	}
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++, offset += size) {
		CU_ASSERT_FATAL(recovery_next_lost(&recovery, 0, &offset, &size));
		CU_ASSERT_EQUAL(offset, lost[i][0] * CLUSTER_SIZE);
		CU_ASSERT_EQUAL(size, lost[i][1] != 0 ? lost[i][1] * CLUSTER_SIZE : 100);
	}
	CU_ASSERT_FALSE(recovery_next_lost(&recovery, 0, &offset, &size));
	recovery_sum(&recovery, 0, &sums);
	CU_ASSERT_EQUAL(sums.n_lost, 3);
	CU_ASSERT_EQUAL(sums.bytes[CLUSTER_LOST], 5 * CLUSTER_SIZE + 100);
	cluster_map_close(&drive.map);
	free(archive);
}

static void makes_folders(void)
{
	struct stat found;
	struct error err = {0};
	bool made = false;

	CU_ASSERT_EQUAL(place_make_folder(scratch("folder"), &made, &err), 0);
	CU_ASSERT(made);
	CU_ASSERT_FATAL(stat(scratch("folder"), &found) == 0);
	CU_ASSERT_EQUAL(found.st_mode & 0777, 0700);
	CU_ASSERT_EQUAL(place_make_folder(scratch("folder"), &made, &err), 0);
	CU_ASSERT_FALSE(made);
	scratch_write(scratch("file"), "x", 1);
	CU_ASSERT_EQUAL(place_make_folder(scratch("file"), &made, &err), ERR_USAGE);
	CU_ASSERT_EQUAL(place_make_folder(scratch("none/folder"), &made, &err), ERR_SYSTEM);
	CU_ASSERT_FALSE(made);
}

void test_create(void)
{
	CU_pSuite suite = CU_add_suite("create", scratch_make, scratch_remove);

	CU_add_test(suite, "refuses drives", refuses_drives);
	CU_add_test(suite, "sizes fit the format", sizes_fit_the_format);
	CU_add_test(suite, "copies configs", copies_configs);
	CU_add_test(suite, "reads configs", reads_configs);
	CU_add_test(suite, "finds lost ranges", finds_lost_ranges);
	CU_add_test(suite, "makes folders", makes_folders);
}
