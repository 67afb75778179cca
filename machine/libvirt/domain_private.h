/*
 * Shared by the files that call libvirt's library: domain.c and domain_*.c.
 */
#ifndef MACHINE_LIBVIRT_DOMAIN_PRIVATE_H
#define MACHINE_LIBVIRT_DOMAIN_PRIVATE_H

#include "base/library.h"
#include "base/patience.h"
#include "machine/libvirt/deadline.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define DOMAIN_SHOWN_SIZE 120u /* bytes of a name in messages */

#define DOMAIN_FUNCTIONS(X)                \
	X(virConnectClose)                 \
	X(virConnectGetCapabilities)       \
	X(virConnectGetURI)                \
	X(virConnectIsAlive)               \
	X(virConnectOpen)                  \
	X(virDomainAbortJob)               \
	X(virDomainBackupBegin)            \
	X(virDomainBackupGetXMLDesc)       \
	X(virDomainBlockCopy)              \
	X(virDomainBlockJobAbort)          \
	X(virDomainBlockJobSetSpeed)       \
	X(virDomainCheckpointCreateXML)    \
	X(virDomainCheckpointDelete)       \
	X(virDomainCheckpointFree)         \
	X(virDomainCheckpointGetName)      \
	X(virDomainCheckpointGetXMLDesc)   \
	X(virDomainCheckpointLookupByName) \
	X(virDomainCreate)                 \
	X(virDomainDefineXML)              \
	X(virDomainFSFreeze)               \
	X(virDomainFSThaw)                 \
	X(virDomainFree)                   \
	X(virDomainGetBlockInfo)           \
	X(virDomainGetBlockJobInfo)        \
	X(virDomainGetJobStats)            \
	X(virDomainGetName)                \
	X(virDomainGetSecurityLabelList)   \
	X(virDomainGetState)               \
	X(virDomainGetUUIDString)          \
	X(virDomainGetXMLDesc)             \
	X(virDomainHasManagedSaveImage)    \
	X(virDomainIsActive)               \
	X(virDomainListAllCheckpoints)     \
	X(virDomainListGetStats)           \
	X(virDomainLookupByID)             \
	X(virDomainLookupByName)           \
	X(virDomainLookupByUUIDString)     \
	X(virDomainResume)                 \
	X(virDomainStatsRecordListFree)    \
	X(virGetLastError)                 \
	X(virGetLastErrorCode)             \
	X(virInitialize)                   \
	X(virSetErrorFunc)                 \
	X(virStoragePoolFree)              \
	X(virStoragePoolLookupByName)      \
	X(virStorageVolFree)               \
	X(virStorageVolGetPath)            \
	X(virStorageVolLookupByName)       \
	X(virTypedParamsAddULLong)         \
	X(virTypedParamsFree)              \
	X(virTypedParamsGetULLong)

/* libvirt, loaded by the first connection. */
struct domain_lib {
	DOMAIN_FUNCTIONS(LIBRARY_MEMBER)
};
extern struct domain_lib domain_lib;

/* Calls that wait for libvirt, which may wait for QEMU, have no limit of their own. */
#define DOMAIN_ASK(result, call)                               \
	do {                                                   \
		deadline_begin("libvirt", PATIENCE_LIBVIRT_S); \
		result = (call);                               \
		deadline_end();                                \
	} while (0)

struct error;

struct domain {
	virConnectPtr connection;
	virDomainPtr domain;
	char shown[DOMAIN_SHOWN_SIZE];
	bool has_asked;			/* for the sizes of its disks */
	virDomainStatsRecordPtr *stats; /* owned; NULL: libvirt did not say */
};

/* libvirt's last error of this thread. */
int domain_fail_libvirt(struct error *err, int code);
int domain_fail(const struct domain *domain, const char *doing, struct error *err);

#endif
