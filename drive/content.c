#include "drive/backing.h"

#include "base/io.h"
#include "base/name.h"
#include "nbd/client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct kind {
	const char *what;
	const char *format; /* QEMU's name for it; NULL: not an image of a drive */
	const char *unpack; /* otherwise: the command that unpacks it; NULL: an archive of ours */
	const char *rest;   /* what follows the name in that command */
};

static const struct kind vmab = {"a VMAB archive", NULL, NULL, NULL};
static const struct kind vma = {"a VMA archive", NULL, NULL, NULL};
static const struct kind map = {"a map of vmabak serve", NULL, NULL, NULL};
static const struct kind qcow = {"a qcow image", "qcow", NULL, NULL};
static const struct kind qcow2 = {"a qcow2 image", "qcow2", NULL, NULL};
static const struct kind vmdk = {"a VMDK image", "vmdk", NULL, NULL};
static const struct kind vdi = {"a VDI image", "vdi", NULL, NULL};
static const struct kind vhdx = {"a VHDX image", "vhdx", NULL, NULL};
static const struct kind vpc = {"a VHD image", "vpc", NULL, NULL};
static const struct kind parallels = {"a Parallels image", "parallels", NULL, NULL};
static const struct kind qed = {"a QED image", "qed", NULL, NULL};
static const struct kind bochs = {"a Bochs image", "bochs", NULL, NULL};
static const struct kind cloop = {"a cloop image", "cloop", NULL, NULL};
static const struct kind dmg = {"a DMG image", "dmg", NULL, NULL};
static const struct kind gz = {"gzip data", NULL, "gzip -dc", " >IMAGE"};
static const struct kind xz = {"xz data", NULL, "xz -dc", " >IMAGE"};
static const struct kind zst = {"zstd data", NULL, "zstd -dc", " >IMAGE"};
static const struct kind bz2 = {"bzip2 data", NULL, "bzip2 -dc", " >IMAGE"};
static const struct kind lz4 = {"lz4 data", NULL, "lz4 -dc", " >IMAGE"};
static const struct kind lzo = {"lzop data", NULL, "lzop -dc", " >IMAGE"};
static const struct kind lz = {"lzip data", NULL, "lzip -dc", " >IMAGE"};
static const struct kind sevenzip = {"a 7z archive", NULL, "7z x", ""};
static const struct kind zip = {"a zip archive", NULL, "unzip", ""};
static const struct kind tar = {"a tar archive or OVA", NULL, "tar -xf", ""};

#define SIGN(kind, offset, text)                      \
	{                                             \
		&kind, offset, sizeof(text) - 1, text \
	}

static const struct sign {
	const struct kind *kind;
	unsigned offset, n;
	const char *bytes;
} at_head[] =
	{
		SIGN(vmab, 0, "\x89VMB\r\n\x1a\n"),
		SIGN(vma, 0, "VMA\0\0\0\0\1"),
		SIGN(map, 0, "\x89VMG\r\n\x1a\n"),
		SIGN(qcow, 0, "QFI\xfb\0\0\0\1"),
		SIGN(qcow2, 0, "QFI\xfb"),
		SIGN(vmdk, 0, "KDMV"),
		SIGN(vmdk, 0, "COWD"),
		SIGN(vmdk, 0, "# Disk DescriptorFile"),
		SIGN(vdi, 64, "\x7f\x10\xda\xbe"),
		SIGN(vhdx, 0, "vhdxfile"),
		SIGN(vpc, 0, "conectix"),
		SIGN(parallels, 0, "WithoutFreeSpace"),
		SIGN(parallels, 0, "WithouFreSpacExt"),
		SIGN(qed, 0, "QED\0"),
		SIGN(bochs, 0, "Bochs Virtual HD Image"),
		SIGN(cloop, 0, "#!/bin/sh\n#V2.0 Format\n"),
		SIGN(gz, 0, "\x1f\x8b\x08"),
		SIGN(xz, 1, "7zXZ\0"),
		SIGN(zst, 0, "\x28\xb5\x2f\xfd"),
		SIGN(bz2, 4, "\x31\x41\x59\x26\x53\x59"),
		SIGN(lz4, 0, "\x04\x22\x4d\x18"),
		SIGN(lz4, 0, "\x02\x21\x4c\x18"),
		SIGN(lzo, 0, "\x89LZO\0\r\n\x1a\n"),
		SIGN(lz, 0, "LZIP\1"),
		SIGN(sevenzip, 0, "7z\xbc\xaf\x27\x1c"),
		SIGN(zip, 0, "PK\3\4"),
		SIGN(tar, 257, "ustar"),
},
  at_tail[] = {
	  SIGN(vpc, 0, "conectix"),
	  SIGN(vpc, 1, "conectix"), /* as some programs wrote it, a byte too short */
	  SIGN(dmg, 0, "koly\0\0\0\4\0\0\2\0"),
};

