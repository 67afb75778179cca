#ifndef DRIVE_QEMUCHECK_H
#define DRIVE_QEMUCHECK_H

#include "drive/qemuimg.h"

/* Whether the image and its backing chain are complete: QEMU would read zeros for missing data.
 * ERR_SYSTEM: something is missing. *warning: other findings, usually empty. */
int qemu_image_examine(const struct qemu_image *image, char *warning, size_t room,
		       struct error *err);

#endif
