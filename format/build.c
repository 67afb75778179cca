/* The other direction: host structs of our own to bytes. Not part of what a reader needs. */
#include "format/layout.h"

static bool same_text(const struct text *a, const struct text *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static int check_name(const struct text *name, const char *what, struct error *err)
{
	char shown[64];
	if (name->length >= 1 && name->length <= 255 &&
	    memchr(name->bytes, 0, name->length) == NULL)
		return 0;
	return fail(err, ERR_USAGE, "%s name '%s' is not 1 to 255 bytes without NUL", what,
		    escape_text(shown, sizeof shown, name->bytes, name->length));
}

/* What both formats ask for: valid names, no two alike. Written by us, so the numbers are small. */
static int check_names(const struct archive *archive, struct error *err)
{
	char shown[64];
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		const struct text *name = &archive->drives[i].name;
		TRY(check_name(name, "drive", err));
		for (uint32_t j = 0; j < i; j++)
			if (same_text(name, &archive->drives[j].name))
				return fail(err, ERR_USAGE, "two drives are called '%s'",
					    escape_text(shown, sizeof shown, name->bytes,
							name->length));
	}
	for (uint32_t i = 0; i < archive->n_configs; i++) {
		const struct text *name = &archive->configs[i].name;
		TRY(check_name(name, "config", err));
		for (uint32_t j = 0; j < i; j++)
			if (same_text(name, &archive->configs[j].name))
				return fail(err, ERR_USAGE, "two configs are called '%s'",
					    escape_text(shown, sizeof shown, name->bytes,
							name->length));
	}
	return 0;
}

int archive_check(const struct archive *archive, struct error *err)
{
	TRY(check_names(archive, err));
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
	return archive->format == FORMAT_VMAB
		       ? ROUND_UP(SECTION_SLOTS + n_slots * VMAB_SLOT_SIZE, SECTOR_SIZE)
		       : VMA1_EXTENT_SIZE;
}

void section_build(const struct archive *archive, const struct section *section, uint8_t *out)
{
	if (archive->format == FORMAT_VMAB)
		vmab_section_build(archive, section, out);
	else
		vma1_extent_build(archive, section, out);
}
