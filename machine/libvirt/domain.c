#include "machine/libvirt/domain.h"

#if HAVE_LIBVIRT

#include "machine/libvirt/deadline.h"
#include "cli/memory.h"
#include "base/patience.h"

#include <dlfcn.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHOWN_SIZE 120u /* bytes of a name in messages */
#define END_MS	   15000
#define STEP_MS	   20

/* libvirt comes with some thirty libraries more, which would be loaded, and take more than half of
 * the time that this program needs to start, at every start. So it is loaded when there is a
 * domain. */
#define FUNCTIONS(X)                     \
	X(virConnectClose)               \
	X(virConnectGetURI)              \
	X(virConnectOpen)                \
	X(virDomainAbortJob)             \
	X(virDomainBackupBegin)          \
	X(virDomainBackupGetXMLDesc)     \
	X(virDomainFSFreeze)             \
	X(virDomainFSThaw)               \
	X(virDomainFree)                 \
	X(virDomainGetBlockInfo)         \
	X(virDomainGetJobStats)          \
	X(virDomainGetSecurityLabelList) \
	X(virDomainGetXMLDesc)           \
	X(virDomainIsActive)             \
	X(virDomainLookupByName)         \
	X(virGetLastError)               \
	X(virGetLastErrorCode)           \
	X(virInitialize)                 \
	X(virSetErrorFunc)               \
	X(virTypedParamsFree)            \
	X(virTypedParamsGetULLong)

/* A call that waits for libvirt, which may wait for QEMU, and has no limit of its own. */
#define ASK(result, call)                                      \
	do {                                                   \
		deadline_begin("libvirt", PATIENCE_LIBVIRT_S); \
		result = (call);                               \
		deadline_end();                                \
	} while (0)

#define MEMBER(name) __typeof__(name) *name;
#define FIND(name)   *(void **)&lib.name = dlsym(library, #name), all = all && lib.name != NULL;

static struct {
	FUNCTIONS(MEMBER)
} lib;

static int load_library(struct error *err)
{
	void *library = dlopen("libvirt.so.0", RTLD_NOW | RTLD_LOCAL);
	bool all = library != NULL;
	const char *words;

	if (all) {
		FUNCTIONS(FIND)
	}
	if (all)
		return 0;
	words = dlerror();
	return fail(err, ERR_UNSUPPORTED, "libvirt cannot be loaded: %.300s",
		    words == NULL ? "it lacks functions" : words);
}

struct domain {
	virConnectPtr connection;
	virDomainPtr domain;
	char shown[SHOWN_SIZE];
};

/* The reason is what libvirt says; it may quote anything. */
static int fail_libvirt(struct error *err, int code, const char *what)
{
	const virError *last = lib.virGetLastError();
	const char *words = last == NULL || last->message == NULL ? "no reason" : last->message;
	char shown[260];

	return fail(err, code, "%.130s: %s", what,
		    escape_text(shown, sizeof(shown), (const uint8_t *)words, strlen(words)));
}

static int fail_domain(const struct domain *domain, int code, const char *doing, struct error *err)
{
	char *what = memory_text("domain '%s': %s", domain->shown, doing);

	fail_libvirt(err, code, what);
	free(what);
	return err->code;
}

/* Our own messages say it; otherwise the library prints all of its own. */
static void be_silent(void *context, virErrorPtr error)
{
	(void)context;
	(void)error;
}

/* The host in a URI, between "//" and "/": none is this one. */
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

/* Where libvirt's default leads. */
static int check_connection(const struct domain *domain, struct error *err)
{
	char *uri = lib.virConnectGetURI(domain->connection);
	int result = check_local(uri, err);

	free(uri);
	return result;
}

