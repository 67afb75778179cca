#include "reader/input/parts.h"
#include "format/layout.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAGIC_MAX 18u
#define TEXT_MAX  65536u /* bytes searched for an archive after other text */

struct kind {
	uint16_t at;
	uint8_t length;
	char magic[MAGIC_MAX];
	const char *what, *way;
};

#define PIPE " | vmabak COMMAND -"
#define DISK "is it a drive to be backed up? vmabak backup -o ARCHIVE NAME=FILE"

static const struct kind kinds[] = {
	{0, 4, "\x04\x22\x4d\x18", "lz4", "lz4 -dc FILE" PIPE},
	{0, 4, "\x02\x21\x4c\x18", "lz4", "lz4 -dc FILE" PIPE},
	{0, 6, "7z\xbc\xaf\x27\x1c", "7z", "7z x -so FILE" PIPE},
	{0, 4, "PK\3\4", "a zip file", "unzip -p FILE" PIPE},
	{0, 4, "Rar!", "a rar file", "unrar p -inul FILE" PIPE},
	{257, 5, "ustar", "a tar file", "tar -xOf FILE NAME" PIPE},
	{0, 4, "LZIP", "lzip", "lzip -dc FILE" PIPE},
	{0, 4, "LRZI", "lrzip", "lrzip -d -o - FILE" PIPE},
	{0, 3, "\x5d\0\0", "lzma", "xz -dc --format=lzma FILE" PIPE},
	{0, 2, "\x1f\x9d", "compress", "gzip -dc FILE" PIPE},
	{0, 10, "\xff\6\0\0sNaPpY", "snappy", "snzip -dc FILE" PIPE},
	{0, 15, "-----BEGIN PGP ", "encrypted by gpg", "gpg -d FILE" PIPE},
	{0, 14, "age-encryption", "encrypted by age", "age -d FILE" PIPE},
	{0, 8, "Salted__", "encrypted by openssl", "openssl enc -d -in FILE" PIPE},
	{0, 4, "LUKS", "a LUKS device", DISK},
	{0, 4, "QFI\xfb", "a qcow2 image", DISK},
	{0, 4, "QED", "a qed image", DISK},
	{0, 4, "KDMV", "a vmdk image", DISK},
	{0, 17, "# Disk Descriptor", "a vmdk image", DISK},
	{0x40, 4, "\x7f\x10\xda\xbe", "a vdi image", DISK},
	{0, 8, "vhdxfile", "a vhdx image", DISK},
	{0, 8, "conectix", "a vpc image", DISK},
	{0, 7, "Without", "a Parallels image", DISK},
	{510, 2, "\x55\xaa", "a disk", DISK},
	{0x438, 2, "\x53\xef", "a file system", DISK},
	{0, 4, "XFSB", "a file system", DISK},
};
#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

/* What may begin after other text. */
static const struct kind archives[] = {
	{0, 8, "\x89VMB\r\n\x1a\n", NULL, NULL},
	{0, 8, "VMA\0\0\0\0\1", NULL, NULL},
	{0, 4, "\x28\xb5\x2f\xfd", NULL, NULL},
	{0, 3, "\x1f\x8b\x08", NULL, NULL},
	{0, 6,
	 "\xfd"
	 "7zXZ",
	 NULL, NULL},
	{0, 6, "\x89LZO\0\r", NULL, NULL},
};
#define N_ARCHIVES (sizeof(archives) / sizeof(*archives))

static bool begins(const struct kind *kind, const uint8_t *bytes, size_t n)
{
	return n >= (size_t)kind->at + kind->length &&
	       memcmp(bytes + kind->at, kind->magic, kind->length) == 0;
}

/* By the packets that a message begins with: a session key for a public key or a passphrase, in the
 * old or the new format. */
static bool is_gpg(const uint8_t *bytes, size_t n)
{
	if (n < 4)
		return false;
	switch (bytes[0]) {
	case 0x84: /* the length is one byte */
	case 0x8c:
	case 0xc1:
	case 0xc3:
		return bytes[2] >= 3 && bytes[2] <= 6 && bytes[1] < 0xc0;
	case 0x85:
		return bytes[3] == 3;
	default:
		return false;
	}
}

/* Whether enough of a magic is intact; a file may be shorter than that. Zeros, or no bytes at all,
 * are what a crash leaves of a file. */
