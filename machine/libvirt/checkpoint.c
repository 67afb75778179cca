#include "machine/libvirt/checkpoint.h"

#include "base/parse.h"
#include "base/text.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GOOD	  "of a backup by vmabak"
#define PENDING	  "of a backup by vmabak that has not ended: "
#define DISKS_MAX 4096u

/* ---- parsing ---- */

void libvirt_checkpoint_free(struct libvirt_checkpoint *checkpoint)
{
	for (unsigned i = 0; i < checkpoint->n; i++)
		free(checkpoint->disks[i].target);
	free(checkpoint->disks);
	free(checkpoint->pending);
	*checkpoint = (struct libvirt_checkpoint){0};
}

const struct libvirt_checkpoint_disk *
libvirt_checkpoint_disk(const struct libvirt_checkpoint *checkpoint, const char *target)
{
	for (unsigned i = 0; i < checkpoint->n; i++) {
		if (strcmp(checkpoint->disks[i].target, target) == 0)
			return &checkpoint->disks[i];
	}
	return NULL;
}

/* Frees the text. */
static bool take_number(char *text, uint64_t *out)
{
	bool good = text != NULL && parse_number(text, out);

	free(text);
	return good;
}

static int add_disk(struct libvirt_checkpoint *out, xmlNode *node, const char *name,
		    struct error *err)
{
	struct libvirt_checkpoint_disk *disks =
					       reallocarray(out->disks, out->n + 1, sizeof(*disks)),
				       *disk;

	uint64_t changed = 0;

	if (disks == NULL)
		return fail_memory(err);
	out->disks = disks;
	disk = &disks[out->n];
	*disk = (struct libvirt_checkpoint_disk){
		.target = xml_attribute(node, "name"),
		.recorded = xml_has(node, "checkpoint", "bitmap") && xml_has(node, "bitmap", name),
		.sound = take_number(xml_attribute(node, "size"), &changed),
		.changed_bytes = changed,
	};
	if (disk->target == NULL)
		return fail_memory(err);
	out->n++;
	return 0;
}

static int take_description(struct libvirt_checkpoint *out, xmlNode *root, struct error *err)
{
	char *text = xml_content(xml_child(root, "description"));

	out->good = text != NULL && strcmp(text, GOOD) == 0;
	if (text != NULL && strncmp(text, PENDING, strlen(PENDING)) == 0) {
		out->pending = strdup(text + strlen(PENDING));
		if (out->pending == NULL) {
			free(text);
			return fail_memory(err);
		}
	}
	free(text);
	return 0;
}

static int take(struct libvirt_checkpoint *out, xmlNode *root, const char *name, struct error *err)
{
	xmlNode *node = xml_child(root, "disks");

	TRY(take_description(out, root, err));
	take_number(xml_content(xml_child(root, "creationTime")), &out->created_s);
	for (node = node == NULL ? NULL : node->children; node != NULL; node = node->next) {
		if (!xml_is(node, "disk"))
			continue;
		if (out->n == DISKS_MAX)
			return fail(err, ERR_SYSTEM, "a checkpoint of too many disks");
		TRY(add_disk(out, node, name, err));
	}
	return 0;
}

int libvirt_checkpoint_parse(struct libvirt_checkpoint *out, const char *xml, struct error *err)
{
	xmlDoc *document = xml_parse(xml, strlen(xml));
	xmlNode *root = xml_root(document);
	char *name = xml_content(xml_child(root, "name"));
	int code;

	*out = (struct libvirt_checkpoint){0};
	if (name == NULL)
		code = fail(err, ERR_SYSTEM,
			    "libvirt's description of a checkpoint cannot be understood");
	else
		code = take(out, root, name, err);
	free(name);
	xml_free(document);
	return code;
}

/* ---- making ---- */

static bool describe(xmlNode *root, const char *pending)
{
	char *text = pending == NULL ? strdup(GOOD) : text_make(PENDING "%s", pending);
	xmlNode *node = xml_child(root, "description");

	if (text == NULL)
		return false;
	if (node == NULL)
		node = xml_add(root, "description");
	xml_set_content(node, text);
	free(text);
	return true;
}

/* libvirt wants to be told when one began that it has lost. */
static void put_time(xmlNode *root)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)time(NULL));
	xml_set_content(xml_add(root, "creationTime"), text);
}

char *libvirt_checkpoint_text(const char *name, const char *const *targets, unsigned n,
			      const char *pending, bool again)
{
	xmlNode *root = xml_new("domaincheckpoint"), *list;
	char *text = NULL;

	if (root == NULL)
		return NULL;
	xml_set_content(xml_add(root, "name"), name);
	if (again)
		put_time(root);
	list = xml_add(root, "disks");
	for (unsigned i = 0; i < n; i++) {
		xmlNode *node = targets[i] == NULL ? NULL : xml_add(list, "disk");

		if (node == NULL)
			continue;
		xml_set(node, "name", targets[i]);
		xml_set(node, "checkpoint", "bitmap");
		xml_set(node, "bitmap", name);
	}
	if (describe(root, pending))
		text = xml_print(root->doc);
	xml_free(root->doc);
	return text;
}

char *libvirt_checkpoint_text_good(const char *xml)
{
	xmlDoc *document = xml_parse(xml, strlen(xml));
	xmlNode *root = xml_root(document);
	char *text = NULL;

	if (root != NULL && describe(root, NULL))
		text = xml_print(document);
	xml_free(document);
	return text;
}

/* ---- removing ---- */

/* libvirt removes all bitmaps of a checkpoint or none. So it is told that the checkpoint is one of
 * a single disk, and that is removed: one disk after the other. */
static void remove_each(struct domain *domain, const char *name,
			const struct libvirt_checkpoint *found)
{
	for (unsigned i = 0; i < found->n; i++) {
		const char *target = found->disks[i].target;
		struct error ignored = {0};
		char *xml;

		if (!found->disks[i].recorded)
			continue;
		xml = libvirt_checkpoint_text(name, &target, 1, NULL, true);
		if (xml != NULL && domain_checkpoint_redefine(domain, xml, false, &ignored) == 0)
			domain_checkpoint_delete(domain, name, false, &ignored);
		free(xml);
	}
}

static int remove_broken(struct domain *domain, const char *name, struct error *err)
{
	struct libvirt_checkpoint found = {0};
	char *xml;
	int code;

	TRY(domain_checkpoint(domain, name, CHECKPOINT_WHOLE, &xml, err));
	if (xml == NULL)
		return 0;
	code = libvirt_checkpoint_parse(&found, xml, err);
	free(xml);
	if (code == 0)
		remove_each(domain, name, &found);
	libvirt_checkpoint_free(&found);
	TRY(code);
	return domain_checkpoint_delete(domain, name, true, err);
}

int libvirt_checkpoint_remove(struct domain *domain, const char *name, struct error *err)
{
	bool runs;
	int code;

	TRY(domain_runs(domain, &runs, err));
	if (!runs)
		return 0;
	code = domain_checkpoint_delete(domain, name, false, err);
	return code == ERR_UNSUPPORTED ? remove_broken(domain, name, err) : code;
}
