/* Heads of both formats. What was parsed lies within the bytes, and built again says the same. The
 * last byte tells whether the checksum is made right first. */
#include "format/format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/repair.h"

#include <string.h>

static struct archive one, two;

static void check_text(struct text text, const uint8_t *bytes, size_t size)
{
	MUST(text.length == 0 || (text.bytes >= bytes && text.length <= size &&
				  (size_t)(text.bytes - bytes) <= size - text.length));
}

static bool same(struct text a, struct text b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static void forget(struct archive *archive)
{
	memset(archive, 0, offsetof(struct archive, drives));
}

static void build_and_compare(void)
{
	struct error err;
	if (archive_check(&one, &err) != 0)
		return; /* readers take more than writers give */
	uint32_t size = head_size(&one), measured;
	uint8_t *head = malloc(size);
	MUST(head != NULL);
	head_build(&one, head);
	forget(&two);
	MUST(head_measure(head, &measured, &err) == 0 && measured == size);
	MUST(head_parse(head, size, &two, &err) == 0);
	MUST(one.n_drives == two.n_drives && one.n_configs == two.n_configs);
	for (uint32_t i = 0; i < one.n_drives; i++)
		MUST(same(one.drives[i].name, two.drives[i].name) &&
		     one.drives[i].size_bytes == two.drives[i].size_bytes);
	for (uint32_t i = 0; i < one.n_configs; i++)
		MUST(same(one.configs[i].name, two.configs[i].name) &&
		     same(one.configs[i].data, two.configs[i].data));
	MUST(same(one.note, two.note) && memcmp(one.uuid, two.uuid, UUID_SIZE) == 0);
	free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	uint32_t n;
	if (size <= SECTOR_SIZE || head_measure(data, &n, &err) != 0 || n > size)
		return 0;
	uint8_t *head = malloc(n);
	MUST(head != NULL);
	memcpy(head, data, n);
	if (data[size - 1] % 4 != 0)
		repair_head(head, n);
	forget(&one);
	if (head_parse(head, n, &one, &err) == 0) {
		for (uint32_t i = 0; i < one.n_drives; i++)
			check_text(one.drives[i].name, head, n);
		for (uint32_t i = 0; i < one.n_configs; i++) {
			check_text(one.configs[i].name, head, n);
			check_text(one.configs[i].data, head, n);
		}
		build_and_compare();
	} else {
		MUST(err.has_place && err.place < n && err.text[0] != '\0');
	}
	free(head);
	return 0;
}
