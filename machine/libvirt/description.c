#include "machine/libvirt/description.h"

#include "base/name.h"
#include "machine/libvirt/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISKS_MAX 4096u

static void free_disk(struct domain_disk *disk)
{
	free(disk->name);
	free(disk->target);
	free(disk->source);
	free(disk->image);
	free(disk->format);
	free(disk->backing);
	free(disk->pool);
	free(disk->volume);
	free(disk->obstacle);
}

void domain_disks_free(struct domain_disks *disks)
{
	for (unsigned i = 0; i < disks->n; i++)
		free_disk(&disks->disks[i]);
	free(disks->disks);
	for (unsigned i = 0; i < disks->n_others; i++)
		free_disk(&disks->others[i]);
	free(disks->others);
	free(disks->nvram);
	free(disks->uuid);
	free(disks->tpm.place);
	*disks = (struct domain_disks){0};
}

static struct domain_disk *find_disk(const struct domain_disks *disks, const char *target)
{
	for (unsigned i = 0; i < disks->n; i++) {
		if (strcmp(disks->disks[i].target, target) == 0)
			return &disks->disks[i];
	}
	return NULL;
}

static int fail_unknown(const struct domain_disks *disks, const char *argument, struct error *err)
{
	fail(err, ERR_USAGE, "drive '%.100s': the domain has no such disk, but ", argument);
	if (disks->n == 0)
		error_append(err, "no disks");
	for (unsigned i = 0; i < disks->n && strlen(err->text) < 300; i++)
		error_append(err, "%s%s", i == 0 ? "" : ", ", disks->disks[i].target);
	return err->code;
}

/* The name that the argument gives the disk, if it gives one. */
static int name_disk(struct domain_disk *disk, const char *argument, const struct domain_disks *out,
		     struct error *err)
{
	size_t length = name_prefix(argument);

	if (length > 0) {
		free(disk->name);
		disk->name = text_make("%.*s", (int)length, argument);
		if (disk->name == NULL)
			return fail_memory(err);
	}
	if (!name_usable((const uint8_t *)disk->name, strlen(disk->name)))
		return fail(err, ERR_USAGE,
			    "drive '%.100s': not usable as the name of a drive; give one with -d "
			    "NAME=TARGET",
			    argument);
	for (unsigned i = 0; i < out->n; i++) {
		if (strcmp(out->disks[i].name, disk->name) == 0)
			return fail(err, ERR_USAGE, "drive '%.100s': that name is taken already",
				    argument);
	}
	return 0;
}

/* Moves the disk that an argument names to the end of out. Its target stays, for messages about the
 * arguments that follow. */
static int take_disk(struct domain_disks *disks, const char *argument, struct domain_disks *out,
		     struct error *err)
{
	size_t length = name_prefix(argument);
	struct domain_disk *disk = find_disk(disks, length > 0 ? argument + length + 1 : argument);
	char *target;

	if (disk == NULL)
		return fail_unknown(disks, argument, err);
	if (disk->chosen)
		return fail(err, ERR_USAGE, "drive '%.100s': is named twice", argument);
	TRY(name_disk(disk, argument, out, err));
	target = strdup(disk->target);
	if (target == NULL)
		return fail_memory(err);
	out->disks[out->n++] = *disk;
	*disk = (struct domain_disk){.target = target, .chosen = true};
	return 0;
}

int domain_disks_choose(struct domain_disks *disks, const struct strings *wanted, struct error *err)
{
	struct domain_disks out = {.disks = calloc(disks->n + 1, sizeof(*out.disks))};
	int code = out.disks == NULL ? fail_memory(err) : 0;

	for (unsigned i = 0; i < wanted->n && code == 0; i++)
		code = take_disk(disks, wanted->items[i], &out, err);
	for (unsigned i = 0; i < disks->n && wanted->n == 0 && code == 0; i++) {
		if (disks->disks[i].by_default)
			code = take_disk(disks, disks->disks[i].target, &out, err);
	}
	if (code == 0 && out.n == 0)
		code = fail(err, ERR_USAGE,
			    "the domain has no disk that can be written to: name one with -d");
	out.others = disks->disks;
	out.n_others = disks->n;
	out.nvram = disks->nvram;
	out.uuid = disks->uuid;
	out.tpm = disks->tpm;
	out.has_iothreads = disks->has_iothreads;
	*disks = out;
	return code;
}

char *scratch_folder(const struct domain_disk *disk, const char *scratch)
{
	if (scratch != NULL)
		return strdup(scratch);
	if (!disk->is_file || *disk->source != '/')
		return NULL;
	return text_make("%.*s", (int)(base_name(disk->source) - disk->source - 1), disk->source);
}

