/*
 * The time in which libvirt lets us read a domain's drives as they were at one instant.
 *
 * A guard process (machine/guard.h) ends the job in libvirt, whatever ends the run: failure, a
 * signal, a kill; and with it the checkpoint goes that was made. While the job runs QEMU saves what
 * the guest overwrites in scratch files; when they cannot grow any more the guest's writes would
 * fail, so a thread ends the job before that.
 */
#ifndef MACHINE_LIBVIRT_RUN_H
#define MACHINE_LIBVIRT_RUN_H

#include "machine/libvirt/description.h"
#include "machine/freeze.h"

struct cluster_set;
struct domain;
struct drive;
struct libvirt_run;
struct libvirt_track;

struct libvirt_outcome {
	struct instant_outcome instant;
	uint64_t scratch_bytes; /* that the scratch files had grown to in the end; 0: not known */
	bool remains;		/* the job may be left in libvirt */
};

/* What a run is of; all is borrowed and outlives the run. */
struct libvirt_subject {
	struct domain *domain;
	const struct domain_disks *disks;
	struct libvirt_track *track;
	const struct machine_options *options;
};

/* The instant, with the guest frozen around it if the options say so. *outcome is borrowed, too. A
 * signal ends the program from here on, after the job. */
int libvirt_run_begin(struct libvirt_run **out, const struct libvirt_subject *subject,
		      struct libvirt_outcome *outcome, struct error *err);
/* A disk as it was at the instant. */
int libvirt_run_drive(struct libvirt_run *run, const char *target, uint64_t size_bytes,
		      struct drive **out, struct error *err);
/* What changed in a disk, as its bitmap in libvirt tells. The caller frees *out in any case. */
int libvirt_run_changes(struct libvirt_run *run, const char *target, struct cluster_set *out,
			struct error *err);
/* Whether all that was read before this call was of that instant. Takes a moment. Any thread, while
 * no other one asks libvirt. */
int libvirt_run_check(struct libvirt_run *run, struct error *err);
/* All was read: whether it was of that instant, up to the end; then ends the job. */
int libvirt_run_finish(struct libvirt_run *run, struct error *err);
/* After that, the archive is durable: the checkpoint is to stay. */
int libvirt_run_commit(struct libvirt_run *run, struct error *err);
/* What went wrong first, if the run knows better. */
int libvirt_run_explain(struct libvirt_run *run, struct error *err);
/* Ends the job if need be. NULL-safe. */
void libvirt_run_free(struct libvirt_run *run);

#endif
