/*
 * To answer for one disk libvirt has QEMU tell about all of them. So they are all asked for at
 * once.
 */
#include "base/error.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/domain_private.h"

#include <stdio.h>
#include <string.h>

static void ask_for_all(struct domain *domain)
{
	virDomainPtr list[] = {domain->domain, NULL};
	virDomainStatsRecordPtr *stats = NULL;
	int n;

	DOMAIN_ASK(n, domain_lib.virDomainListGetStats(list, VIR_DOMAIN_STATS_BLOCK, &stats, 0));
	if (n == 1)
		domain->stats = stats;
	else if (n >= 0)
		domain_lib.virDomainStatsRecordListFree(stats);
	domain->has_asked = true;
}

/* The number that the block of that name has among them. */
static bool find_block(const virDomainStatsRecord *record, const char *name, unsigned *out)
{
	for (int i = 0; i < record->nparams; i++) {
		const virTypedParameter *found = &record->params[i];
		int end = 0;

		if (found->type == VIR_TYPED_PARAM_STRING && strcmp(found->value.s, name) == 0 &&
		    sscanf(found->field, "block.%u.name%n", out, &end) == 1 && end > 0)
			return true;
	}
	return false;
}

static bool find_size(const struct domain *domain, const char *target, uint64_t *out)
{
	unsigned long long size;
	char key[64];
	unsigned n;

	if (domain->stats == NULL || !find_block(domain->stats[0], target, &n))
		return false;
	snprintf(key, sizeof(key), "block.%u.capacity", n);
	if (domain_lib.virTypedParamsGetULLong(domain->stats[0]->params, domain->stats[0]->nparams,
					       key, &size) != 1)
		return false;
	*out = size;
	return true;
}

int domain_disk_size(struct domain *domain, const char *target, uint64_t *out, struct error *err)
{
	virDomainBlockInfo info;
	char what[64];
	int result;

	if (!domain->has_asked)
		ask_for_all(domain);
	if (find_size(domain, target, out))
		return 0;
	DOMAIN_ASK(result, domain_lib.virDomainGetBlockInfo(domain->domain, target, &info, 0));
	snprintf(what, sizeof(what), "the size of disk '%.32s'", target);
	if (result < 0)
		return domain_fail(domain, what, err);
	*out = info.capacity;
	return 0;
}
