#include "archive/changes_formats.h"

#include <stdio.h>
#include <string.h>

#define LOOKED_AT 4096u

/* ---- by content ---- */

static const char *after_space(const char *bytes)
{
	return bytes + strspn(bytes, " \t\r\n");
}

static bool is_own(const char *bytes, size_t n)
{
	(void)n;
	return strncmp(bytes, "# vmabak changes ", 17) == 0;
}

/* An object with this key, or an array of such. */
static bool has_key(const char *bytes, const char *key)
{
	const char *begin = after_space(bytes);

	return (*begin == '[' || *begin == '{') && strstr(begin, key) != NULL;
}

static bool is_nbdinfo(const char *bytes, size_t n)
{
	(void)n;
	return has_key(bytes, "\"description\"");
}

/* Three numbers and a word. */
static bool is_nbdinfo_text(const char *bytes, size_t n)
{
	char line[200];
	char *at = line;
	uint64_t number;

	(void)n;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(bytes, "\n"), bytes);
	for (unsigned i = 0; i < 3; i++)
		if (!changelist_number(&at, &number))
			return false;
	return *at >= 'a' && *at <= 'z';
}

static bool is_map(const char *bytes, size_t n)
{
	(void)n;
	return has_key(bytes, "\"present\"") && has_key(bytes, "\"depth\"");
}

static bool is_thin(const char *bytes, size_t n)
{
	(void)n;
	return strncmp(after_space(bytes), "<superblock", 11) == 0;
}

static bool is_era(const char *bytes, size_t n)
{
	(void)n;
	return strncmp(after_space(bytes), "<blocks", 7) == 0;
}

static bool is_rbd_json(const char *bytes, size_t n)
{
	(void)n;
	return has_key(bytes, "\"exists\"");
}

static bool is_rbd_diff(const char *bytes, size_t n)
{
	(void)n;
	return strncmp(bytes, "rbd diff v", 10) == 0;
}

static bool is_zfs(const char *bytes, size_t n)
{
	return n >= 16 && memcmp(bytes + 8, "\xac\xcb\xba\xf5\x02\0\0\0", 8) == 0;
}

static bool is_cow(const char *bytes, size_t n)
{
	return n >= 4 && memcmp(bytes, "SnAp", 4) == 0;
}

static bool is_vmware(const char *bytes, size_t n)
{
	(void)n;
	return has_key(bytes, "\"startOffset\"") || has_key(bytes, "\"changedArea\"") ||
	       has_key(bytes, "\"StartOffset\"") || has_key(bytes, "\"ChangedArea\"");
}

static bool is_csi(const char *bytes, size_t n)
{
	(void)n;
	return has_key(bytes, "\"block_metadata") || has_key(bytes, "\"blockMetadata");
}

static bool is_fidx(const char *bytes, size_t n)
{
	return n >= 8 && memcmp(bytes, "\x2f\x7f\x41\xed\x91\xfd\x0f\xcd", 8) == 0;
}

static const struct changes_format formats[] = {
	{"own", changelist_own, is_own, 0, false},
	{"nbdinfo", changelist_nbdinfo, is_nbdinfo, 0, false},
	{"nbdinfo-text", changelist_nbdinfo_text, is_nbdinfo_text, 0, false},
	{"depth", changelist_depth, NULL, 0, false},
	{"overlay", changelist_overlay, NULL, 0, false},
	{"thin", changelist_thin, is_thin, 0, false},
	{"era", changelist_era, is_era, CHANGES_NEED_BLOCK, false},
	{"rbd-json", changelist_rbd_json, is_rbd_json, 0, false},
	{"rbd-diff", changelist_rbd_diff, is_rbd_diff, 0, false},
	{"zfs", changelist_zfs, is_zfs, 0, false},
	{"dm-snapshot", changelist_cow, is_cow, 0, false},
	{"btrfs", changelist_btrfs, NULL, CHANGES_NEED_PATH, false},
	{"xen", changelist_xen, NULL, CHANGES_NEED_SIZE, false},
	{"bitmap-lsb", changelist_bitmap_lsb, NULL, CHANGES_NEED_SIZE | CHANGES_NEED_BLOCK, false},
	{"bitmap-msb", changelist_bitmap_msb, NULL, CHANGES_NEED_SIZE | CHANGES_NEED_BLOCK, false},
	{"vmware", changelist_vmware, is_vmware, 0, false},
	{"csi", changelist_csi, is_csi, 0, false},
	{"ddrescue", changelist_ddrescue, NULL, CHANGES_NEED_SIZE, false},
	{"fidx", changelist_fidx, is_fidx, 0, false},
	{"bmap", changelist_bmap, NULL, 0, true},
};

