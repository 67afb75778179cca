/*
 * The proof of a change list. A list only saves reading, and the tools that make lists are wrong
 * with exit code 0: so nothing that a list leaves out is believed without some proof.
 *
 *   lineage      the list begins at the instant that the parent shows
 *   shape        of a drive of another size all from the smaller size on counts as changed
 *   holes        where the source's storage and the parent disagree about zeros, it is read
 *   neighbours   of what is listed, and
 *   samples      of all else are read, other ones each time
 *   audit        1/k of all else is read, each time the part after the last: see spec/vmab.md,
 *                section 4.3. A lie lives for k backups at most
 *
 * One cluster that is not as the parent has it, and the list is not used at all.
 */
#ifndef ARCHIVE_PROOF_H
#define ARCHIVE_PROOF_H

#include "base/error.h"
#include "format/drive_marks.h"

struct changes;
struct drive;
struct parent_sums;
struct proof_live;
struct watcher;

#define PROOF_SLICES 30u /* of the audit, unless the user says something else */
#define PROOF_SLICES_LIVE \
	100u /* the same, where increments read nothing else of what is unchanged */
#define PROOF_SLICES_MAX 10000u
#define PROOF_PICKS	 256u /* clusters that a rule picks at random, if there are as many */

struct proof_options {
	uint32_t slices;      /* of the audit; 0: none */
	bool strict;	      /* a list that is wrong is an error */
	bool since_unchecked; /* a list may leave open since when it is, or the parent what it shows
			       */
	unsigned n_threads;
};

/* A drive that the parent has, too. All is borrowed. */
struct proof_job {
	const struct archive *archive; /* the new one: uuid, instant and drives are known */
	uint32_t drive;		       /* its number there, and for sums */
	struct drive *source;	       /* NULL: none that can be read */
	const struct proof_live *live; /* of a drive that is written to, without a source */
	struct changes *changes;       /* of it; what has to count as changed, too, is added */
	const struct parent_sums *sums;
	uint64_t parent_bytes; /* the drive's size in the parent */
	const struct drive_mark *parent_mark;
};

/* Lineage. ERR_USAGE, with what to do, if the list must not be used. */
int proof_check_since(const struct proof_job *job, const struct proof_options *options,
		      struct error *err);

/* Of drives that cannot be read but once: shape alone. What the list does not name is taken as
 * unchanged, and nothing of it is proved, but for what *record says of an earlier proof_run with
 * live. */
int proof_none(const struct proof_job *job, struct drive_proof *record, struct error *err);
/* Shape, holes, neighbours, samples, audit. out->verdict: PROOF_RIGHT: only the clusters of the
 * list need be read, all others are the parent's; PROOF_WRONG: the drive must be read in full, and
 * the watcher was warned, or, if strict, it is ERR_DAMAGED, with that verdict, too. PROOF_NONE, with live: nothing is known any
 * more. Memory: a few bits a cluster, 1 MiB a thread. */
int proof_run(const struct proof_job *job, const struct proof_options *options,
	      struct drive_proof *out, const struct watcher *watcher, struct error *err);

#endif
