#include "machine/libvirt/xml.h"

#include "base/library.h"

#include <libxml/parser.h>
#include <libxml/uri.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES (8u << 20)

#define FUNCTIONS(X)            \
	X(xmlDocDumpMemory)     \
	X(xmlDocGetRootElement) \
	X(xmlDocSetRootElement) \
	X(xmlFreeDoc)           \
	X(xmlFreeNode)          \
	X(xmlGetIntSubset)      \
	X(xmlGetNoNsProp)       \
	X(xmlHasProp)           \
	X(xmlNewChild)          \
	X(xmlNewDoc)            \
	X(xmlNewNode)           \
	X(xmlNodeAddContent)    \
	X(xmlNodeGetContent)    \
	X(xmlNodeListGetString) \
	X(xmlNodeSetContent)    \
	X(xmlReadMemory)        \
	X(xmlRemoveProp)        \
	X(xmlSetProp)           \
	X(xmlURIEscapeStr)      \
	X(xmlUnlinkNode)        \
	X(xmlUnsetProp)         \
	X(xmlFree)

static struct {
	FUNCTIONS(LIBRARY_MEMBER)
} lib;

static struct library library = LIBRARY(FILE_xml2, FUNCTIONS, lib);

int xml_load(struct error *err)
{
	return library_load(&library, err);
}

static char *own(xmlChar *text)
{
	char *copy = text == NULL ? NULL : strdup((const char *)text);

	if (text != NULL)
		(*lib.xmlFree)(text);
	return copy;
}

xmlNode *xml_root(xmlDoc *document)
{
	return document == NULL ? NULL : lib.xmlDocGetRootElement(document);
}

xmlNode *xml_new(const char *name)
{
	struct error ignored;
	xmlNode *root;

	if (library_load(&library, &ignored) != 0)
		return NULL;
	root = lib.xmlNewNode(NULL, (const xmlChar *)name);
	lib.xmlDocSetRootElement(lib.xmlNewDoc((const xmlChar *)"1.0"), root);
	return root;
}

/* Without a document type there are no entities to expand, and nothing to load. */
xmlDoc *xml_parse(const char *bytes, size_t length)
{
	struct error ignored;
	xmlDoc *document;

	if (length > SIZE_MAX_BYTES || library_load(&library, &ignored) != 0)
		return NULL;
	document = lib.xmlReadMemory(bytes, (int)length, NULL, NULL,
				     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (document == NULL || lib.xmlGetIntSubset(document) == NULL)
		return document;
	lib.xmlFreeDoc(document);
	return NULL;
}

void xml_free(xmlDoc *document)
{
	if (document != NULL)
		lib.xmlFreeDoc(document);
}

char *xml_print(xmlDoc *document)
{
	xmlChar *text = NULL;
	int length;

	lib.xmlDocDumpMemory(document, &text, &length);
	return own(text);
}

bool xml_is(const xmlNode *node, const char *name)
{
	return node != NULL && node->type == XML_ELEMENT_NODE && node->ns == NULL &&
	       strcmp((const char *)node->name, name) == 0;
}

xmlNode *xml_element(xmlNode *node)
{
	while (node != NULL && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

xmlNode *xml_child(xmlNode *node, const char *name)
{
	for (node = node == NULL ? NULL : node->children; node != NULL; node = node->next) {
		if (xml_is(node, name))
			return node;
	}
	return NULL;
}

char *xml_attribute(xmlNode *node, const char *name)
{
	return node == NULL ? NULL : own(lib.xmlGetNoNsProp(node, (const xmlChar *)name));
}

bool xml_has_attribute(xmlNode *node, const char *name)
{
	return lib.xmlHasProp(node, (const xmlChar *)name) != NULL;
}

char *xml_value(const xmlAttr *attribute)
{
	return own(lib.xmlNodeListGetString(attribute->doc, attribute->children, 1));
}

bool xml_has(xmlNode *node, const char *name, const char *value)
{
	char *text = xml_attribute(node, name);
	bool result = text != NULL && strcmp(text, value) == 0;

	free(text);
	return result;
}

char *xml_content(xmlNode *node)
{
	return node == NULL ? NULL : own(lib.xmlNodeGetContent(node));
}

char *xml_escape_uri(const char *text)
{
	return own(lib.xmlURIEscapeStr((const xmlChar *)text, NULL));
}

xmlNode *xml_add(xmlNode *parent, const char *name)
{
	return lib.xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

void xml_set(xmlNode *node, const char *name, const char *value)
{
	lib.xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

/* xmlNodeSetContent would take "&" for the beginning of an entity. */
void xml_set_content(xmlNode *node, const char *text)
{
	lib.xmlNodeSetContent(node, NULL);
	lib.xmlNodeAddContent(node, (const xmlChar *)text);
}

void xml_unset(xmlNode *node, const char *name)
{
	lib.xmlUnsetProp(node, (const xmlChar *)name);
}

void xml_remove(xmlNode *node)
{
	if (node == NULL)
		return;
	lib.xmlUnlinkNode(node);
	lib.xmlFreeNode(node);
}

void xml_remove_attribute(xmlAttr *attribute)
{
	lib.xmlRemoveProp(attribute);
}
