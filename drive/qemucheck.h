#ifndef DRIVE_QEMUCHECK_H
#define DRIVE_QEMUCHECK_H

#include "drive/qemuimg.h"

/* Whether all that the image, and those it stands on, should hold is there: what QEMU cannot find
 * it reads as zeros. ERR_SYSTEM when something is missing. *warning: what else is to be told of it,
 * mostly empty. */
int qemu_image_examine(const struct qemu_image *image, char *warning, size_t room,
		       struct error *err);

#endif