char *scratch_file(const struct domain_disk *disk, const char *scratch, const char *id)
{
	char *folder = scratch_folder(disk, scratch), *file;

	if (folder == NULL)
		return NULL;
	file = text_make("%s/vmabak-%s-%s", folder, id, disk->target);
	free(folder);
	return file;
}

void scratch_files_remove(const struct domain_disks *disks, const char *scratch, const char *id)
{
	for (unsigned i = 0; i < disks->n; i++) {
		char *path = scratch_file(&disks->disks[i], scratch, id);

		if (path != NULL)
			unlink(path);
		free(path);
	}
}

static int fail_nonsense(struct error *err)
{
	return fail(err, ERR_SYSTEM, "libvirt's description of the domain cannot be understood");
}

/* The URI of an NBD export; owned, NULL: no memory, or no host. */
static char *uri_of_nbd(xmlNode *source)
{
	xmlNode *host = xml_child(source, "host");
	char *name = xml_attribute(source, "name"),
	     *export = xml_escape_uri(name == NULL ? "" : name);
	char *socket = xml_attribute(host, "socket"),
	     *path = socket == NULL ? NULL : xml_escape_uri(socket);
	char *server = xml_attribute(host, "name"), *port = xml_attribute(host, "port");
	const char *scheme = xml_has(source, "tls", "yes") ? "nbds" : "nbd";
	bool is_ipv6 = server != NULL && strchr(server, ':') != NULL && *server != '[';
	char *uri = NULL;

	if (socket != NULL && path != NULL && export != NULL)
		uri = text_make("%s+unix:///%s?socket=%s", scheme, export, path);
	else if (server != NULL && export != NULL)
		uri = text_make("%s://%s%s%s:%s/%s", scheme, is_ipv6 ? "[" : "", server,
				is_ipv6 ? "]" : "", port == NULL ? "10809" : port, export);
	free(name);
	free(export);
	free(socket);
	free(path);
	free(server);
	free(port);
	return uri;
}

/* Why an image cannot be read without libvirt; owned, NULL: it can. */
static char *obstacle_of(const struct domain_disk *disk, xmlNode *node, xmlNode *source)
{
	char *type = xml_attribute(node, "type"), *protocol = xml_attribute(source, "protocol");
	char *text = NULL;

	if (source == NULL)
		text = strdup("has no medium");
	else if (disk->decrypted)
		text = strdup("is encrypted, with a secret that only libvirt has");
	else if (xml_child(source, "slices") != NULL)
		text = strdup("is a slice of its image");
	else if (disk->image != NULL && disk->source == NULL && strcmp(disk->format, "raw") != 0)
		text = text_make("is a %.20s image on an NBD server", disk->format);
	else if (disk->image == NULL && disk->volume == NULL)
		text = text_make("is of type %.30s%s%.30s", type == NULL ? "?" : type,
				 protocol == NULL ? "" : " with protocol ",
				 protocol == NULL ? "" : protocol);
	free(type);
	free(protocol);
	return text;
}

static int fill_backing(struct domain_disk *disk, xmlNode *node, struct error *err)
{
	xmlNode *backing = xml_child(node, "backingStore"), *source = xml_child(backing, "source");

	if (backing == NULL)
		return 0;
	disk->backing = xml_attribute(source, "file");
	if (disk->backing == NULL)
		disk->backing = xml_attribute(source, "dev");
	if (disk->backing == NULL)
		disk->backing = strdup(source == NULL ? "" : "elsewhere");
	return disk->backing == NULL ? fail_memory(err) : 0;
}

/* What is to be read when the domain is off. */
static int fill_image(struct domain_disk *disk, xmlNode *node, xmlNode *source, struct error *err)
{
	disk->format = xml_attribute(xml_child(node, "driver"), "type");
	if (disk->format == NULL)
		disk->format = strdup("raw");
	if (disk->format == NULL)
		return fail_memory(err);
	if (disk->source != NULL)
		disk->image = strdup(disk->source);
	else if (xml_has(node, "type", "network") && xml_has(source, "protocol", "nbd"))
		disk->image = uri_of_nbd(source);
	else if (xml_has(node, "type", "volume")) {
		disk->pool = xml_attribute(source, "pool");
		disk->volume = xml_attribute(source, "volume");
	}
	disk->obstacle = obstacle_of(disk, node, source);
	return fill_backing(disk, node, err);
}

