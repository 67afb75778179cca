/*
 * Configuration files on their way into an archive.
 */
#ifndef ARCHIVE_CONFIGS_H
#define ARCHIVE_CONFIGS_H

#include "format/format.h"

#define CONFIGS_SIZE_MAX                                                        \
	15728640u /* bytes of all together: they must fit into a head of 16 MiB \
		   */

struct sink;

/* Reads the files named by [NAME=]FILE into archive->configs. The bytes and names are owned by the
 * caller: free them with configs_free. Refuses a file that is the output itself. */
int configs_read(const struct strings *files, const struct sink *sink, struct archive *archive,
		 struct error *err);
void configs_free(struct archive *archive);

#endif
