/*
 * Definitions of new domains.
 */
#include "machine/libvirt/domain.h"
#include "machine/libvirt/domain_private.h"

#include <string.h>

/* found: by its name or by its UUID. */
static int check_found(virDomainPtr found, const char *name, const char *uuid, bool replace,
		       struct error *err)
{
	char other[DOMAIN_SHOWN_SIZE], own[DOMAIN_SHOWN_SIZE],
		found_uuid[VIR_UUID_STRING_BUFLEN] = "";
	const char *found_name = domain_lib.virDomainGetName(found);
	int active;

	escape_text(other, sizeof(other), (const uint8_t *)found_name, strlen(found_name));
	escape_text(own, sizeof(own), (const uint8_t *)name, strlen(name));
	domain_lib.virDomainGetUUIDString(found, found_uuid);
	if (strcmp(found_uuid, uuid) != 0)
		return fail(err, ERR_USAGE,
			    "another domain is called '%s'; --name gives the restored one another "
			    "name",
			    own);
	if (strcmp(found_name, name) != 0)
		return fail(err, ERR_USAGE,
			    "domain '%s' has the UUID of '%s'; --name NEW makes a domain with a "
			    "UUID of its own",
			    other, own);
	if (!replace)
		return fail(err, ERR_USAGE,
			    "domain '%s': exists already; --name NEW makes another one, --force "
			    "replaces the definition and what else exists",
			    own);
	DOMAIN_ASK(active, domain_lib.virDomainIsActive(found));
	return active == 0 ? 0
			   : fail(err, ERR_LOCKED,
				  "domain '%s' is running; --name NEW makes another one", own);
}

int domain_check_new(struct domain *domain, const char *name, const char *uuid, bool replace,
		     struct error *err)
{
	int code = 0;

	for (int i = 0; i < 2 && code == 0; i++) {
		virDomainPtr found;

		if (i == 0)
			DOMAIN_ASK(found,
				   domain_lib.virDomainLookupByName(domain->connection, name));
		else
			DOMAIN_ASK(found, domain_lib.virDomainLookupByUUIDString(domain->connection,
										 uuid));
		if (found != NULL)
			code = check_found(found, name, uuid, replace, err);
		else if (domain_lib.virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
			code = domain_fail_libvirt(err, ERR_SYSTEM);
		if (found != NULL)
			domain_lib.virDomainFree(found);
	}
	return code;
}

int domain_define(struct domain *domain, const char *xml, struct error *err)
{
	if (domain->domain != NULL)
		domain_lib.virDomainFree(domain->domain);
	DOMAIN_ASK(domain->domain, domain_lib.virDomainDefineXML(domain->connection, xml));
	return domain->domain != NULL ? 0 : domain_fail_libvirt(err, ERR_SYSTEM);
}
