#include "machine/libvirt/description.h"

#include "cli/memory.h"
#include "base/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MAX 4096u

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

/* "vda, vdb" for a message. */
static char *all_targets(const struct domain_disks *disks)
{
	char *all = memory_text("%s", disks->n == 0 ? "no disks" : "");

	for (unsigned i = 0; i < disks->n; i++) {
		char *longer =
			memory_text("%s%s%s", all, i == 0 ? "" : ", ", disks->disks[i].target);

		free(all);
		all = longer;
	}
	return all;
}

static struct domain_disk *find_disk(const struct domain_disks *disks, const char *target)
{
	for (unsigned i = 0; i < disks->n; i++) {
		if (strcmp(disks->disks[i].target, target) == 0)
			return &disks->disks[i];
	}
	return NULL;
}

/* Moves the disk that an argument names to the end of out. */
static int take_disk(struct domain_disks *disks, const char *argument, struct domain_disks *out,
		     struct error *err)
{
	size_t length = name_prefix(argument);
	struct domain_disk *disk = find_disk(disks, length > 0 ? argument + length + 1 : argument);
	char *all;

	if (disk == NULL) {
		all = all_targets(disks);
		fail(err, ERR_USAGE, "drive '%.100s': the domain has no such disk, but %.200s",
		     argument, all);
		free(all);
		return err->code;
	}
	if (disk->chosen)
		return fail(err, ERR_USAGE, "drive '%.100s': is named twice", argument);
	disk->chosen = true;
	if (length > 0) {
		free(disk->name);
		disk->name = memory_text("%.*s", (int)length, argument);
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
	out->disks[out->n++] = *disk;
	/* The target stays, for messages about those that follow. */
	*disk = (struct domain_disk){.target = memory_text("%s", disk->target), .chosen = true};
	return 0;
}

int domain_disks_choose(struct domain_disks *disks, const struct strings *wanted, struct error *err)
{
	struct domain_disks out = {.disks = memory_new(disks->n + 1, sizeof(*out.disks))};
	int result = 0;

	if (wanted->n > 0) {
		for (unsigned i = 0; i < wanted->n && result == 0; i++)
			result = take_disk(disks, wanted->items[i], &out, err);
	} else {
		for (unsigned i = 0; i < disks->n && result == 0; i++)
			if (disks->disks[i].by_default)
				result = take_disk(disks, disks->disks[i].target, &out, err);
	}
	if (result == 0 && out.n == 0)
		result = fail(err, ERR_USAGE,
			      "the domain has no disk that can be written to: name one with -d");
	out.nvram = disks->nvram;
	disks->nvram = NULL;
	domain_disks_free(disks);
	*disks = out;
	return result;
}

char *scratch_folder(const struct domain_disk *disk, const char *scratch)
{
	if (scratch != NULL)
		return memory_text("%s", scratch);
	if (!disk->is_file || *disk->source != '/')
		return NULL;
	return memory_text("%.*s", (int)(base_name(disk->source) - disk->source - 1), disk->source);
}

char *scratch_file(const struct domain_disk *disk, const char *scratch, const char *id)
{
	char *folder = scratch_folder(disk, scratch), *file;

	file = memory_text("%s/vmabak-%s-%s", folder == NULL ? "" : folder, id, disk->target);
	free(folder);
	return file;
}

#if HAVE_LIBVIRT

#include <libxml/parser.h>
#include <libxml/tree.h>

#define XML_SIZE_MAX (8u << 20)

/* A child element, or NULL. */
static xmlNode *child(xmlNode *node, const char *name)
{
	for (node = node == NULL ? NULL : node->children; node != NULL; node = node->next) {
		if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
			return node;
	}
	return NULL;
}

/* Owned, by the C library's malloc; NULL: there is none. */
static char *attribute(xmlNode *node, const char *name)
{
	xmlChar *text = node == NULL ? NULL : xmlGetProp(node, (const xmlChar *)name);
	char *own = text == NULL ? NULL : memory_text("%s", (const char *)text);

	xmlFree(text);
	return own;
}

static bool is_text(char *owned, const char *text)
{
	bool result = owned != NULL && strcmp(owned, text) == 0;

	free(owned);
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

static bool take_xml_disk(struct domain_disks *out, xmlNode *node)
{
	xmlNode *source = child(node, "source");
	char *device = attribute(node, "device"), *target = attribute(child(node, "target"), "dev");
	struct domain_disk *disk;

	if (target == NULL || out->n == DISKS_MAX) {
		free(device);
		free(target);
		return false;
	}
	out->disks = memory_grow(out->disks, out->n + 1, sizeof(*out->disks));
	disk = &out->disks[out->n++];
	*disk = (struct domain_disk){.target = target, .name = memory_text("%s", target)};
	disk->source = attribute(source, "file");
	disk->is_file = disk->source != NULL;
	if (disk->source == NULL)
		disk->source = attribute(source, "dev");
	disk->by_default = source != NULL && child(node, "readonly") == NULL &&
			   child(node, "shareable") == NULL &&
			   (device == NULL || strcmp(device, "disk") == 0);
	free(device);
	return true;
}

int domain_disks_parse(struct domain_disks *out, const char *xml, struct error *err)
{
	xmlDoc *document = parse(xml);
	xmlNode *root = document == NULL ? NULL : xmlDocGetRootElement(document);
	xmlNode *devices = child(root, "devices"), *nvram = child(child(root, "os"), "nvram");
	bool good = devices != NULL;

	*out = (struct domain_disks){0};
	for (xmlNode *node = good ? devices->children : NULL; node != NULL; node = node->next) {
		if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, "disk") == 0)
			good = good && take_xml_disk(out, node);
	}
	if (nvram != NULL && !is_text(attribute(nvram, "type"), "network")) {
		xmlChar *path = xmlNodeGetContent(nvram);

		if (path != NULL && *path == '/')
			out->nvram = memory_text("%s", (const char *)path);
		xmlFree(path);
		if (out->nvram == NULL)
			out->nvram = attribute(child(nvram, "source"), "file");
	}
	if (document != NULL)
		xmlFreeDoc(document);
	if (!good)
		return fail(err, ERR_SYSTEM, "what libvirt tells of the domain makes no sense");
	return 0;
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

char *backup_description(const struct domain_disks *disks, const char *socket, const char *scratch,
			 const char *id)
{
	xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
	xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"domainbackup"), *server, *list;
	xmlChar *text = NULL;
	char *own;
	int length;