void content_read(struct content *out, int fd, uint64_t size_bytes)
{
	uint64_t n = size_bytes < CONTENT_END_SIZE ? size_bytes : CONTENT_END_SIZE;

	io_pread(fd, out->head, (size_t)n, 0, &out->n_head);
	io_pread(fd, out->tail, (size_t)n, size_bytes - n, &out->n_tail);
}

#if HAVE_LIBNBD

/* Servers may demand whole blocks. */
#define ASKED_SIZE 4096u

void content_ask(struct content *out, struct nbdclient *client)
{
	uint8_t bytes[2 * ASKED_SIZE];
	struct error err;
	uint64_t size = nbdclient_size(client);
	size_t n = size < ASKED_SIZE ? (size_t)size : ASKED_SIZE;
	uint64_t from = (size - n) / ASKED_SIZE * ASKED_SIZE;

	out->n_head = out->n_tail = 0;
	if (n < CONTENT_END_SIZE || nbdclient_read(client, 0, bytes, n, &err) != 0)
		return;
	out->n_head = CONTENT_END_SIZE;
	memcpy(out->head, bytes, CONTENT_END_SIZE);
	n = (size_t)(size - from);
	if (nbdclient_read(client, from, bytes, n, &err) != 0)
		return;
	out->n_tail = CONTENT_END_SIZE;
	memcpy(out->tail, bytes + n - CONTENT_END_SIZE, CONTENT_END_SIZE);
}

#endif

static bool fits(const struct sign *sign, const uint8_t *bytes, size_t n)
{
	return n >= sign->offset + sign->n &&
	       memcmp(bytes + sign->offset, sign->bytes, sign->n) == 0;
}

/* 50 to 5f 2a 4d 18, the beginning of pzstd's output. */
static bool is_skippable_frame(const struct content *content)
{
	return content->n_head >= 4 && content->head[0] >> 4 == 5 &&
	       memcmp(content->head + 1, "\x2a\x4d\x18", 3) == 0;
}

static const struct kind *kind_of(const struct content *content)
{
	for (size_t i = 0; i < sizeof(at_head) / sizeof(at_head[0]); i++)
		if (fits(&at_head[i], content->head, content->n_head))
			return at_head[i].kind;
	for (size_t i = 0;
	     content->n_tail == CONTENT_END_SIZE && i < sizeof(at_tail) / sizeof(at_tail[0]); i++)
		if (fits(&at_tail[i], content->tail, content->n_tail))
			return at_tail[i].kind;
	return is_skippable_frame(content) ? &zst : NULL;
}

static bool is_archive(const struct kind *kind)
{
	return kind->format == NULL && kind->unpack == NULL;
}

/* Compressed archives look like any compressed file: there the name tells. */
static bool has_archive_in_it(const struct kind *kind, const char *path)
{
	return is_archive(kind) ||
	       (kind->format == NULL && strstr(base_name(path), ".vma.") != NULL);
}

static const char *archive_name(const struct kind *kind)
{
	return is_archive(kind) ? kind->what : "a VMA archive";
}

