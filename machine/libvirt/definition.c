#include "machine/libvirt/definition.h"

#include "base/parse.h"
#include "machine/libvirt/definition_confine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XML_MAX	    (1u << 20) /* bytes; libvirt's definitions are some KiB */
#define DOMAIN_NAME 200u       /* bytes at most */
#define RECONNECT_S "3600"     /* for so long QEMU may wait for an export, where libvirt tells it */

struct definition {
	xmlDoc *document;
	xmlNode *domain;
	char *name, *uuid;
	struct domain_tpm tpm;
	xmlNode *tpm_source; /* NULL: in libvirt's folder */
	struct omissions omissions;
};

static int fail_nonsense(struct error *err, const char *why)
{
	return fail(err, ERR_USAGE,
		    "libvirt.xml of the archive is not the definition of a domain: %s", why);
}

void definition_free(struct definition *definition)
{
	if (definition == NULL)
		return;
	xml_free(definition->document);
	free(definition->name);
	free(definition->uuid);
	free(definition);
}

/* Replaces *field, and what the definition says. */
static int set_text(struct definition *definition, const char *name, const char *text, char **field,
		    struct error *err)
{
	xmlNode *node = xml_child(definition->domain, name);
	char *copy = strdup(text);

	if (node == NULL)
		node = xml_add(definition->domain, name);
	if (copy == NULL || node == NULL) {
		free(copy);
		return fail_memory(err);
	}
	xml_set_content(node, text);
	free(*field);
	*field = copy;
	return 0;
}

static int set_new_uuid(struct definition *definition, struct error *err)
{
	uint8_t uuid[UUID_SIZE];
	char text[UUID_TEXT_SIZE];

	if (getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid))
		return fail(err, ERR_SYSTEM, "no random bytes for a UUID");
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return set_text(definition, "uuid", format_uuid(text, uuid), &definition->uuid, err);
}

/* A UUID becomes part of the path of the TPM's state. */
static int take_uuid(struct definition *definition, struct error *err)
{
	char *text = xml_content(xml_child(definition->domain, "uuid")), own[UUID_TEXT_SIZE];
	uint8_t uuid[UUID_SIZE];
	bool good = text != NULL && parse_uuid(text, uuid);

	free(text);
	if (!good)
		return set_new_uuid(definition, err);
	return set_text(definition, "uuid", format_uuid(own, uuid), &definition->uuid, err);
}

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)name[i] < ' ' || name[i] == '/')
			return false;
	}
	return length > 0 && length <= DOMAIN_NAME;
}

static int parse(struct definition *definition, struct text xml, struct error *err)
{
	TRY(xml_load(err));
	if (xml.length > XML_MAX)
		return fail_nonsense(err, "it is too large");
	definition->document = xml_parse((const char *)xml.bytes, xml.length);
	if (definition->document == NULL)
		return fail_nonsense(err, "it is no XML, or has a document type");
	definition->domain = xml_root(definition->document);
	if (!xml_is(definition->domain, "domain") ||
	    xml_child(definition->domain, "devices") == NULL)
		return fail_nonsense(err, "it holds no domain with devices");
	definition->name = xml_content(xml_child(definition->domain, "name"));
	if (definition->name == NULL || !is_name(definition->name))
		return fail_nonsense(err, "it has no usable name");
	definition_confine(definition->domain, &definition->omissions);
	return take_uuid(definition, err);
}

int definition_parse(struct definition **out, struct text xml, const struct watcher *watcher,
		     struct error *err)
{
	struct definition *definition = calloc(1, sizeof(*definition));
	xmlNode *backend;

	if (definition == NULL)
		return fail_memory(err);
	definition->omissions.watcher = watcher;
	if (parse(definition, xml, err) < 0) {
		definition_free(definition);
		return err->code;
	}
	backend = xml_child(xml_child(xml_child(definition->domain, "devices"), "tpm"), "backend");
	definition->tpm.is_there = backend != NULL;
	definition->tpm.is_1_2 = xml_has(backend, "version", "1.2");
	definition->tpm_source = xml_child(backend, "source");
	definition->tpm.in_file = definition->tpm_source != NULL;
	*out = definition;
	return 0;
}

const char *definition_name(const struct definition *definition)
{
	return definition->name;
}

const char *definition_uuid(const struct definition *definition)
{
	return definition->uuid;
}

const struct domain_tpm *definition_tpm(const struct definition *definition)
{
	return &definition->tpm;
}

/* ---- another name ---- */

/* The UUID that the guest's firmware sees must be that of the domain. */
static void forget_system_uuid(xmlNode *domain)
{
	xmlNode *system = xml_child(xml_child(domain, "sysinfo"), "system"), *next;

	for (xmlNode *node = system == NULL ? NULL : system->children; node != NULL; node = next) {
		next = node->next;
		if (xml_has(node, "name", "uuid"))
			xml_remove(node);
	}
}

int definition_rename(struct definition *definition, const char *name, struct error *err)
{
	xmlNode *domain = definition->domain, *genid = xml_child(domain, "genid");
	xmlNode *node = xml_child(domain, "devices")->children;

	if (!is_name(name))
		return fail(err, ERR_USAGE, "--name '%.100s': not usable as the name of a domain",
			    name);
	TRY(set_text(definition, "name", name, &definition->name, err));
	TRY(set_new_uuid(definition, err));
	if (genid != NULL)
		xml_set_content(genid, "");
	forget_system_uuid(domain);
	for (; node != NULL; node = node->next) {
		if (xml_is(node, "interface"))
			xml_remove(xml_child(node, "mac"));
	}
	return 0;
}

