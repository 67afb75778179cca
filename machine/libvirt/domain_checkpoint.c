#include "machine/libvirt/domain.h"
#include "machine/libvirt/domain_private.h"

#include <stdio.h>
#include <stdlib.h>

/* NULL: there is none (0), or an error. */
static virDomainCheckpointPtr find(struct domain *domain, const char *name, int *code,
				   struct error *err)
{
	virDomainCheckpointPtr found;

	DOMAIN_ASK(found, domain_lib.virDomainCheckpointLookupByName(domain->domain, name, 0));
	*code = 0;
	if (found == NULL && domain_lib.virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_CHECKPOINT)
		*code = domain_fail(domain, "looking for a checkpoint", err);
	return found;
}

static int fail_checkpoint(const struct domain *domain, const char *doing, const char *name,
			   struct error *err)
{
	char what[120];

	snprintf(what, sizeof(what), "%s checkpoint %.60s", doing, name);
	return domain_fail(domain, what, err);
}

int domain_checkpoint(struct domain *domain, const char *name, enum checkpoint_view view,
		      char **out, struct error *err)
{
	unsigned flags = view == CHECKPOINT_SIZES ? VIR_DOMAIN_CHECKPOINT_XML_SIZE |
							    VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN
						  : VIR_DOMAIN_CHECKPOINT_XML_SECURE;
	int code;
	virDomainCheckpointPtr found = find(domain, name, &code, err);

	*out = NULL;
	if (found == NULL)
		return code;
	DOMAIN_ASK(*out, domain_lib.virDomainCheckpointGetXMLDesc(found, flags));
	if (*out == NULL)
		code = fail_checkpoint(domain, "the description of", name, err);
	domain_lib.virDomainCheckpointFree(found);
	return code;
}

int domain_checkpoint_redefine(struct domain *domain, const char *xml, bool validate,
			       struct error *err)
{
	unsigned flags = VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE;
	virDomainCheckpointPtr made;

	if (validate)
		flags |= VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE;
	DOMAIN_ASK(made, domain_lib.virDomainCheckpointCreateXML(domain->domain, xml, flags));
	if (made == NULL)
		return domain_fail(domain, "telling libvirt of a checkpoint", err);
	domain_lib.virDomainCheckpointFree(made);
	return 0;
}

int domain_checkpoint_delete(struct domain *domain, const char *name, bool known_alone,
			     struct error *err)
{
	unsigned flags = known_alone ? VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY : 0;
	int code, result;
	virDomainCheckpointPtr found = find(domain, name, &code, err);

	if (found == NULL)
		return code;
	DOMAIN_ASK(result, domain_lib.virDomainCheckpointDelete(found, flags));
	if (result < 0) {
		bool broken = domain_lib.virGetLastErrorCode() == VIR_ERR_INTERNAL_ERROR;

		code = fail_checkpoint(domain, "deleting", name, err);
		if (broken)
			code = err->code = ERR_UNSUPPORTED;
	}
	domain_lib.virDomainCheckpointFree(found);
	return code;
}

int domain_checkpoints(struct domain *domain,
		       int (*one)(void *context, const char *name, struct error *err),
		       void *context, struct error *err)
{
	virDomainCheckpointPtr *list = NULL;
	int found, code = 0;

	DOMAIN_ASK(found, domain_lib.virDomainListAllCheckpoints(
				  domain->domain, &list, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL));
	if (found < 0)
		return domain_fail(domain, "its checkpoints", err);
	for (int i = 0; i < found; i++) {
		if (code == 0)
			code = one(context, domain_lib.virDomainCheckpointGetName(list[i]), err);
		domain_lib.virDomainCheckpointFree(list[i]);
	}
	free(list);
	return code;
}