static int open_parts(struct domain *domain, const char *uri, const char *name, struct error *err)
{
	char *what;

	if (check_local(uri, err) < 0 || load_library(err) < 0)
		return err->code;
	if (lib.virInitialize() < 0)
		return fail_libvirt(err, ERR_SYSTEM, "libvirt");
	lib.virSetErrorFunc(NULL, be_silent);
	ASK(domain->connection, lib.virConnectOpen(uri));
	if (domain->connection == NULL) {
		what = memory_text("libvirt at %s", uri == NULL ? "its default place" : uri);
		fail_libvirt(err, ERR_SYSTEM, what);
		free(what);
		return err->code;
	}
	if (check_connection(domain, err) < 0)
		return err->code;
	ASK(domain->domain, lib.virDomainLookupByName(domain->connection, name));
	if (domain->domain == NULL && lib.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return fail(err, ERR_USAGE,
			    "domain '%s': there is none of that name; virsh list --all tells which "
			    "there are, and --connect where to look",
			    domain->shown);
	return domain->domain == NULL ? fail_domain(domain, ERR_SYSTEM, "looking for it", err) : 0;
}

int domain_open(struct domain **out, const char *uri, const char *name, struct error *err)
{
	struct domain *domain = memory_new(1, sizeof(*domain));

	escape_text(domain->shown, sizeof(domain->shown), (const uint8_t *)name, strlen(name));
	if (open_parts(domain, uri, name, err) < 0) {
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
		return fail_domain(domain, ERR_SYSTEM, "whether it runs", err);
	*out = active > 0;
	return 0;
}

int domain_description(struct domain *domain, bool next_time, char **out, struct error *err)
{
	unsigned flags = next_time ? VIR_DOMAIN_XML_INACTIVE : 0;
	char *text;

	ASK(text, lib.virDomainGetXMLDesc(domain->domain, flags));
	if (text == NULL)
		return fail_domain(domain, ERR_SYSTEM, "its description", err);
	*out = text;
	return 0;
}

int domain_disk_size(struct domain *domain, const char *target, uint64_t *out, struct error *err)
{
	virDomainBlockInfo info;
	char *what;
	int result;

	ASK(result, lib.virDomainGetBlockInfo(domain->domain, target, &info, 0));
	if (result < 0) {
		what = memory_text("the size of disk '%.32s'", target);
		fail_domain(domain, ERR_SYSTEM, what, err);
		free(what);
		return err->code;
	}
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
	/* One that is off has none. */
	if (lib.virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID)
		return 0;
	return fail_domain(domain, ERR_SYSTEM, "whether a backup of it runs", err);
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
			    "domain '%s': another job of libvirt works on it: virsh domjobinfo "
			    "tells which",
			    domain->shown);
	ASK(result, lib.virDomainBackupBegin(domain->domain, xml, NULL, 0));
	if (result == 0)
		return 0;
	/* Asking forgets what was said before. */
	busy = lib.virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT;
	fail_domain(domain, ERR_SYSTEM, "beginning a backup", err);
	if (busy || has_other_job(domain))
		err->code = ERR_LOCKED;
	return err->code;
}

/* Aborting is how a backup that is read ends; it is over only when its files are gone. */
int domain_backup_end(struct domain *domain, struct error *err)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	char *left = NULL;
	int result;

	ASK(result, lib.virDomainAbortJob(domain->domain));
	for (int waited = 0; waited < END_MS; waited += STEP_MS) {
		if (domain_backup(domain, &left, err) < 0)
			return err->code;
		if (left == NULL)
			return 0;
		free(left);
		nanosleep(&step, NULL);
		if (result < 0)
			ASK(result, lib.virDomainAbortJob(domain->domain));
	}
	if (result < 0)
		return fail_domain(domain, ERR_SYSTEM, "ending its backup", err);
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

	if (found < 0)
		return fail_domain(domain, ERR_SYSTEM, "freezing its file systems", err);
	*n = (unsigned)found;
	return 0;
}

int domain_thaw(struct domain *domain, struct error *err)
{
	if (lib.virDomainFSThaw(domain->domain, NULL, 0, 0) < 0)
		return fail_domain(domain, ERR_SYSTEM, "thawing its file systems", err);
	return 0;
}

#else

int domain_open(struct domain **out, const char *uri, const char *name, struct error *err)
{
	(void)out;
	(void)uri;
	return fail(err, ERR_USAGE,
		    "domain '%.100s': this program was built without libvirt: install libvirt-dev "
		    "and libxml2-dev and build again",
		    name);
}

/* Nothing below is reached without a domain. */
void domain_close(struct domain *domain)
{
	(void)domain;
}
const char *domain_shown(const struct domain *domain)
{
	(void)domain;
	return "";
}
int domain_runs(struct domain *domain, bool *out, struct error *err)
{
	(void)domain, (void)out;
	return err->code;
}
int domain_description(struct domain *domain, bool next_time, char **out, struct error *err)
{
	(void)domain, (void)next_time, (void)out;
	return err->code;
}
int domain_disk_size(struct domain *domain, const char *target, uint64_t *out, struct error *err)
{
	(void)domain, (void)target, (void)out;
	return err->code;
}
bool domain_group(struct domain *domain, gid_t *out)
{
	(void)domain, (void)out;
	return false;
}
int domain_backup(struct domain *domain, char **out, struct error *err)
{
	(void)domain, (void)out;
	return err->code;
}
int domain_backup_begin(struct domain *domain, const char *xml, struct error *err)
{
	(void)domain, (void)xml;
	return err->code;
}
int domain_backup_end(struct domain *domain, struct error *err)
{
	(void)domain;
	return err->code;
}
uint64_t domain_backup_scratch(struct domain *domain)
{
	(void)domain;
	return 0;
}
int domain_freeze(struct domain *domain, unsigned *n, struct error *err)
{
	(void)domain, (void)n;
	return err->code;
}
int domain_thaw(struct domain *domain, struct error *err)
{
	(void)domain;
	return err->code;
}

#endif
