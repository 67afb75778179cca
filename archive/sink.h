/*
 * An archive being written: which format and compression the options and the name ask for, the
 * output, the writer.
 */
#ifndef ARCHIVE_SINK_H
#define ARCHIVE_SINK_H

#include "cli/options.h"
#include "base/parse.h"
#include "writer/output/output.h"
#include "writer/writer.h"

#include <sys/stat.h>

struct report;

/* What is to be written, before anything is opened. */
struct sink_plan {
	enum archive_format format;
	enum cluster_checksum cluster_checksum;
	enum wrap wrap;
	int level; /* 0: no compression */
};

struct sink {
	const char *name; /* borrowed */
	struct sink_plan plan;
	struct writer_counts counts;
	struct output *output;
	struct writer *writer;
};

/* The plan for an output name. by_name: it is (or will be) a regular file, so that its name must
 * tell. */
int sink_plan(struct sink_plan *out, const char *name, bool by_name, const struct options *options,
	      struct error *err);

/* Checks all that can be checked without opening anything. */
int sink_prepare(struct sink *out, const struct options *options, struct error *err);
/* Whether writing would go to this file: what -o names, or what standard output is. */
bool sink_is(const struct sink *sink, const struct stat *file);

/* Creates the output and writes the head. archive is borrowed until sink_close. */
int sink_open(struct sink *sink, const struct archive *archive, const struct options *options,
	      struct error *err);
/* The rest of the archive, from the feed. */
int sink_run(struct sink *sink, const struct feed *feed, const struct options *options,
	     struct error *err);
int sink_finish(struct sink *sink, struct error *err);
/* Without sink_finish before, nothing stays. */
void sink_close(struct sink *sink);

/* After sink_finish: the summary on standard error, or the fields of the result. */
void sink_summary(const struct sink *sink, const struct archive *archive, struct report *report);

#endif
