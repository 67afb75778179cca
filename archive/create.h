/*
 * The making of an archive: begin, name the drives and configs, open, write. Everything that can be
 * refused is refused before the output is created, and a run that fails leaves none.
 */
#ifndef ARCHIVE_CREATE_H
#define ARCHIVE_CREATE_H

#include "archive/create_plan.h"
#include "archive/kept.h"
#include "archive/parent.h"
#include "archive/proxmox.h"
#include "archive/sums_new.h"

struct output;
struct watcher;

/* What a user may say about the head of a new archive. */
struct head_options {
	const char *note; /* NULL: none */
	const char *uuid; /* as text; NULL: random */
	bool dedup;	  /* unchanged parts of drives give the same bytes in each archive */
	/* An archive or sums file, and folders with its parents; none: a full archive. */
	const char *parent;
	struct strings parents;
	const char *sums;	   /* the file for the sums; NULL: beside an incremental archive */
	bool no_sums, sums_beside; /* never; even of a full archive */
	bool parent_optional; /* if it cannot be used, that is a warning, and the archive full */
};

struct create {
	const struct create_options *options; /* borrowed */
	const char *name;		      /* of the archive; borrowed */
	struct create_plan plan;
	uint32_t extent_size; /* as in struct writer_options */
	bool dedup;	      /* see struct head_options */
	/* Owned. Its texts are borrowed, but configs are as in archive/configs.h. */
	struct archive *archive;
	const struct head_options *head; /* borrowed; NULL: as create_begin has it */
	struct parent parent;
	struct drive_mark *marks; /* owned; of each drive, since create_prepare */
	uint8_t *records;	  /* owned; made of them */
	struct new_sums *sums;	  /* owned; NULL: none */
	struct proxmox proxmox;	  /* what the archive's name asks for */
	struct writer_counts counts;
	struct kept kept;
	struct output *output;
	struct writer *writer;
	const struct cluster_set *const *expected; /* see create_expect */
};

/* Now, or what SOURCE_DATE_EPOCH says. */
int create_time(int64_t *time_ns, struct error *err);
/* Judges the options and makes a head without drives and configs. head: NULL when the caller sets
 * time, uuid and note. *out can be closed even after a failure. */
int create_begin(struct create *out, const struct create_options *options,
		 const struct head_options *head, struct error *err);
/* Adds a drive, of size 0 as yet. name passed the allow-list; path: the file with its data, which
 * must not be the output, or NULL. */
int create_add_drive(struct create *create, const char *name, const char *path, struct error *err);
/* The drive gets this size, or what the format makes of it. */
void create_set_size(struct create *create, uint32_t drive, uint64_t size_bytes,
		     const struct watcher *watcher);
/* How many data clusters a piece of work should have. */
uint32_t create_piece(const struct create *create);

/* After create_begin: with options->resume, the uuid and the time are those of what a run that
 * broke off has left, if it has. */
int create_take_up(struct create *create, const struct watcher *watcher, struct error *err);
/* All drives are known: finds the parent. create_open does it, too. */
int create_prepare(struct create *create, const struct watcher *watcher, struct error *err);
/* After create_prepare: what the drive's instant is called where the drive comes from. Borrowed
 * until create_write. ERR_USAGE: it has another token already, or cannot have this one. */
int create_set_token(struct create *create, uint32_t drive, const char *token, struct error *err);
/* One that it has is called something else now; before create_write, and borrowed until then. */
void create_renew_token(struct create *create, uint32_t drive, const char *token);
/* Creates the output. Of the head only the marks may still change. */
int create_open(struct create *create, const struct watcher *watcher, struct error *err);
/* With a parent: of drive i only the clusters of sets[i] will come, if that is not NULL; the others
 * are as the parent has them. Borrowed until create_close. */
void create_expect(struct create *create, const struct cluster_set *const *sets);
/* Writes the head and all that the feed brings, and finishes the archive. Tells the watcher of
 * progress. */
int create_write(struct create *create, const struct feed *feed, const struct watcher *watcher,
		 struct error *err);
/* That create_write failed because what a run before has left is of another archive: once this is
 * closed it is removed, and all can begin anew. */
bool create_differs(const struct create *create);
/* Removes an archive that is not finished, unless it can be taken up. */
void create_close(struct create *create);

#endif
