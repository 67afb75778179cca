#include "machine/libvirt/domain.h"

#include "base/clock.h"
#include "base/library.h"
#include "base/parse.h"
#include "base/patience.h"
#include "machine/libvirt/deadline.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN_SIZE 120u /* bytes of a name in messages */
#define END_MS	   15000
#define STEP_MS	   20

#define FUNCTIONS(X)                     \
	X(virConnectClose)               \
	X(virConnectGetURI)              \
	X(virConnectOpen)                \
	X(virDomainAbortJob)             \
	X(virDomainBackupBegin)          \
	X(virDomainBackupGetXMLDesc)     \
	X(virDomainDefineXML)            \
	X(virDomainFSFreeze)             \
	X(virDomainFSThaw)               \
	X(virDomainFree)                 \
	X(virDomainGetBlockInfo)         \
	X(virDomainGetJobStats)          \
	X(virDomainGetName)              \
	X(virDomainGetSecurityLabelList) \
	X(virDomainGetUUIDString)        \
	X(virDomainGetXMLDesc)           \
	X(virDomainHasManagedSaveImage)  \
	X(virDomainIsActive)             \
	X(virDomainLookupByID)           \
	X(virDomainLookupByName)         \
	X(virDomainLookupByUUIDString)   \
	X(virGetLastError)               \
	X(virGetLastErrorCode)           \
	X(virInitialize)                 \
	X(virSetErrorFunc)               \
	X(virStoragePoolFree)            \
	X(virStoragePoolLookupByName)    \
	X(virStorageVolFree)             \
	X(virStorageVolGetPath)          \
	X(virStorageVolLookupByName)     \
	X(virTypedParamsFree)            \
	X(virTypedParamsGetULLong)

/* Calls that wait for libvirt, which may wait for QEMU, have no limit of their own. */
#define ASK(result, call)                                      \
	do {                                                   \
		deadline_begin("libvirt", PATIENCE_LIBVIRT_S); \
		result = (call);                               \
		deadline_end();                                \
	} while (0)

static struct {
	FUNCTIONS(LIBRARY_MEMBER)
} lib;

static struct library library = LIBRARY(FILE_virt, FUNCTIONS, lib);

struct domain {
	virConnectPtr connection;
	virDomainPtr domain;
	char shown[SHOWN_SIZE];
};

static void show(struct domain *domain, const char *name)
{
	escape_text(domain->shown, sizeof(domain->shown), (const uint8_t *)name, strlen(name));
}

/* libvirt's reason may quote anything. */
static int fail_libvirt(struct error *err, int code)
{
	const virError *last = lib.virGetLastError();
	const char *words = last == NULL || last->message == NULL ? "no reason" : last->message;
	char shown[260];

	return fail(err, code, "%s",
		    escape_text(shown, sizeof(shown), (const uint8_t *)words, strlen(words)));
}

static int fail_domain(const struct domain *domain, const char *doing, struct error *err)
{
	fail_libvirt(err, ERR_SYSTEM);
	error_prefix(err, "domain '%s': %s", domain->shown, doing);
	return err->code;
}

/* Without this, the library prints its errors itself. */
static void be_silent(void *context, virErrorPtr error)
{
	(void)context;
	(void)error;
}

/* A URI without a host between "//" and "/" means this host. */
static int check_local(const char *uri, struct error *err)
{
	const char *slashes = uri == NULL ? NULL : strstr(uri, "://");
	char shown[SHOWN_SIZE];

	if (slashes == NULL || slashes[3] == '/' || slashes[3] == '\0')
		return 0;
	return fail(err, ERR_UNSUPPORTED,
		    "%s: is on another host; run this there, as with ssh HOST vmabak backup -o -",
		    escape_text(shown, sizeof(shown), (const uint8_t *)uri, strlen(uri)));
}

/* libvirt's default may lead to another host. */
static int check_connection(const struct domain *domain, struct error *err)
{
	char *uri = lib.virConnectGetURI(domain->connection);
	int result = check_local(uri, err);

	free(uri);
	return result;
}

static int connect_to(struct domain *domain, const char *uri, struct error *err)
{
	TRY(check_local(uri, err));
	TRY(library_load(&library, err));
	if (lib.virInitialize() < 0) {
		fail_libvirt(err, ERR_SYSTEM);
		error_prefix(err, "libvirt");
		return err->code;
	}
	lib.virSetErrorFunc(NULL, be_silent);
	ASK(domain->connection, lib.virConnectOpen(uri));
	if (domain->connection == NULL) {
		fail_libvirt(err, ERR_SYSTEM);
		error_prefix(err, "libvirt at %s", uri == NULL ? "its default place" : uri);
		return err->code;
	}
	return check_connection(domain, err);
}

