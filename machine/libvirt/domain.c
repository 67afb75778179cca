#include "machine/libvirt/domain.h"
#include "machine/libvirt/domain_private.h"

#include "base/clock.h"
#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define END_MS	15000
#define STEP_MS 20

struct domain_lib domain_lib;

static struct library library = LIBRARY(FILE_virt, DOMAIN_FUNCTIONS, domain_lib);

static void show(struct domain *domain, const char *name)
{
	escape_text(domain->shown, sizeof(domain->shown), (const uint8_t *)name, strlen(name));
}

/* libvirt's reason may quote anything. */
int domain_fail_libvirt(struct error *err, int code)
{
	const virError *last = domain_lib.virGetLastError();
	const char *words = last == NULL || last->message == NULL ? "no reason" : last->message;
	char shown[260];

	return fail(err, code, "%s",
		    escape_text(shown, sizeof(shown), (const uint8_t *)words, strlen(words)));
}

int domain_fail(const struct domain *domain, const char *doing, struct error *err)
{
	domain_fail_libvirt(err, ERR_SYSTEM);
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
	char shown[DOMAIN_SHOWN_SIZE];

	if (slashes == NULL || slashes[3] == '/' || slashes[3] == '\0')
		return 0;
	return fail(err, ERR_UNSUPPORTED,
		    "%s: is on another host; run this there, as with ssh HOST vmabak backup -o -",
		    escape_text(shown, sizeof(shown), (const uint8_t *)uri, strlen(uri)));
}

/* libvirt's default may lead to another host. */
static int check_connection(const struct domain *domain, struct error *err)
{
	char *uri = domain_lib.virConnectGetURI(domain->connection);
	int result = check_local(uri, err);

	free(uri);
	return result;
}

