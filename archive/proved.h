/*
 * Since when a chain is proved: its archives' arcs, put together from the newest on. What the chain
 * says is there was read from the drive at that instant or later. Source: spec/vmab.md,
 * section 4.3.
 */
#ifndef ARCHIVE_PROVED_H
#define ARCHIVE_PROVED_H

#include "format/drive_marks.h"

/* Of a drive; zeros at first. */
struct proved {
	uint64_t n_points; /* of the circle, that the archives so far add up to */
	uint32_t from;	   /* the first of them */
	bool whole;	   /* all of it: older archives do not matter */
	bool broken;	   /* the arcs do not follow each other */
	int64_t since_ns;  /* the instant of the oldest archive that counts */
};

/* The next archive, newest first: its instant, and its mark of the drive. */
void proved_add(struct proved *proved, int64_t created_ns, const struct drive_mark *mark);

/* All drives of the newest archive, which is borrowed. */
struct proved_chain {
	const struct archive *newest;
	struct proved *drives;	  /* owned */
	struct drive_mark *marks; /* owned: of the newest; they borrow from its head */
	uint32_t *number_of;	  /* owned */
};

/* Close *out even after an error. */
int proved_open(struct proved_chain *out, const struct archive *newest, struct error *err);
/* The next archive, the newest being the first. */
int proved_link(struct proved_chain *chain, const struct archive *link, struct error *err);
/* Since when all of it is proved; false: nothing shows that. */
bool proved_since(const struct proved_chain *chain, int64_t *since_ns);
/* The marks of an archive that the links so far are merged into. */
void proved_merge(const struct proved_chain *chain, struct drive_mark *out);
void proved_close(struct proved_chain *chain);

#endif
