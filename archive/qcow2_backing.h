/*
 * The files below a qcow2 image.
 */
#ifndef ARCHIVE_QCOW2_BACKING_H
#define ARCHIVE_QCOW2_BACKING_H

#include "drive/qcow2file.h"

/* Names the state of the files below the image, by their names, sizes and times: it is another as
 * soon as one of them is written or replaced. Empty: there are none. ERR_UNSUPPORTED: not all of
 * them can be known. Owned. */
int backing_token(const struct qcow2_file *file, char **out, struct error *err);

#endif
