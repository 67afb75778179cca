/*
 * Where swtpm keeps the state of a domain's TPM.
 */
#ifndef MACHINE_LIBVIRT_VTPM_H
#define MACHINE_LIBVIRT_VTPM_H

#include "machine/libvirt/description.h"

/* The file that holds all that a TPM keeps when its machine is off; owned, NULL: no memory.
 * session: of a user's own libvirt. uuid: of the domain, as digits and dashes. */
char *vtpm_file(const struct domain_tpm *tpm, const char *uuid, bool session);

#endif
