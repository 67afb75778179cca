#include "drive/guest_nbd.h"

#include "nbd/client.h"

#include <errno.h>

#if HAVE_LIBNBD

static int errno_of(int code, const struct error *err)
{
	return code == 0 ? 0 : err->code == ERR_FULL ? ENOSPC : err->sys != 0 ? err->sys : EIO;
}

int guest_nbd_flush(struct nbdclient *client, atomic_int *flush_failed)
{
	int failed = atomic_load(flush_failed);
	struct error err;

	if (failed != 0)
		return failed;
	failed = errno_of(nbdclient_flush(client, &err), &err);
	if (failed != 0)
		atomic_store(flush_failed, failed);
	return failed;
}

int guest_nbd_write(struct nbdclient *client, atomic_int *flush_failed, uint64_t offset,
		    const void *from, uint32_t n, unsigned flags)
{
	struct error err;
	int code;

	if (flags & DRIVE_NOW)
		return EAGAIN;
	code = errno_of(nbdclient_write(client, offset, from, n, &err), &err);
	return code == 0 && (flags & DRIVE_FUA) ? guest_nbd_flush(client, flush_failed) : code;
}

int guest_nbd_zero(struct nbdclient *client, atomic_int *flush_failed, uint64_t offset, uint64_t n,
		   unsigned flags)
{
	struct error err;
	int code;

	if (flags & DRIVE_NOW)
		return EAGAIN;
	if (flags & DRIVE_FAST)
		return ENOTSUP;
	code = errno_of(nbdclient_zero(client, offset, n, &err), &err);
	return code == 0 && (flags & DRIVE_FUA) ? guest_nbd_flush(client, flush_failed) : code;
}

#endif