/* By its name, its UUID, or while it runs its ID. A name comes first: it stays what it is. */
static int find(struct domain *domain, const char *word, struct error *err)
{
	uint8_t uuid[UUID_SIZE];
	uint64_t id;

	ASK(domain->domain, lib.virDomainLookupByName(domain->connection, word));
	if (domain->domain == NULL && parse_uuid(word, uuid))
		ASK(domain->domain, lib.virDomainLookupByUUIDString(domain->connection, word));
	if (domain->domain == NULL && parse_number(word, &id) && id <= INT32_MAX)
		ASK(domain->domain, lib.virDomainLookupByID(domain->connection, (int)id));
	if (domain->domain != NULL) {
		show(domain, lib.virDomainGetName(domain->domain));
		return 0;
	}
	if (lib.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return fail(err, ERR_USAGE,
			    "no domain named '%s'; 'virsh list --all' shows them, --connect says "
			    "where to look",
			    domain->shown);
	return fail_domain(domain, "looking for it", err);
}

int domain_open(struct domain **out, const char *uri, const char *name, struct error *err)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (domain == NULL)
		return fail_memory(err);
	show(domain, name);
	if (connect_to(domain, uri, err) < 0 || find(domain, name, err) < 0) {
		domain_close(domain);
		return err->code;
	}
	*out = domain;
	return 0;
}

int domain_connect(struct domain **out, const char *uri, struct error *err)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (domain == NULL)
		return fail_memory(err);
	if (connect_to(domain, uri, err) < 0) {
		domain_close(domain);
		return err->code;
	}
	*out = domain;
	return 0;
}

void domain_close(struct domain *domain)
{
	int left = 0;

	if (domain == NULL)
		return;
	if (domain->domain != NULL)
		lib.virDomainFree(domain->domain);
	if (domain->connection != NULL)
		ASK(left, lib.virConnectClose(domain->connection));
	(void)left; /* it does not matter */
	free(domain);
}

const char *domain_shown(const struct domain *domain)
{
	return domain->shown;
}

int domain_runs(struct domain *domain, bool *out, struct error *err)
{
	int active;

	ASK(active, lib.virDomainIsActive(domain->domain));
	if (active < 0)
		return fail_domain(domain, "whether it runs", err);
	*out = active > 0;
	return 0;
}

bool domain_was_saved(struct domain *domain)
{
	int saved;

	ASK(saved, lib.virDomainHasManagedSaveImage(domain->domain, 0));
	return saved > 0;
}

bool domain_is_in_session(struct domain *domain)
{
	char *uri = lib.virConnectGetURI(domain->connection);
	bool result = uri != NULL && strstr(uri, "/session") != NULL;

	free(uri);
	return result;
}

int domain_volume(struct domain *domain, const char *pool, const char *volume, char **out,
		  struct error *err)
{
	virStoragePoolPtr in;
	virStorageVolPtr found = NULL;
	char what[160];

	*out = NULL;
	ASK(in, lib.virStoragePoolLookupByName(domain->connection, pool));
	if (in != NULL)
		ASK(found, lib.virStorageVolLookupByName(in, volume));
	if (found != NULL)
		ASK(*out, lib.virStorageVolGetPath(found));
	if (*out == NULL) {
		snprintf(what, sizeof(what), "volume '%.60s' of pool '%.60s'", volume, pool);
		fail_domain(domain, what, err);
	}
	if (found != NULL)
		lib.virStorageVolFree(found);
	if (in != NULL)
		lib.virStoragePoolFree(in);
	return *out == NULL ? err->code : 0;
}

int domain_description(struct domain *domain, bool next_time, char **out, struct error *err)
{
	unsigned flags = next_time ? VIR_DOMAIN_XML_INACTIVE : 0;
	char *text;

	ASK(text, lib.virDomainGetXMLDesc(domain->domain, flags));
	if (text == NULL)
		return fail_domain(domain, "its description", err);
	*out = text;
	return 0;
}

int domain_disk_size(struct domain *domain, const char *target, uint64_t *out, struct error *err)
{
	virDomainBlockInfo info;
	char what[64];
	int result;

	ASK(result, lib.virDomainGetBlockInfo(domain->domain, target, &info, 0));
	snprintf(what, sizeof(what), "the size of disk '%.32s'", target);
	if (result < 0)
		return fail_domain(domain, what, err);
	*out = info.capacity;
	return 0;
}

/* A label is "+USER:+GROUP", as numbers. */
bool domain_group(struct domain *domain, gid_t *out)
{
	virSecurityLabelPtr labels = NULL;
	bool found = false;
	int n;

	ASK(n, lib.virDomainGetSecurityLabelList(domain->domain, &labels));
	for (int i = 0; i < n && !found; i++) {
		unsigned user, group;

		if (sscanf(labels[i].label, "+%u:+%u", &user, &group) != 2)
			continue;
		found = user != geteuid();
		*out = group;
	}
	free(labels);
	return found;
}