	xmlDocSetRootElement(document, root);
	xmlNewProp(root, (const xmlChar *)"mode", (const xmlChar *)"pull");
	server = xmlNewChild(root, NULL, (const xmlChar *)"server", NULL);
	xmlNewProp(server, (const xmlChar *)"transport", (const xmlChar *)"unix");
	xmlNewProp(server, (const xmlChar *)"socket", (const xmlChar *)socket);
	list = xmlNewChild(root, NULL, (const xmlChar *)"disks", NULL);
	for (unsigned i = 0; i < disks->n; i++) {
		const char *target = disks->disks[i].target;
		xmlNode *disk = xmlNewChild(list, NULL, (const xmlChar *)"disk", NULL);

		xmlNewProp(disk, (const xmlChar *)"name", (const xmlChar *)target);
		xmlNewProp(disk, (const xmlChar *)"exportname", (const xmlChar *)target);
		xmlNewProp(disk, (const xmlChar *)"backup", (const xmlChar *)"yes");
		xmlNewProp(disk, (const xmlChar *)"type", (const xmlChar *)"file");
		own = scratch_file(&disks->disks[i], scratch, id);
		xmlNewProp(xmlNewChild(disk, NULL, (const xmlChar *)"scratch", NULL),
			   (const xmlChar *)"file", (const xmlChar *)own);
		free(own);
	}
	xmlDocDumpMemory(document, &text, &length);
	own = memory_text("%s", text == NULL ? "" : (const char *)text);
	xmlFree(text);
	xmlFreeDoc(document);
	return own;
}

#else

int domain_disks_parse(struct domain_disks *out, const char *xml, struct error *err)
{
	(void)xml;
	*out = (struct domain_disks){0};
	return fail(err, ERR_USAGE, "this program was built without libvirt");
}

char *backup_socket(const char *xml)
{
	(void)xml;
	return NULL;
}

char *backup_description(const struct domain_disks *disks, const char *socket, const char *scratch,
			 const char *id)
{
	(void)disks, (void)socket, (void)scratch;
	return memory_text("%s", id);
}

#endif
