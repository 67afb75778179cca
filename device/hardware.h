/*
 * The machine that a backup is booted on, by the configs in its archive: qemu-server.conf of
 * Proxmox VE, libvirt.xml; what they do not say is a common default. Private to device/.
 *
 * Configs are not trusted: of them only numbers within limits and words of a list are taken.
 */
#ifndef DEVICE_HARDWARE_H
#define DEVICE_HARDWARE_H

#include "format/format.h"

enum hardware_bus { BUS_VIRTIO, BUS_SCSI, BUS_SATA, BUS_IDE, BUS_VARIABLES, BUS_NONE };

struct hardware {
	uint64_t memory_mib;
	unsigned n_processors;
	bool uefi, q35;
};

void hardware_of(struct hardware *out, const struct archive *archive);
/* How a drive is attached: by what a config says of it, else by its name. BUS_VARIABLES: it holds
 * the variables of UEFI; BUS_NONE: it is left out, as the state of a TPM. */
enum hardware_bus hardware_bus(const struct archive *archive, const char *drive);

#endif
