/*
 * A guest's requests to a drive on an NBD server, one of others or a qemu-nbd of our own. Private
 * to drive/. As in struct drive_ops: 0 or an errno value; none is answered without waiting.
 */
#ifndef DRIVE_GUEST_NBD_H
#define DRIVE_GUEST_NBD_H

#include "drive/drive.h"

#include <stdatomic.h>

struct nbdclient;

/* flush_failed: errno of the first flush that failed, after which all do. */
int guest_nbd_write(struct nbdclient *client, atomic_int *flush_failed, uint64_t offset,
		    const void *from, uint32_t n, unsigned flags);
int guest_nbd_zero(struct nbdclient *client, atomic_int *flush_failed, uint64_t offset, uint64_t n,
		   unsigned flags);
int guest_nbd_flush(struct nbdclient *client, atomic_int *flush_failed);

#endif
