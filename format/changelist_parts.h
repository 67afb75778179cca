/*
 * JSON and XML, a piece at a time: lists can be longer than memory should be.
 */
#ifndef FORMAT_CHANGELIST_PARTS_H
#define FORMAT_CHANGELIST_PARTS_H

#include "format/changelist.h"

struct json_t;

/* The objects of a document: those of an array, or one after the other. Zeros at first. */
struct changelist_objects {
	bool in_array;
	uint64_t n; /* how many there were */
};

/* 1: the next object, owned; 0: the document has ended. */
int changelist_object(struct changelist *list, struct changelist_objects *objects,
		      struct json_t **out, struct error *err);

#define CHANGELIST_ATTRIBUTES 12u

/* A tag. Its texts are good until the next one. */
struct changelist_tag {
	const char *name;
	bool opens, closes; /* both: <name/> */
	unsigned n;
	struct {
		const char *name, *value;
	} attributes[CHANGELIST_ATTRIBUTES];
};

/* The next tag, between which only white space may be. No document types, entities, comments. */
int changelist_tag(struct changelist *list, struct changelist_tag *out, struct error *err);
/* The value of an attribute, or NULL. */
const char *changelist_attribute(const struct changelist_tag *tag, const char *name);
/* ERR_DAMAGED: there is none that is a number. */
int changelist_attribute_number(struct changelist *list, const struct changelist_tag *tag,
				const char *name, uint64_t *out, struct error *err);

#endif
