#include "machine/rounded.h"

#include "base/watcher.h"

#include <inttypes.h>
#include <sys/stat.h>

#define SECTOR_BYTES 512u /* QEMU's, whatever the disk's */

void rounded_note(const struct machine_drive *drive, const struct watcher *watcher)
{
	struct stat found;
	uint64_t size;

	/* A path that QEMU understands otherwise, as from another folder, most likely fails. */
	if (drive->path == NULL || stat(drive->path, &found) != 0 || !S_ISREG(found.st_mode))
		return;
	size = (uint64_t)found.st_size;
	if (size < drive->size_bytes && drive->size_bytes - size < SECTOR_BYTES)
		watcher_note(watcher,
			     "drive %s: its file has %" PRIu64 " bytes; the machine sees, and the "
			     "archive holds, %" PRIu64 ", as QEMU rounds up to whole sectors",
			     drive->name, size, drive->size_bytes);
}
