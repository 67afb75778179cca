#include "machine/libvirt/live_disks.h"

#include "machine/libvirt/xml.h"

#include <stdlib.h>
#include <string.h>

static bool is_export(xmlNode *source, const char *name, const char *socket)
{
	xmlNode *host = xml_child(source, "host");

	return xml_has(source, "protocol", "nbd") && xml_has(source, "name", name) &&
	       xml_has(host, "transport", "unix") && xml_has(host, "socket", socket);
}

static int look(struct live_disk *out, xmlNode *disk, const char *socket,
		const struct libvirt_live_drive *drive, struct error *err)
{
	xmlNode *source = xml_child(disk, "source"), *mirror = xml_child(disk, "mirror");
	bool is_file = xml_has(disk, "type", "file") && xml_has(source, "file", drive->file);

	if (!is_file &&
	    !(xml_has(disk, "type", "network") && is_export(source, drive->name, socket)))
		return 0;
	out->target = xml_attribute(xml_child(disk, "target"), "dev");
	out->is_file = is_file;
	out->is_copied = mirror != NULL;
	out->is_ready = xml_has(mirror, "ready", "yes");
	return out->target == NULL ? fail_memory(err) : 0;
}

int live_disks_find(struct live_disk *out, const char *xml, const char *socket,
		    const struct libvirt_live_drive *drives, unsigned n, struct error *err)
{
	xmlDoc *document;
	xmlNode *disk;
	int code = 0;

	TRY(xml_load(err));
	document = xml_parse(xml, strlen(xml));
	if (document == NULL)
		return fail(err, ERR_SYSTEM, "libvirt's description of the domain is no XML");
	disk = xml_child(xml_root(document), "devices");
	for (disk = disk == NULL ? NULL : disk->children; disk != NULL; disk = disk->next) {
		for (unsigned i = 0; xml_is(disk, "disk") && i < n && code == 0; i++) {
			if (out[i].target == NULL)
				code = look(&out[i], disk, socket, &drives[i], err);
		}
	}
	xml_free(document);
	return code;
}

void live_disks_free(struct live_disk *disks, unsigned n)
{
	for (unsigned i = 0; disks != NULL && i < n; i++)
		free(disks[i].target);
	free(disks);
}

char *live_disk_copy(const struct libvirt_live_drive *drive)
{
	xmlDoc *document;
	xmlNode *disk = xml_new("disk"), *driver;
	char *text;

	if (disk == NULL)
		return NULL;
	document = disk->doc;
	xml_set(disk, "type", "file");
	driver = xml_add(disk, "driver");
	xml_set(driver, "name", "qemu");
	xml_set(driver, "type", "raw");
	xml_set(xml_add(disk, "source"), "file", drive->file);
	text = xml_print(document);
	xml_free(document);
	return text;
}
