/* The other direction: host structs of our own to bytes. Not part of what a reader needs. */
#include "format/layout.h"

#include <stdlib.h>

static int compare_texts(const void *a, const void *b)
{
	const struct text *left = *(const struct text *const *)a;
	const struct text *right = *(const struct text *const *)b;
	uint32_t n = left->length < right->length ? left->length : right->length;
	int order = memcmp(left->bytes, right->bytes, n);

	return order != 0 ? order : (left->length > right->length) - (left->length < right->length);
}

static int check_name(const struct text *name, const char *what, struct error *err)
{
	char shown[64];

	if (name->length >= 1 && name->length <= 255 &&
	    memchr(name->bytes, 0, name->length) == NULL)
		return 0;
	return fail(err, ERR_USAGE, "%s name '%s' is not 1 to 255 bytes without NUL", what,
		    escape_text(shown, sizeof(shown), name->bytes, name->length));
}

/* Valid, and no two alike. Sorted, because an archive that is converted may have many. */
static int check_names(const struct text **names, uint32_t n, const char *what, struct error *err)
{
	char shown[64];

	for (uint32_t i = 0; i < n; i++)
		TRY(check_name(names[i], what, err));
	qsort(names, n, sizeof(*names), compare_texts);
	for (uint32_t i = 1; i < n; i++)
		if (compare_texts(&names[i - 1], &names[i]) == 0)
			return fail(err, ERR_USAGE, "two %ss are called '%s'", what,
				    escape_text(shown, sizeof(shown), names[i]->bytes,
						names[i]->length));
	return 0;
}

static int check_all_names(const struct archive *archive, struct error *err)
{
	uint32_t n_drives = archive->n_drives, n_configs = archive->n_configs;
	const struct text **names = malloc((n_drives + n_configs + 1) * sizeof(*names));

	if (names == NULL)
		return fail_memory(err);
	for (uint32_t i = 0; i < n_drives; i++)
		names[i] = &archive->drives[i].name;
	for (uint32_t i = 0; i < n_configs; i++)
		names[n_drives + i] = &archive->configs[i].name;
	int code = check_names(names, n_drives, "drive", err);
	if (code == 0)
		code = check_names(names + n_drives, n_configs, "config", err);
	free(names);
	return code;
}

int archive_check(const struct archive *archive, struct error *err)
{
	TRY(check_all_names(archive, err));
	return archive->format == FORMAT_VMAB ? vmab_archive_check(archive, err)
					      : vma1_archive_check(archive, err);
}

uint32_t head_size(const struct archive *archive)
{
	return archive->format == FORMAT_VMAB ? vmab_head_size(archive) : vma1_head_size(archive);
}

void head_build(const struct archive *archive, uint8_t *out)
{
	if (archive->format == FORMAT_VMAB)
		vmab_head_build(archive, out);
	else
		vma1_head_build(archive, out);
}

uint32_t section_header_size(const struct archive *archive, uint32_t n_slots)
{
	return archive->format == FORMAT_VMAB ? vmab_header_size(n_slots) : VMA1_EXTENT_SIZE;
}

void section_build(const struct archive *archive, const struct section *section, uint8_t *out)
{
	if (archive->format == FORMAT_VMAB)
		vmab_section_build(archive, section, out);
	else
		vma1_extent_build(archive, section, out);
}