static int fill_disk(struct domain_disk *disk, xmlNode *node, struct error *err)
{
	xmlNode *source = xml_child(node, "source");

	disk->target = xml_attribute(xml_child(node, "target"), "dev");
	if (disk->target == NULL)
		return fail_nonsense(err);
	disk->name = strdup(disk->target);
	if (disk->name == NULL)
		return fail_memory(err);
	disk->source = xml_attribute(source, "file");
	disk->is_file = disk->source != NULL;
	disk->decrypted =
		xml_child(node, "encryption") != NULL || xml_child(source, "encryption") != NULL;
	if (disk->source == NULL)
		disk->source = xml_attribute(source, "dev");
	disk->kept = xml_child(node, "readonly") == NULL && xml_child(node, "transient") == NULL;
	disk->by_default = source != NULL && xml_child(node, "readonly") == NULL &&
			   xml_child(node, "shareable") == NULL &&
			   (!xml_has_attribute(node, "device") || xml_has(node, "device", "disk"));
	return fill_image(disk, node, source, err);
}

static int take_disks(struct domain_disks *out, xmlNode *devices, struct error *err)
{
	for (xmlNode *node = devices->children; node != NULL; node = node->next) {
		struct domain_disk *disks;

		if (!xml_is(node, "disk"))
			continue;
		if (out->n == DISKS_MAX)
			return fail_nonsense(err);
		disks = reallocarray(out->disks, out->n + 1, sizeof(*disks));
		if (disks == NULL)
			return fail_memory(err);
		out->disks = disks;
		disks[out->n] = (struct domain_disk){0};
		TRY(fill_disk(&disks[out->n++], node, err));
	}
	return 0;
}

static void take_nvram(struct domain_disks *out, xmlNode *nvram)
{
	char *path;

	if (nvram == NULL || xml_has(nvram, "type", "network"))
		return;
	path = xml_content(nvram);
	if (path != NULL && *path == '/')
		out->nvram = path;
	else {
		free(path);
		out->nvram = xml_attribute(xml_child(nvram, "source"), "file");
	}
}

static void take_tpm(struct domain_tpm *out, xmlNode *tpm)
{
	xmlNode *backend = xml_child(tpm, "backend"), *source = xml_child(backend, "source");

	out->is_there = xml_has(backend, "type", "emulator");
	if (!out->is_there)
		return;
	out->is_1_2 = xml_has(backend, "version", "1.2");
	out->in_file = xml_has(source, "type", "file");
	out->place = xml_attribute(source, "path");
}

int domain_disks_parse(struct domain_disks *out, const char *xml, struct error *err)
{
	xmlDoc *document;
	xmlNode *root, *devices;
	int code;

	*out = (struct domain_disks){0};
	TRY(xml_load(err));
	document = xml_parse(xml, strlen(xml));
	root = xml_root(document);
	devices = xml_child(root, "devices");
	code = devices == NULL ? fail_nonsense(err) : take_disks(out, devices, err);
	if (code == 0) {
		take_nvram(out, xml_child(xml_child(root, "os"), "nvram"));
		take_tpm(&out->tpm, xml_child(devices, "tpm"));
		out->uuid = xml_content(xml_child(root, "uuid"));
		out->has_iothreads = strstr(xml, "iothread") != NULL;
	}
	xml_free(document);
	return code;
}

char *backup_socket(const char *xml)
{
	xmlDoc *document = xml_parse(xml, strlen(xml));
	xmlNode *root = xml_root(document);
	char *path = xml_attribute(xml_child(root, "server"), "socket");

	xml_free(document);
	return path;
}

static bool add_disk(xmlNode *list, const struct domain_disk *disk, const char *scratch,
		     const char *id)
{
	xmlNode *node = xml_add(list, "disk");
	char *file = scratch_file(disk, scratch, id);

	xml_set(node, "name", disk->target);
	xml_set(node, "exportname", disk->target);
	xml_set(node, "backup", "yes");
	xml_set(node, "type", "file");
	if (disk->since != NULL) {
		xml_set(node, "backupmode", "incremental");
		xml_set(node, "incremental", disk->since);
		xml_set(node, "exportbitmap", disk->target);
	}
	xml_set(xml_add(node, "scratch"), "file", file);
	free(file);
	return file != NULL;
}

char *backup_description(const struct domain_disks *disks, const char *socket, const char *scratch,
			 const char *id)
{
	xmlNode *root = xml_new("domainbackup"), *server, *list;
	bool whole = true;
	char *text;

	if (root == NULL)
		return NULL;
	xml_set(root, "mode", "pull");
	server = xml_add(root, "server");
	xml_set(server, "transport", "unix");
	xml_set(server, "socket", socket);
	list = xml_add(root, "disks");
	for (unsigned i = 0; i < disks->n; i++)
		whole = add_disk(list, &disks->disks[i], scratch, id) && whole;
	text = whole ? xml_print(root->doc) : NULL;
	xml_free(root->doc);
	return text;
}
