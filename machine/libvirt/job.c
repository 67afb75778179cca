#include "machine/libvirt/job.h"

#include "base/clock.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/description.h"
#include "machine/gate.h"
#include "machine/rundir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_TRIES 30 /* the guard process of a dead run may be at work */
#define LOCK_MS	   100

/* The socket of the backup that runs: owned, NULL if there is none. *runs: there is a backup. */
static int read_socket(struct domain *domain, char **out, bool *runs, struct error *err)
{
	char *xml;

	*out = NULL;
	TRY(domain_backup(domain, &xml, err));
	*runs = xml != NULL;
	if (xml != NULL)
		*out = backup_socket(xml);
	free(xml);
	return 0;
}

int libvirt_job_runs(struct domain *domain, const char *socket, bool *out, struct error *err)
{
	char *found;

	TRY(read_socket(domain, &found, out, err));
	*out = found != NULL && strcmp(found, socket) == 0;
	free(found);
	return 0;
}

int libvirt_job_stop(struct domain *domain, const char *socket, struct error *err)
{
	bool runs;

	TRY(libvirt_job_runs(domain, socket, &runs, err));
	if (!runs)
		return 0;
	gate_settle(socket);
	return domain_backup_end(domain, err);
}

int libvirt_job_end(struct domain *domain, const char *socket, struct error *err)
{
	TRY(libvirt_job_stop(domain, socket, err));
	unlink(socket);
	rundir_remove(socket);
	return 0;
}

int libvirt_job_lock_dead(const char *socket)
{
	int fd = rundir_lock(socket);

	for (int i = 0; i < LOCK_TRIES && fd < 0 && errno == EWOULDBLOCK; i++) {
		clock_sleep_ms(LOCK_MS);
		fd = rundir_lock(socket);
	}
	return fd;
}

static int clear_socket(struct domain *domain, const char *socket, bool *ended, struct error *err)
{
	const char *shown = domain_shown(domain);
	char id[RUN_ID_SIZE];
	int lock, code;

	if (socket == NULL || !rundir_id(socket, id))
		return fail(err, ERR_LOCKED,
			    "domain '%s': another program is backing it up; 'virsh domjobinfo' "
			    "shows that job, 'virsh domjobabort' ends it",
			    shown);
	lock = libvirt_job_lock_dead(socket);
	if (lock < 0 && errno == EWOULDBLOCK)
		return fail(err, ERR_LOCKED,
			    "domain '%s': is being backed up by another run of this program",
			    shown);
	if (lock < 0)
		return fail(
			err, ERR_LOCKED,
			"domain '%s': another run of this program is backing it up, or has left "
			"that job: %.100s cannot be reached; 'virsh domjobabort' ends such a job",
			shown, socket);
	code = libvirt_job_end(domain, socket, err);
	*ended = code == 0;
	close(lock);
	return code;
}

int libvirt_job_clear(struct domain *domain, bool *ended, struct error *err)
{
	char *socket;
	bool runs = false;
	int code = 0;

	*ended = false;
	TRY(read_socket(domain, &socket, &runs, err));
	if (runs)
		code = clear_socket(domain, socket, ended, err);
	free(socket);
	return code;
}
