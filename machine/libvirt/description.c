#include "machine/libvirt/description.h"

#include "base/name.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MAX    4096u
#define XML_SIZE_MAX (8u << 20)

static void free_disk(struct domain_disk *disk)
{
	free(disk->name);
	free(disk->target);
	free(disk->source);
}

void domain_disks_free(struct domain_disks *disks)
{
	for (unsigned i = 0; i < disks->n; i++)
		free_disk(&disks->disks[i]);
	free(disks->disks);
	free(disks->nvram);
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
			    "drive '%.100s': that is no name for a drive; give another as -d "
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
	out.nvram = disks->nvram;
	disks->nvram = NULL;
	domain_disks_free(disks);
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

/* A child element, or NULL. */
static xmlNode *child(xmlNode *node, const char *name)
{
	for (node = node == NULL ? NULL : node->children; node != NULL; node = node->next) {
		if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
			return node;
	}
	return NULL;
}

/* Owned, by the C library's malloc; NULL: there is none, or no memory. */
static char *attribute(xmlNode *node, const char *name)
{
	xmlChar *text = node == NULL ? NULL : xmlGetProp(node, (const xmlChar *)name);
	char *own = text == NULL ? NULL : strdup((const char *)text);

	xmlFree(text);
	return own;
}

static bool has(xmlNode *node, const char *name, const char *value)
{
	char *text = attribute(node, name);
	bool result = text != NULL && strcmp(text, value) == 0;

	free(text);
	return result;
}

static xmlDoc *parse(const char *xml)
{
	size_t length = strlen(xml);

	if (length > XML_SIZE_MAX)
		return NULL;
	return xmlReadMemory(xml, (int)length, NULL, NULL,
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static int fail_nonsense(struct error *err)
{
	return fail(err, ERR_SYSTEM, "libvirt's description of the domain cannot be understood");
}

static int fill_disk(struct domain_disk *disk, xmlNode *node, struct error *err)
{
	xmlNode *source = child(node, "source");

	disk->target = attribute(child(node, "target"), "dev");
	if (disk->target == NULL)
		return fail_nonsense(err);
	disk->name = strdup(disk->target);
	if (disk->name == NULL)
		return fail_memory(err);
	disk->source = attribute(source, "file");
	disk->is_file = disk->source != NULL;
	disk->decrypted =
		child(node, "encryption") != NULL || child(source, "encryption") != NULL;
	if (disk->source == NULL)
		disk->source = attribute(source, "dev");
	disk->by_default =
		source != NULL && child(node, "readonly") == NULL &&
		child(node, "shareable") == NULL &&
		(!xmlHasProp(node, (const xmlChar *)"device") || has(node, "device", "disk"));
	return 0;
}

static int take_disks(struct domain_disks *out, xmlNode *devices, struct error *err)
{
	for (xmlNode *node = devices->children; node != NULL; node = node->next) {
		struct domain_disk *disks;

		if (node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, "disk") != 0)
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
	xmlChar *path;

	if (nvram == NULL || has(nvram, "type", "network"))
		return;
	path = xmlNodeGetContent(nvram);
	if (path != NULL && *path == '/')
		out->nvram = strdup((const char *)path);
	xmlFree(path);
	if (out->nvram == NULL)
		out->nvram = attribute(child(nvram, "source"), "file");
}

int domain_disks_parse(struct domain_disks *out, const char *xml, struct error *err)
{
	xmlDoc *document = parse(xml);
	xmlNode *root = document == NULL ? NULL : xmlDocGetRootElement(document);
	xmlNode *devices = child(root, "devices");
	int code;

	*out = (struct domain_disks){0};
	code = devices == NULL ? fail_nonsense(err) : take_disks(out, devices, err);
	if (code == 0)
		take_nvram(out, child(child(root, "os"), "nvram"));
	if (document != NULL)
		xmlFreeDoc(document);
	return code;
}

char *backup_socket(const char *xml)
{
	xmlDoc *document = parse(xml);
	xmlNode *root = document == NULL ? NULL : xmlDocGetRootElement(document);
	char *path = attribute(child(root, "server"), "socket");

	if (document != NULL)
		xmlFreeDoc(document);
	return path;
}

static void set(xmlNode *node, const char *name, const char *value)
{
	xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static xmlNode *add(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

static bool add_disk(xmlNode *list, const struct domain_disk *disk, const char *scratch,
		     const char *id)
{
	xmlNode *node = add(list, "disk");
	char *file = scratch_file(disk, scratch, id);

	set(node, "name", disk->target);
	set(node, "exportname", disk->target);
	set(node, "backup", "yes");
	set(node, "type", "file");
	set(add(node, "scratch"), "file", file);
	free(file);
	return file != NULL;
}

char *backup_description(const struct domain_disks *disks, const char *socket, const char *scratch,
			 const char *id)
{
	xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
	xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"domainbackup"), *server, *list;
	xmlChar *text = NULL;
	bool whole = true;
	char *own;
	int length;

	xmlDocSetRootElement(document, root);
	set(root, "mode", "pull");
	server = add(root, "server");
	set(server, "transport", "unix");
	set(server, "socket", socket);
	list = add(root, "disks");
	for (unsigned i = 0; i < disks->n; i++)
		whole = add_disk(list, &disks->disks[i], scratch, id) && whole;
	if (whole)
		xmlDocDumpMemory(document, &text, &length);
	own = text == NULL ? NULL : strdup((const char *)text);
	xmlFree(text);
	xmlFreeDoc(document);
	return own;
}
