/*
 * libvirt's XML, by libxml2. Texts that are returned are owned, by the C library's malloc; NULL:
 * there is none, or no memory.
 */
#ifndef MACHINE_LIBVIRT_XML_H
#define MACHINE_LIBVIRT_XML_H

#include "base/error.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

/* Says why libxml2 is not there; without it the others find nothing. */
int xml_load(struct error *err);

/* NULL: it is no XML, too large, or has a document type (libvirt writes none). */
xmlDoc *xml_parse(const char *bytes, size_t length);
void xml_free(xmlDoc *document); /* NULL-safe */
char *xml_print(xmlDoc *document);

/* Its element, and a new document of one element; NULL: no document, or no memory. */
xmlNode *xml_root(xmlDoc *document);
xmlNode *xml_new(const char *name);

/* Nodes may be NULL, as if they were empty. */
bool xml_is(const xmlNode *node, const char *name); /* an element of that name, of no namespace */
xmlNode *xml_element(xmlNode *node); /* this one, or the next of its siblings that is one */
xmlNode *xml_child(xmlNode *node, const char *name);
char *xml_attribute(xmlNode *node, const char *name);
bool xml_has_attribute(xmlNode *node, const char *name); /* of a node that is not NULL */
char *xml_value(const xmlAttr *attribute);
bool xml_has(xmlNode *node, const char *name, const char *value);
char *xml_content(xmlNode *node);
/* Percent-encodes all that is not plain in a URI. */
char *xml_escape_uri(const char *text);

xmlNode *xml_add(xmlNode *parent, const char *name);
void xml_set(xmlNode *node, const char *name, const char *value); /* replaces */
void xml_set_content(xmlNode *node, const char *text);
void xml_unset(xmlNode *node, const char *name);
void xml_remove(xmlNode *node); /* NULL-safe */
void xml_remove_attribute(xmlAttr *attribute);

#endif