/* ---- drives ---- */

/* A backup notes names that are not those of the disks: <?vmabak-drive NAME=TARGET?> after the
 * domain. */
static const char *target_of(const struct definition *definition, const char *drive)
{
	size_t length = strlen(drive);

	for (xmlNode *node = definition->document->children; node != NULL; node = node->next) {
		const char *text = (const char *)node->content;

		if (node->type == XML_PI_NODE && text != NULL &&
		    strcmp((const char *)node->name, "vmabak-drive") == 0 &&
		    strncmp(text, drive, length) == 0 && text[length] == '=')
			return text + length + 1;
	}
	return drive;
}

static const struct placed_drive *find_drive(const struct definition *definition,
					     const struct placed_drive *drives, unsigned n,
					     const char *target)
{
	for (unsigned i = 0; target != NULL && i < n; i++) {
		if (strcmp(target_of(definition, drives[i].name), target) == 0)
			return &drives[i];
	}
	return NULL;
}

/* The machine stands still where a request fails, until the server is there again. */
static void put_export(xmlNode *disk, const struct placed_drive *drive)
{
	xmlNode *driver = xml_child(disk, "driver"), *source = xml_add(disk, "source"), *host;

	xml_set(driver, "error_policy", "stop");
	xml_set(driver, "rerror_policy", "stop");
	xml_set(disk, "type", "network");
	xml_set(source, "protocol", "nbd");
	xml_set(source, "name", drive->name);
	host = xml_add(source, "host");
	xml_set(host, "transport", "unix");
	xml_set(host, "socket", drive->socket);
	xml_set(xml_add(source, "reconnect"), "delay", RECONNECT_S);
}

static void put_drive(xmlNode *disk, const struct placed_drive *drive)
{
	xmlNode *driver = xml_child(disk, "driver");

	if (driver == NULL)
		driver = xml_add(disk, "driver");
	xml_set(driver, "name", "qemu");
	xml_set(driver, "type", drive->format);
	if (!xml_has(disk, "device", "floppy") && !xml_has(disk, "device", "cdrom"))
		xml_set(disk, "device", "disk");
	if (drive->socket != NULL) {
		put_export(disk, drive);
		return;
	}
	xml_set(disk, "type", drive->is_device ? "block" : "file");
	xml_set(xml_add(disk, "source"), drive->is_device ? "dev" : "file", drive->path);
}

/* A drive for removable media stays, without one. */
static void drop_drive(struct definition *definition, xmlNode *disk, const char *target)
{
	char shown[40];

	if (xml_has(disk, "device", "cdrom") || xml_has(disk, "device", "floppy")) {
		xml_set(disk, "type", "file");
		return;
	}
	omit(&definition->omissions, "disk %s is left out: it was not restored",
	     escape_text(shown, sizeof(shown), (const uint8_t *)target, strlen(target)));
	xml_remove(disk);
}

static void warn_unused(struct definition *definition, const struct placed_drive *drives,
			unsigned n, const bool *used)
{
	char shown[80];

	for (unsigned i = 0; i < n; i++) {
		const char *name = drives[i].name;

		if (!used[i])
			omit(&definition->omissions,
			     "drive %s is not part of the domain, which has no disk of that name",
			     escape_text(shown, sizeof(shown), (const uint8_t *)name,
					 strlen(name)));
	}
}

static void put_nvram(struct definition *definition, const char *path)
{
	xmlNode *os = xml_child(definition->domain, "os"), *nvram = xml_child(os, "nvram");

	if (nvram == NULL)
		return;
	if (path != NULL)
		xml_set_content(nvram, path);
	else
		omit(&definition->omissions,
		     "the firmware's variables are not in the archive: libvirt makes new ones");
}

static void put_tpm(struct definition *definition, const char *path)
{
	if (definition->tpm_source == NULL)
		return;
	if (path != NULL)
		xml_set(definition->tpm_source, "path", path);
	else
		xml_remove(definition->tpm_source);
	definition->tpm_source = NULL;
}

bool definition_has(const struct definition *definition, const char *drive)
{
	const char *wanted = target_of(definition, drive);
	xmlNode *node = xml_child(definition->domain, "devices")->children;
	bool found = false;

	for (; node != NULL && !found; node = node->next)
		found = xml_is(node, "disk") && xml_has(xml_child(node, "target"), "dev", wanted);
	return found;
}

int definition_place(struct definition *definition, const struct placed *placed, struct error *err)
{
	const struct placed_drive *drives = placed->drives;
	unsigned n = placed->n;
	xmlNode *next, *node = xml_child(definition->domain, "devices")->children;
	bool *used = calloc((size_t)n + 1, sizeof(*used));

	if (used == NULL)
		return fail_memory(err);
	for (; node != NULL; node = next) {
		const struct placed_drive *drive;
		char *target;

		next = node->next;
		if (!xml_is(node, "disk"))
			continue;
		target = xml_attribute(xml_child(node, "target"), "dev");
		drive = find_drive(definition, drives, n, target);
		if (drive != NULL && !used[drive - drives]) {
			used[drive - drives] = true;
			put_drive(node, drive);
		} else
			drop_drive(definition, node, target == NULL ? "?" : target);
		free(target);
	}
	warn_unused(definition, drives, n, used);
	free(used);
	put_nvram(definition, placed->nvram);
	put_tpm(definition, placed->tpm);
	omissions_end(&definition->omissions);
	return 0;
}

char *definition_text(const struct definition *definition)
{
	return xml_print(definition->document);
}
