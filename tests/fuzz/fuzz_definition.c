/*
 * The definition of a domain in an archive: whatever it says, what is left of it names no file of
 * the host but those that were restored, and firmware of packages.
 */
#include "tests/fuzz/fuzz.h"

#if HAVE_LIBVIRT

#include "machine/libvirt/definition.h"
#include "machine/libvirt/xml.h"

#include <string.h>

/* Parts whose text nothing takes for the name of a file. */
static const char *const free_texts[] = {"title", "description", "launchSecurity", "clock",
					 "sysinfo"};

static bool is_free(const xmlNode *node)
{
	for (size_t i = 0; i < sizeof(free_texts) / sizeof(free_texts[0]); i++) {
		if (xml_is(node, free_texts[i]))
			return true;
	}
	return false;
}

static void check_text(const char *text)
{
	MUST(text == NULL || strchr(text, '/') == NULL || strncmp(text, "/PLACED/", 8) == 0 ||
	     (strncmp(text, "/usr/share/", 11) == 0 && strstr(text, "/..") == NULL));
}

static void check(xmlNode *node)
{
	for (const xmlAttr *attribute = node->properties; attribute != NULL;
	     attribute = attribute->next) {
		char *text = xml_attribute(node, (const char *)attribute->name);

		MUST(attribute->ns == NULL);
		check_text(text);
		free(text);
	}
	MUST(node->ns == NULL);
	for (xmlNode *below = node->children; below != NULL; below = below->next) {
		if (below->type == XML_ELEMENT_NODE && !(is_free(below) && xml_is(node, "domain")))
			check(below);
		else if (below->type == XML_TEXT_NODE || below->type == XML_CDATA_SECTION_NODE)
			check_text((const char *)below->content);
		else
			MUST(below->type == XML_ELEMENT_NODE || below->type == XML_COMMENT_NODE);
	}
}

static void check_printed(const struct definition *definition)
{
	char *text = definition_text(definition);
	xmlDoc *document;

	MUST(text != NULL);
	document = xml_parse(text, strlen(text));
	MUST(document != NULL);
	check(xml_root(document));
	xml_free(document);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct placed_drive drive = {
		.name = "vda", .path = "/PLACED/vda", .format = "raw"};
	const struct placed placed = {
		.drives = &drive, .n = 1, .nvram = "/PLACED/nvram", .tpm = "/PLACED/vtpm"};
	struct definition *definition;
	struct error err = {0};
	struct text xml = {data, (uint32_t)size};

	if (definition_parse(&definition, xml, NULL, &err) < 0) {
		MUST(err.text[0] != '\0');
		return 0;
	}
	MUST(strlen(definition_uuid(definition)) == 36);
	if (size % 2 == 0)
		MUST(definition_rename(definition, "other", &err) == 0);
	MUST(definition_place(definition, &placed, &err) == 0);
	check_printed(definition);
	definition_free(definition);
	return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	return 0;
}

#endif
