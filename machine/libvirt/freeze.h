/*
 * In the guard process: freezes a domain by libvirt, which asks the guest's agent.
 */
#ifndef MACHINE_LIBVIRT_FREEZE_H
#define MACHINE_LIBVIRT_FREEZE_H

#include "machine/guard.h"

extern const struct freezer_kind freezer_domain;

#endif