int domain_backup(struct domain *domain, char **out, struct error *err)
{
	ASK(*out, lib.virDomainBackupGetXMLDesc(domain->domain, 0));
	if (*out != NULL || lib.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_BACKUP)
		return 0;
	/* A domain that is off has no backup. */
	if (lib.virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
		return 0;
	return fail_domain(domain, "whether a backup of it runs", err);
}

static bool has_other_job(struct domain *domain)
{
	virTypedParameterPtr list = NULL;
	int n = 0, type = VIR_DOMAIN_JOB_NONE, result;

	ASK(result, lib.virDomainGetJobStats(domain->domain, &type, &list, &n, 0));
	if (result < 0)
		return false;
	lib.virTypedParamsFree(list, n);
	return type != VIR_DOMAIN_JOB_NONE;
}

int domain_backup_begin(struct domain *domain, const char *xml, struct error *err)
{
	bool busy;
	int result;

	if (has_other_job(domain))
		return fail(err, ERR_LOCKED,
			    "domain '%s': another job of libvirt is running: 'virsh domjobinfo' "
			    "shows it",
			    domain->shown);
	ASK(result, lib.virDomainBackupBegin(domain->domain, xml, NULL, 0));
	if (result == 0)
		return 0;
	/* The next call replaces the last error. */
	busy = lib.virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT;
	fail_domain(domain, "beginning a backup", err);
	if (busy || has_other_job(domain))
		err->code = ERR_LOCKED;
	return err->code;
}

/* A pull backup ends by being aborted; it is over only when its files are gone. */
int domain_backup_end(struct domain *domain, struct error *err)
{
	char *left = NULL;
	int result;

	ASK(result, lib.virDomainAbortJob(domain->domain));
	for (int waited = 0; waited < END_MS; waited += STEP_MS) {
		if (domain_backup(domain, &left, err) < 0)
			return err->code;
		if (left == NULL)
			return 0;
		free(left);
		clock_sleep_ms(STEP_MS);
		if (result < 0)
			ASK(result, lib.virDomainAbortJob(domain->domain));
	}
	if (result < 0)
		return fail_domain(domain, "ending its backup", err);
	return fail(err, ERR_SYSTEM, "domain '%s': its backup has not ended within %d s",
		    domain->shown, END_MS / 1000);
}

uint64_t domain_backup_scratch(struct domain *domain)
{
	virTypedParameterPtr list = NULL;
	unsigned long long used = 0;
	int n = 0, type, result;

	ASK(result, lib.virDomainGetJobStats(domain->domain, &type, &list, &n, 0));
	if (result < 0)
		return 0;
	lib.virTypedParamsGetULLong(list, n, VIR_DOMAIN_JOB_DISK_TEMP_USED, &used);
	lib.virTypedParamsFree(list, n);
	return used;
}

int domain_freeze(struct domain *domain, unsigned *n, struct error *err)
{
	int found = lib.virDomainFSFreeze(domain->domain, NULL, 0, 0);

	if (found < 0) {
		fail_domain(domain, "freezing its file systems", err);
		if (lib.virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
		    lib.virGetLastErrorCode() == VIR_ERR_ARGUMENT_UNSUPPORTED ||
		    strstr(err->text, "not connected") != NULL)
			err->code = ERR_UNSUPPORTED;
		return err->code;
	}
	*n = (unsigned)found;
	return 0;
}

int domain_thaw(struct domain *domain, struct error *err)
{
	if (lib.virDomainFSThaw(domain->domain, NULL, 0, 0) < 0)
		return fail_domain(domain, "thawing its file systems", err);
	return 0;
}

/* ---- a new one ---- */

/* found: by its name or by its UUID. */
static int check_found(virDomainPtr found, const char *name, const char *uuid, bool replace,
		       struct error *err)
{
	char other[SHOWN_SIZE], own[SHOWN_SIZE], found_uuid[VIR_UUID_STRING_BUFLEN] = "";
	const char *found_name = lib.virDomainGetName(found);
	int active;

	escape_text(other, sizeof(other), (const uint8_t *)found_name, strlen(found_name));
	escape_text(own, sizeof(own), (const uint8_t *)name, strlen(name));
	lib.virDomainGetUUIDString(found, found_uuid);
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
	ASK(active, lib.virDomainIsActive(found));
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
			ASK(found, lib.virDomainLookupByName(domain->connection, name));
		else
			ASK(found, lib.virDomainLookupByUUIDString(domain->connection, uuid));
		if (found != NULL)
			code = check_found(found, name, uuid, replace, err);
		else if (lib.virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
			code = fail_libvirt(err, ERR_SYSTEM);
		if (found != NULL)
			lib.virDomainFree(found);
	}
	return code;
}

int domain_define(struct domain *domain, const char *xml, struct error *err)
{
	ASK(domain->domain, lib.virDomainDefineXML(domain->connection, xml));
	return domain->domain != NULL ? 0 : fail_libvirt(err, ERR_SYSTEM);
}
