/*
 * Names in a folder of chains: MACHINE-2026-11-30T011500Z.vmab, the time in UTC, so that names of a
 * machine sort by time. They tell which machine an archive is of; all else is in its head.
 */
#ifndef ARCHIVE_FOLDER_NAME_H
#define ARCHIVE_FOLDER_NAME_H

#include "base/name.h"

/* Whether a file is named like that; *length: of the machine's name, which passes the allow-list.
 */
bool folder_name_parse(const char *file, size_t *length, int64_t *time_s);
/* Owned; NULL: no memory. folder: NULL for the name alone. The machine's name passed the
 * allow-list; time_s is from 0 to FOLDER_NAME_TIME_MAX. */
char *folder_name_make(const char *folder, const char *machine, int64_t time_s);

#define FOLDER_NAME_TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

#endif
