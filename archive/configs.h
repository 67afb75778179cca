/*
 * Configuration files on their way into an archive. Their bytes are owned by archive->configs until
 * configs_free; names are borrowed from the caller.
 */
#ifndef ARCHIVE_CONFIGS_H
#define ARCHIVE_CONFIGS_H

#include "format/format.h"

/* Bytes of all configs together: they must fit into a head of 16 MiB. */
#define CONFIGS_SIZE_MAX 15728640u

/* Reads the files named by [NAME=]FILE into archive->configs. output: the name of the archive that
 * is being written; a config that is this very file is refused. */
int configs_read(struct archive *archive, const struct strings *files, const char *output,
		 struct error *err);
/* Reads one file of a machine, which may not be a link, a pipe or the like. When that fails nothing
 * is added. */
int configs_read_file(struct archive *archive, const char *name, const char *path,
		      const char *output, struct error *err);
/* Adds a copy of the data. */
int configs_add(struct archive *archive, const char *name, struct text data, struct error *err);
bool configs_have(const struct archive *archive, struct text name);
void configs_free(struct archive *archive);

#endif
