/*
 * What a live restore needs of libvirt: a domain that starts, and disks that move.
 */
#include "machine/libvirt/domain.h"
#include "machine/libvirt/domain_private.h"
#include "machine/libvirt/xml.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int domain_start(struct domain *domain, struct error *err)
{
	int result;

	DOMAIN_ASK(result, domain_lib.virDomainCreate(domain->domain));
	return result == 0 ? 0 : domain_fail(domain, "starting it", err);
}

int domain_go_on(struct domain *domain, struct error *err)
{
	int state, reason, result;

	DOMAIN_ASK(result, domain_lib.virDomainGetState(domain->domain, &state, &reason, 0));
	if (result < 0)
		return domain_fail(domain, "how it is", err);
	if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_IOERROR)
		return 0;
	DOMAIN_ASK(result, domain_lib.virDomainResume(domain->domain));
	return result == 0 ? 0 : domain_fail(domain, "resuming it", err);
}

static int fail_disk(const struct domain *domain, const char *target, const char *doing,
		     struct error *err)
{
	char what[100];

	snprintf(what, sizeof(what), "disk %.40s: %s", target, doing);
	return domain_fail(domain, what, err);
}

int domain_copy_begin(struct domain *domain, const char *target, const char *xml, uint64_t rate,
		      struct error *err)
{
	unsigned flags = VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;
	virTypedParameterPtr list = NULL;
	int n = 0, room = 0, result = 0;

	if (rate > 0)
		result = domain_lib.virTypedParamsAddULLong(&list, &n, &room,
							    VIR_DOMAIN_BLOCK_COPY_BANDWIDTH, rate);
	if (result == 0)
		DOMAIN_ASK(result, domain_lib.virDomainBlockCopy(domain->domain, target, xml, list,
								 n, flags));
	domain_lib.virTypedParamsFree(list, n);
	return result == 0 ? 0 : fail_disk(domain, target, "copying it", err);
}

int domain_copy_limit(struct domain *domain, const char *target, uint64_t rate, struct error *err)
{
	int result;

	DOMAIN_ASK(result, domain_lib.virDomainBlockJobSetSpeed(
				   domain->domain, target, rate,
				   VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES));
	return result == 0 ? 0 : fail_disk(domain, target, "limiting its copying", err);
}

int domain_copy_look(struct domain *domain, const char *target, uint64_t *done, struct error *err)
{
	virDomainBlockJobInfo info = {0};
	int result;

	DOMAIN_ASK(result, domain_lib.virDomainGetBlockJobInfo(domain->domain, target, &info, 0));
	if (result < 0)
		return fail_disk(domain, target, "how far it is copied", err);
	*done = result == 0 ? 0 : info.cur;
	return 0;
}

int domain_copy_end(struct domain *domain, const char *target, bool *moved, struct error *err)
{
	int result;

	DOMAIN_ASK(result, domain_lib.virDomainBlockJobAbort(domain->domain, target,
							     VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT));
	*moved = result == 0;
	if (result == 0 || domain_lib.virGetLastErrorCode() == VIR_ERR_BLOCK_COPY_ACTIVE)
		return 0;
	return fail_disk(domain, target, "moving it to its copy", err);
}

/* "+USER:+GROUP", as numbers, is the label that machines get by default. */
static bool read_label(xmlNode *host, uid_t *user, gid_t *group)
{
	bool found = false;

	for (xmlNode *model = host == NULL ? NULL : host->children; model != NULL && !found;
	     model = model->next) {
		char *name, *label;
		unsigned numbers[2];

		if (!xml_is(model, "secmodel"))
			continue;
		name = xml_content(xml_child(model, "model"));
		label = xml_content(xml_child(model, "baselabel"));
		found = name != NULL && label != NULL && strcmp(name, "dac") == 0 &&
			sscanf(label, "+%u:+%u", &numbers[0], &numbers[1]) == 2;
		if (found) {
			*user = numbers[0];
			*group = numbers[1];
		}
		free(name);
		free(label);
	}
	return found;
}

bool domain_owner(struct domain *domain, uid_t *user, gid_t *group)
{
	struct error ignored;
	xmlDoc *document;
	char *text;
	bool found;

	if (xml_load(&ignored) < 0)
		return false;
	DOMAIN_ASK(text, domain_lib.virConnectGetCapabilities(domain->connection));
	if (text == NULL)
		return false;
	document = xml_parse(text, strlen(text));
	found = read_label(xml_child(xml_root(document), "host"), user, group);
	xml_free(document);
	free(text);
	return found && *user != geteuid();
}