static int connect_to(struct domain *domain, const char *uri, struct error *err)
{
	TRY(check_local(uri, err));
	TRY(library_load(&library, err));
	if (domain_lib.virInitialize() < 0) {
		domain_fail_libvirt(err, ERR_SYSTEM);
		error_prefix(err, "libvirt");
		return err->code;
	}
	domain_lib.virSetErrorFunc(NULL, be_silent);
	DOMAIN_ASK(domain->connection, domain_lib.virConnectOpen(uri));
	if (domain->connection == NULL) {
		domain_fail_libvirt(err, ERR_SYSTEM);
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

	DOMAIN_ASK(domain->domain, domain_lib.virDomainLookupByName(domain->connection, word));
	if (domain->domain == NULL && parse_uuid(word, uuid))
		DOMAIN_ASK(domain->domain,
			   domain_lib.virDomainLookupByUUIDString(domain->connection, word));
	if (domain->domain == NULL && parse_number(word, &id) && id <= INT32_MAX)
		DOMAIN_ASK(domain->domain,
			   domain_lib.virDomainLookupByID(domain->connection, (int)id));
	if (domain->domain != NULL) {
		show(domain, domain_lib.virDomainGetName(domain->domain));
		return 0;
	}
	if (domain_lib.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return fail(err, ERR_USAGE,
			    "no domain named '%s'; 'virsh list --all' shows them, --connect says "
			    "where to look",
			    domain->shown);
	return domain_fail(domain, "looking for it", err);
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

static void forget(struct domain *domain)
{
	if (domain->domain != NULL)
		domain_lib.virDomainFree(domain->domain);
	domain->domain = NULL;
}

bool domain_is_connected(struct domain *domain)
{
	int alive;

	DOMAIN_ASK(alive, domain_lib.virConnectIsAlive(domain->connection));
	return alive == 1;
}

int domain_find(struct domain *domain, const char *name, bool *found, struct error *err)
{
	forget(domain);
	show(domain, name);
	*found = find(domain, name, err) == 0;
	return *found || err->code == ERR_USAGE ? 0 : err->code;
}

void domain_close(struct domain *domain)
{
	int left = 0;

	if (domain == NULL)
		return;
	if (domain->stats != NULL)
		domain_lib.virDomainStatsRecordListFree(domain->stats);
	forget(domain);
	if (domain->connection != NULL)
		DOMAIN_ASK(left, domain_lib.virConnectClose(domain->connection));
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

	DOMAIN_ASK(active, domain_lib.virDomainIsActive(domain->domain));
	if (active < 0)
		return domain_fail(domain, "whether it runs", err);
	*out = active > 0;
	return 0;
}

bool domain_was_saved(struct domain *domain)
{
	int saved;

	DOMAIN_ASK(saved, domain_lib.virDomainHasManagedSaveImage(domain->domain, 0));
	return saved > 0;
}

bool domain_is_in_session(struct domain *domain)
{
	char *uri = domain_lib.virConnectGetURI(domain->connection);
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
	DOMAIN_ASK(in, domain_lib.virStoragePoolLookupByName(domain->connection, pool));
	if (in != NULL)
		DOMAIN_ASK(found, domain_lib.virStorageVolLookupByName(in, volume));
	if (found != NULL)
		DOMAIN_ASK(*out, domain_lib.virStorageVolGetPath(found));
	if (*out == NULL) {
		snprintf(what, sizeof(what), "volume '%.60s' of pool '%.60s'", volume, pool);
		domain_fail(domain, what, err);
	}
	if (found != NULL)
		domain_lib.virStorageVolFree(found);
	if (in != NULL)
		domain_lib.virStoragePoolFree(in);
	return *out == NULL ? err->code : 0;
}

int domain_description(struct domain *domain, bool next_time, char **out, struct error *err)
{
	unsigned flags = next_time ? VIR_DOMAIN_XML_INACTIVE : 0;
	char *text;

	DOMAIN_ASK(text, domain_lib.virDomainGetXMLDesc(domain->domain, flags));
	if (text == NULL)
		return domain_fail(domain, "its description", err);
	*out = text;
	return 0;
}

/* A label is "+USER:+GROUP", as numbers. */
bool domain_group(struct domain *domain, gid_t *out)
{
	virSecurityLabelPtr labels = NULL;
	bool found = false;
	int n;

	DOMAIN_ASK(n, domain_lib.virDomainGetSecurityLabelList(domain->domain, &labels));
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
	DOMAIN_ASK(*out, domain_lib.virDomainBackupGetXMLDesc(domain->domain, 0));
	if (*out != NULL || domain_lib.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_BACKUP)
		return 0;
	/* A domain that is off has no backup. */
	if (domain_lib.virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
		return 0;
	return domain_fail(domain, "whether a backup of it runs", err);
}

/* *lost: there is one, of which libvirt does not know any more what it is. */
static bool has_other_job(struct domain *domain, bool *lost)
{
	virTypedParameterPtr list = NULL;
	int n = 0, type = VIR_DOMAIN_JOB_NONE, result;

	DOMAIN_ASK(result, domain_lib.virDomainGetJobStats(domain->domain, &type, &list, &n, 0));
	*lost = result < 0 && domain_lib.virGetLastErrorCode() == VIR_ERR_INTERNAL_ERROR;
	if (result < 0)
		return false;
	domain_lib.virTypedParamsFree(list, n);
	return type != VIR_DOMAIN_JOB_NONE;
}

static bool misses_checkpoint(int code)
{
	return code == VIR_ERR_CHECKPOINT_INCONSISTENT || code == VIR_ERR_NO_DOMAIN_CHECKPOINT;
}

int domain_backup_begin(struct domain *domain, const char *xml, const char *checkpoint,
			struct error *err)
{
	int result, code;
	bool lost;

	if (has_other_job(domain, &lost))
		return fail(err, ERR_LOCKED,
			    "domain '%s': another job of libvirt is running: 'virsh domjobinfo' "
			    "shows it",
			    domain->shown);
	DOMAIN_ASK(result, domain_lib.virDomainBackupBegin(domain->domain, xml, checkpoint, 0));
	if (result == 0)
		return 0;
	/* The next call replaces the last error. */
	code = domain_lib.virGetLastErrorCode();
	domain_fail(domain, "beginning a backup", err);
	if (misses_checkpoint(code))
		err->code = ERR_UNSUPPORTED;
	else if (code == VIR_ERR_OPERATION_TIMEOUT && lost)
		fail(err, ERR_LOCKED,
		     "domain '%s': libvirt holds a job of it whose data went when libvirtd was "
		     "killed; it goes when the domain is shut down and libvirtd restarted then",
		     domain->shown);
	else if (code == VIR_ERR_OPERATION_TIMEOUT || has_other_job(domain, &lost))
		err->code = ERR_LOCKED;
	return err->code;
}

/* A pull backup ends by being aborted; it is over only when its files are gone. */
int domain_backup_end(struct domain *domain, struct error *err)
{
	char *left = NULL;
	int result;

	DOMAIN_ASK(result, domain_lib.virDomainAbortJob(domain->domain));
	for (int waited = 0; waited < END_MS; waited += STEP_MS) {
		if (domain_backup(domain, &left, err) < 0)
			return err->code;
		if (left == NULL)
			return 0;
		free(left);
		clock_sleep_ms(STEP_MS);
		if (result < 0)
			DOMAIN_ASK(result, domain_lib.virDomainAbortJob(domain->domain));
	}
	if (result < 0)
		return domain_fail(domain, "ending its backup", err);
	return fail(err, ERR_SYSTEM, "domain '%s': its backup has not ended within %d s",
		    domain->shown, END_MS / 1000);
}

uint64_t domain_backup_scratch(struct domain *domain)
{
	virTypedParameterPtr list = NULL;
	unsigned long long used = 0;
	int n = 0, type, result;

	DOMAIN_ASK(result, domain_lib.virDomainGetJobStats(domain->domain, &type, &list, &n, 0));
	if (result < 0)
		return 0;
	domain_lib.virTypedParamsGetULLong(list, n, VIR_DOMAIN_JOB_DISK_TEMP_USED, &used);
	domain_lib.virTypedParamsFree(list, n);
	return used;
}

int domain_freeze(struct domain *domain, unsigned *n, struct error *err)
{
	int found = domain_lib.virDomainFSFreeze(domain->domain, NULL, 0, 0);

	if (found < 0) {
		domain_fail(domain, "freezing its file systems", err);
		if (domain_lib.virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID ||
		    domain_lib.virGetLastErrorCode() == VIR_ERR_ARGUMENT_UNSUPPORTED ||
		    strstr(err->text, "not connected") != NULL)
			err->code = ERR_UNSUPPORTED;
		return err->code;
	}
	*n = (unsigned)found;
	return 0;
}

int domain_thaw(struct domain *domain, struct error *err)
{
	if (domain_lib.virDomainFSThaw(domain->domain, NULL, 0, 0) < 0)
		return domain_fail(domain, "thawing its file systems", err);
	return 0;
}
