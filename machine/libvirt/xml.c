#include "machine/libvirt/xml.h"

#include <libxml/parser.h>
#include <libxml/uri.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES (8u << 20)

static char *own(xmlChar *text)
{
	char *copy = text == NULL ? NULL : strdup((const char *)text);

	xmlFree(text);
	return copy;
}

/* Without a document type there are no entities to expand, and nothing to load. */
xmlDoc *xml_parse(const char *bytes, size_t length)
{
	xmlDoc *document;

	if (length > SIZE_MAX_BYTES)
		return NULL;
	document = xmlReadMemory(bytes, (int)length, NULL, NULL,
				 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (document == NULL || xmlGetIntSubset(document) == NULL)
		return document;
	xmlFreeDoc(document);
	return NULL;
}

void xml_free(xmlDoc *document)
{
	if (document != NULL)
		xmlFreeDoc(document);
}

char *xml_print(xmlDoc *document)
{
	xmlChar *text = NULL;
	int length;

	xmlDocDumpMemory(document, &text, &length);
	return own(text);
}

bool xml_is(const xmlNode *node, const char *name)
{
	return node != NULL && node->type == XML_ELEMENT_NODE && node->ns == NULL &&
	       strcmp((const char *)node->name, name) == 0;
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
	return node == NULL ? NULL : own(xmlGetNoNsProp(node, (const xmlChar *)name));
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
	return node == NULL ? NULL : own(xmlNodeGetContent(node));
}

char *xml_escape_uri(const char *text)
{
	return own(xmlURIEscapeStr((const xmlChar *)text, NULL));
}

xmlNode *xml_add(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

void xml_set(xmlNode *node, const char *name, const char *value)
{
	xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

/* xmlNodeSetContent would take "&" for the beginning of an entity. */
void xml_set_content(xmlNode *node, const char *text)
{
	xmlNodeSetContent(node, NULL);
	xmlNodeAddContent(node, (const xmlChar *)text);
}

void xml_unset(xmlNode *node, const char *name)
{
	xmlUnsetProp(node, (const xmlChar *)name);
}

void xml_remove(xmlNode *node)
{
	if (node == NULL)
		return;
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}
