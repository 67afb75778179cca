#include "machine/libvirt/job.h"

#include "machine/libvirt/domain.h"
#include "machine/libvirt/description.h"
#include "machine/gate.h"
#include "machine/rundir.h"
#include "cli/memory.h"
#include "base/name.h"
#include "machine/qemu/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 30 /* a tenth of a second apart: a dead run is being cleaned up after */

/* The socket of the backup that runs: owned, NULL if there is none. *runs: there is a backup. */
static int read_socket(struct domain *domain, char **out, bool *runs, struct error *err)
{
	char *xml;

	*out = NULL;
	if (domain_backup(domain, &xml, err) < 0)
		return err->code;
	*runs = xml != NULL;
	if (xml != NULL)
		*out = backup_socket(xml);
	free(xml);
	return 0;
}

int libvirt_job_runs(struct domain *domain, const char *socket, bool *out, struct error *err)
{
	char *found;

	if (read_socket(domain, &found, out, err) < 0)
		return err->code;
	*out = found != NULL && strcmp(found, socket) == 0;
	free(found);
	return 0;
}

int libvirt_job_end(struct domain *domain, const char *socket, struct error *err)
{
	bool runs;

	if (libvirt_job_runs(domain, socket, &runs, err) < 0)
		return err->code;
	if (runs) {
		gate_settle(socket);
		if (domain_backup_end(domain, err) < 0)
			return err->code;
	}
	unlink(socket);
	rundir_remove(socket);
	return 0;
}

/* FOLDER/vmabak-ID/nbd, and nothing that only looks like it. */
static bool is_of_ours(const char *socket)
{
	size_t length = strlen(socket), tail = RUN_ID_SIZE - 1 + strlen("/nbd");
	char id[RUN_ID_SIZE] = "";

	if (length <= tail)
		return false;
	memcpy(id, socket + length - tail, RUN_ID_SIZE - 1);
	return strspn(id, "0123456789abcdef") == RUN_ID_SIZE - 1 && rundir_fits(socket, id);
}

/* The lock of a run that is dead, or about to be; -1: it is alive, or its folder has gone. */
static int lock_dead(const char *socket)
{
	const struct timespec moment = {.tv_nsec = 100000000};
	int fd = rundir_lock(socket);

	for (int i = 0; i < LOCK_TRIES && fd < 0 && errno == EWOULDBLOCK; i++) {
		nanosleep(&moment, NULL);
		fd = rundir_lock(socket);
	}
	return fd;
}

static int clear_socket(struct domain *domain, const char *socket, bool *ended, struct error *err)
{
	const char *shown = domain_shown(domain);
	int lock, result;

	if (socket == NULL || !is_of_ours(socket))
		return fail(err, ERR_LOCKED,
			    "domain '%s': another program backs it up; virsh domjobinfo tells of "
			    "it, virsh domjobabort ends it",
			    shown);
	lock = lock_dead(socket);
	if (lock < 0 && errno == EWOULDBLOCK)
		return fail(err, ERR_LOCKED,
			    "domain '%s': is being backed up by another run of this program",
			    shown);
	if (lock < 0)
		return fail(err, ERR_LOCKED,
			    "domain '%s': has a backup of another run of this program, and whether "
			    "that is alive cannot be told: %.100s is out of reach; if not, virsh "
			    "domjobabort ends it",
			    shown, socket);
	result = libvirt_job_end(domain, socket, err);
	*ended = result == 0;
	close(lock);
	return result;
}

int libvirt_job_clear(struct domain *domain, bool *ended, struct error *err)
{
	char *socket;
	bool runs = false;
	int result = 0;

	*ended = false;
	if (read_socket(domain, &socket, &runs, err) < 0)
		return err->code;
	if (runs)
		result = clear_socket(domain, socket, ended, err);
	free(socket);
	return result;
}
