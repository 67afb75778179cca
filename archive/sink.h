/*
 * An archive being written: which format and compression the options and the name ask for, the
 * output, the writer.
 */
#ifndef ARCHIVE_SINK_H
#define ARCHIVE_SINK_H

#include "base/parse.h"
#include "writer/output/output.h"
#include "writer/writer.h"

#include <sys/stat.h>

enum format_choice { FORMAT_BY_NAME, FORMAT_CHOICE_VMAB, FORMAT_CHOICE_VMA };

/* What a user may say about an archive to be written. All zero but the name is the default. */
struct sink_options {
	const char *name;     /* "-": standard output */
	unsigned format;      /* enum format_choice */
	const char *compress; /* METHOD[:LEVEL]; NULL: by the name */
	bool no_vma_checksums;
	uint64_t record_size; /* bytes, 0: free */
	uint64_t threads;     /* 0: one a processor */
	uint64_t rate;	      /* bytes a second, 0: no limit */
	bool no_sync;
	bool force;
};

/* What is to be written, before anything is opened. */
struct sink_plan {
	enum archive_format format;
	enum cluster_checksum cluster_checksum;
	enum wrap wrap;
	int level; /* 0: no compression */
};

struct sink {
	const char *name;		    /* borrowed */
	const struct sink_options *options; /* borrowed */
	struct sink_plan plan;
	struct writer_counts counts;
	struct output *output;
	struct writer *writer;
};

/* The plan for options->name. by_name: it is (or will be) a regular file, so that its name must
 * tell. */
int sink_plan(struct sink_plan *out, bool by_name, const struct sink_options *options,
	      struct error *err);

/* Checks all that can be checked without opening anything. options are borrowed until sink_close. */
int sink_prepare(struct sink *out, const struct sink_options *options, struct error *err);
/* Whether writing would go to this file: what -o names, or what standard output is. */
bool sink_is(const struct sink *sink, const struct stat *file);

/* Creates the output and writes the head. archive is borrowed until sink_close. */
int sink_open(struct sink *sink, const struct archive *archive, struct error *err);
/* The rest of the archive, from the feed. */
int sink_run(struct sink *sink, const struct feed *feed, struct error *err);
int sink_finish(struct sink *sink, struct error *err);
/* Without sink_finish before, nothing stays. */
void sink_close(struct sink *sink);

#endif