static int refuse_source(const struct kind *kind, const char *path, const char *format,
			 struct error *err)
{
	bool raw = strcmp(format, "raw") == 0;

	if (kind == &map)
		return fail(err, ERR_USAGE,
			    "%s: looks like %s, not like a drive: add ,format=%s to read it byte "
			    "by byte",
			    path, map.what, format);
	if (has_archive_in_it(kind, path))
		return fail(err, ERR_USAGE,
			    "%s: looks like %s, not like a drive: vmabak convert or restore reads "
			    "it, -o %s writes it; or add ,format=%s to read it byte by byte",
			    path, archive_name(kind), path, format);
	if (kind->format == NULL)
		return fail(err, ERR_USAGE,
			    "%s: looks like %s, not like a drive: unpack it first (%s "
			    "%s%s), or add ,format=%s %s",
			    path, kind->what, kind->unpack, path, kind->rest, format,
			    raw ? "to read it byte by byte" : "if the name is right");
	if (raw)
		return fail(err, ERR_USAGE,
			    "%s: looks like %s, though its name does not say so: add "
			    ",format=%s, or ,format=raw to read it byte by byte",
			    path, kind->what, kind->format);
	return fail(err, ERR_USAGE,
		    "%s: looks like %s, though its name says %s: add ,format=%s, or ,format=%s "
		    "if the name is right",
		    path, kind->what, format, kind->format, format);
}

static int refuse_target(const struct kind *kind, const char *path, const char *format,
			 struct error *err)
{
	if (strcmp(format, "raw") != 0)
		return fail(err, ERR_USAGE,
			    "%s: holds what looks like %s: -d NAME=TARGET,format=%s puts a new "
			    "one in its place, and ,format=%s an image of that format",
			    path, kind->what, kind->format, format);
	return fail(err, ERR_USAGE,
		    "%s: holds what looks like %s: -d NAME=TARGET,format=%s puts a new one in "
		    "its place, and ,format=raw overwrites it with the bytes of the drive",
		    path, kind->what, kind->format);
}

int content_check(const struct content *content, const char *path, const char *format,
		  enum content_use use, struct error *err)
{
	const struct kind *kind = kind_of(content);

	if (kind == NULL || (kind->format != NULL && strcmp(kind->format, format) == 0))
		return 0;
	if (use == CONTENT_SOURCE)
		return refuse_source(kind, path, format, err);
	if (use == CONTENT_SERVED && kind == &map)
		return fail(err, ERR_USAGE,
			    "%s: looks like %s, not like a drive; add ,format=raw if it is one",
			    path, map.what);
	if (use == CONTENT_SERVED && has_archive_in_it(kind, path))
		return fail(err, ERR_USAGE,
			    "%s: looks like %s, not like a drive: vmabak restore restores its "
			    "drives, which can be served; or add ,format=raw if it is one",
			    path, archive_name(kind));
	if (use == CONTENT_FILE_TARGET && has_archive_in_it(kind, path))
		return fail(
			err, ERR_USAGE,
			"%s: holds what looks like %s: add ,format=raw to overwrite it with the "
			"bytes of the drive",
			path, archive_name(kind));
	/* A guest may keep a tar or the like on a drive, and a server may serve anything. */
	if (kind->format == NULL)
		return 0;
	if (use == CONTENT_FILE_TARGET)
		return refuse_target(kind, path, format, err);
	if (use == CONTENT_RAW_TARGET)
		return fail(err, ERR_USAGE,
			    "%s: holds what looks like %s: add ,format=raw to overwrite it with "
			    "the bytes of the drive; such an image can go to a file only",
			    path, kind->what);
	return fail(err, ERR_USAGE,
		    "%s: looks like %s, not like a raw drive: add ,format=raw if it is one%s", path,
		    kind->what,
		    use == CONTENT_NBD_SOURCE ? ", or have the server open it as such an image"
					      : "; such an image cannot be served");
}