#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

const struct changes_format *changes_format_find(const char *name)
{
	for (size_t i = 0; i < N_FORMATS; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

const char *changes_format_names(char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; i < N_FORMATS && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : " ",
					 formats[i].name);
	return out;
}

/* ---- what is taken for a list and is none, or not by its content alone ---- */

static bool is_empty_array(const char *bytes)
{
	const char *at = after_space(bytes);

	return *at == '[' && *after_space(at + 1) == ']';
}

static bool is_compressed(const char *bytes)
{
	static const char *const magics[] = {"\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd\x37zXZ", "BZh"};

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (strncmp(bytes, magics[i], strlen(magics[i])) == 0)
			return true;
	return false;
}

static bool is_bmap(const char *bytes)
{
	return strncmp(bytes, "<?xml", 5) == 0 || strncmp(bytes, "<bmap ", 6) == 0;
}

static const char *explain(const char *bytes, size_t n)
{
	if (n == 0)
		return "is empty: the tool that should have written it failed";
	if (is_empty_array(bytes))
		return "names nothing, which some tools print when they fail, too: if its exit "
		       "code "
		       "was 0, say which it is by ,format=rbd-json or ,format=csi";
	if (is_map(bytes, n))
		return "is a map of qemu-img: it tells what changed only of an overlay over the "
		       "parent's state; say ,format=overlay then";
	if (strncmp(bytes, "# Mapfile.", 10) == 0)
		return "is a map of ddrescue, which can mean several things; say ,format=ddrescue "
		       "if "
		       "what changed has a + in it";
	if (strstr(bytes, "<bmap ") != NULL)
		return "is a bmap, which tells what is in use, not what changed";
	if (n >= 4 && memcmp(bytes, "\xa2\x72\x19\xf6", 4) == 0)
		return "is a -ctk.vmdk, whose format is not documented; ask the host by "
		       "QueryChangedDiskAreas";
	if (strncmp(bytes, "Offset ", 7) == 0)
		return "is the text of qemu-img map, which leaves out what became zeros; use "
		       "--output=json";
	if (is_compressed(bytes))
		return "is compressed: decompress it first";
	return "is no change list that is known by its content; ,format=FORMAT says what it is";
}

/* The first bytes, ended by a NUL. */
static int look_at_begin(struct changelist *list, char begin[LOOKED_AT + 1], size_t *n,
			 struct error *err)
{
	const uint8_t *bytes;

	TRY(changelist_peek(list, LOOKED_AT, &bytes, n, err));
	memcpy(begin, bytes, *n);
	begin[*n] = '\0';
	return 0;
}

int changes_format_recognise(const struct changes_format **out, struct changelist *list,
			     struct error *err)
{
	char begin[LOOKED_AT + 1];
	size_t n;

	TRY(look_at_begin(list, begin, &n, err));
	for (size_t i = 0; i < N_FORMATS; i++)
		if (formats[i].is != NULL && formats[i].is(begin, n)) {
			*out = &formats[i];
			return 0;
		}
	return fail(err, ERR_DAMAGED, "%s", explain(begin, n));
}

int changes_format_recognise_map(const struct changes_format **out, struct changelist *list,
				 struct error *err)
{
	char begin[LOOKED_AT + 1];
	size_t n;

	TRY(look_at_begin(list, begin, &n, err));
	*out = changes_format_find(is_bmap(begin) ? "bmap" : "ddrescue");
	return 0;
}