static bool may_be_ours(const uint8_t *bytes, size_t n)
{
	size_t n_same, n_seen, i;

	for (size_t k = 0; k < 2; k++) {
		n_same = 0;
		n_seen = n < archives[k].length ? n : archives[k].length;
		for (i = 0; i < n_seen; i++)
			n_same += bytes[i] == (uint8_t)archives[k].magic[i];
		if (n_same == n_seen || n_same >= 6)
			return true;
	}
	/* A VMA of any version; a VMAB that went through a transfer in text mode. */
	if (n >= 4 &&
	    (memcmp(bytes, archives[1].magic, 4) == 0 || memcmp(bytes, archives[0].magic, 4) == 0))
		return true;
	for (i = 0; i < n && bytes[i] == 0; i++)
		;
	return i == n;
}

/* How many of the first bytes are text; control characters other than those of terminals end it. */
static size_t text_length(const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while (i < n && (bytes[i] >= ' ' || (bytes[i] >= 7 && bytes[i] <= 13) || bytes[i] == 27) &&
	       bytes[i] != 0x7f)
		i++;
	return i;
}

static bool is_html(const uint8_t *bytes, size_t n)
{
	char begin[16] = "";

	while (n > 0 && (*bytes <= ' ' || *bytes >= 0x80)) {
		bytes++;
		n--;
	}
	memcpy(begin, bytes, n < sizeof(begin) - 1 ? n : sizeof(begin) - 1);
	return strncasecmp(begin, "<!doctype html", 14) == 0 ||
	       strncasecmp(begin, "<html", 5) == 0 || strncasecmp(begin, "<head", 5) == 0 ||
	       strncasecmp(begin, "<?xml", 5) == 0;
}

/* Where an archive begins after text; n: nowhere. All magics but 28 b5 hold bytes that end a text.
 */
static size_t find_archive(const uint8_t *bytes, size_t n)
{
	for (size_t at = 1; at < n; at++)
		for (size_t k = 0; k < N_ARCHIVES; k++)
			if (begins(&archives[k], bytes + at, n - at))
				return text_length(bytes, at) == at ? at : n;
	return n;
}

/* Whether a section of an archive is where it would be if only the beginning were lost. */
static bool has_section(const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + SECTOR_SIZE <= n; at += SECTOR_SIZE)
		if (memcmp(bytes + at, VMAB_SECTION_MAGIC, 8) == 0 ||
		    memcmp(bytes + at, VMA1_EXTENT_MAGIC, 6) == 0)
			return true;
	return false;
}

static int fail_unknown(const uint8_t *bytes, size_t n, const char *name, bool salvaging,
			struct error *err)
{
	n = n < TEXT_MAX ? n : TEXT_MAX;
	size_t at = find_archive(bytes, n);
	if (at < n)
		return fail(err, ERR_UNSUPPORTED,
			    "%s: other data precedes an archive, which begins at byte %zu: "
			    "tail -c +%zu FILE" PIPE ", or vmabak salvage FILE",
			    name, at, at + 1);
	if (is_html(bytes, n))
		return fail(err, ERR_UNSUPPORTED,
			    "%s: is an HTML page, not an archive: was it downloaded without "
			    "logging in?",
			    name);
	if (text_length(bytes, n) == n)
		return fail(err, ERR_UNSUPPORTED, "%s: is text, not an archive", name);
	if (has_section(bytes, n))
		return 0;
	return fail(err, ERR_UNSUPPORTED, "%s: is not an archive%s", name,
		    salvaging ? "" : "; 'vmabak salvage' finds one that lies inside it");
}

int strange_check(const uint8_t *bytes, size_t n, const char *name, bool salvaging,
		  struct error *err)
{
	static const struct kind gpg = {.what = "encrypted by gpg", .way = "gpg -d FILE" PIPE};
	static const struct kind sums = {0, 8, "\x89VMS\r\n\x1a\n", "a sums file",
					 "'backup --parent' and 'diff' take it"};
	const struct kind *found = begins(&sums, bytes, n) ? &sums : is_gpg(bytes, n) ? &gpg : NULL;

	/* The magic of sums differs in a letter only. */
	if (found != &sums && may_be_ours(bytes, n))
		return 0;
	for (size_t i = 0; i < N_KINDS && found == NULL; i++)
		if (begins(&kinds[i], bytes, n))
			found = &kinds[i];
	if (found == NULL)
		return fail_unknown(bytes, n, name, salvaging, err);
	return fail(err, ERR_UNSUPPORTED, "%s: is %s, not an archive: %s", name, found->what,
		    found->way);
}
