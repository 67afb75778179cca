#include "machine/libvirt/run.h"

#include "base/clock.h"
#include "machine/libvirt/domain.h"
#include "machine/freeze.h"
#include "machine/gate.h"
#include "machine/libvirt/job.h"
#include "machine/rundir.h"
#include "cli/memory.h"
#include "base/stop.h"
#include "base/name.h"
#include "machine/qemu/jobs.h"
#include "machine/qemu/scratch.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define GUARD_S	  60 /* for how long ending the job is waited for */
#define WATCH_MS  100
#define ROOM_MIN  (UINT64_C(256) << 20) /* bytes that scratch files leave free at least */
#define SETTLE_MS 100

struct libvirt_run {
	struct domain *domain;
	const struct domain_disks *disks;
	const struct machine_options *options;
	struct libvirt_outcome *outcome;
	char id[RUN_ID_SIZE];
	char *socket;	/* owned */
	char *folder;	/* owned: of the socket */
	int lock;	/* -1: none */
	int *scratches; /* owned: of the scratch files, to be told what the disk loses of them */
	unsigned n_scratches;
	bool watching;
	pthread_t watcher;

	pthread_cond_t stopped; /* with job.mutex, as the rest */
	bool stop;		/* for the watcher */
	bool no_room;
	char no_room_in[160];
};

/* The job of the one run of this program. It stays when the run is freed: a signal may come then.
 * The mutex guards all of it, and is held while the guard ends the job, so that whoever gets it
 * then finds the job ended. */
static struct {
	pthread_mutex_t mutex;
	struct guard *guard; /* NULL: there is none */
	bool began;	     /* or may have */
	bool ended;	     /* the guard has been asked to end it */
	bool remains;	     /* the guard could not end it */
} job = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct gate gate = GATE_INIT; /* as the job: of the one run */

static void end_locked(unsigned timeout_s)
{
	gate_end(&gate);
	if (job.guard != NULL && !job.ended && !guard_hang_up(job.guard, timeout_s) && job.began)
		job.remains = true;
	job.ended = true;
}

static void end(void)
{
	pthread_mutex_lock(&job.mutex);
	end_locked(GUARD_S);
	pthread_mutex_unlock(&job.mutex);
}

/* On the thread of signals. What the main thread does meanwhile may take for ever, when the output
 * takes nothing. A guard that has no job to end is not waited for: it may have to thaw yet. */
static void end_by_signal(void)
{
	pthread_mutex_lock(&job.mutex);
	end_locked(job.began ? GUARD_S : 0);
	pthread_mutex_unlock(&job.mutex);
	signals_end();
}

/* ---- room for scratch files ---- */

/* False: not known, or there is enough. */
static bool lacks_room(const struct libvirt_run *run, uint64_t wanted, char *where, size_t size)
{
	bool lacks = false;

	for (unsigned i = 0; i < run->disks->n && !lacks; i++) {
		char *folder = scratch_folder(&run->disks->disks[i], run->options->scratch);
		struct statvfs found;

		if (folder != NULL && statvfs(folder, &found) == 0)
			lacks = (uint64_t)found.f_bavail * found.f_frsize < wanted;
		if (lacks)
			escape_text(where, size, (const uint8_t *)folder, strlen(folder));
		free(folder);
	}
	return lacks;
}

static void *watch(void *context)
{
	struct libvirt_run *run = context;

	pthread_mutex_lock(&job.mutex);
	while (!run->stop) {
		struct timespec until;

		if (lacks_room(run, ROOM_MIN, run->no_room_in, sizeof(run->no_room_in))) {
			run->no_room = true;
			end_locked(GUARD_S);
			break;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WATCH_MS * 1000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&run->stopped, &job.mutex, &until);
	}
	pthread_mutex_unlock(&job.mutex);
	return NULL;
}

static int start_watching(struct libvirt_run *run, struct error *err)
{
	int result = pthread_create(&run->watcher, NULL, watch, run);

	if (result != 0)
		return fail_start(err, result, "starting a thread");
	run->watching = true;
	return 0;
}

/* ---- what scratch files lose ---- */

/* Only a descriptor from before is told of it for certain. */
static int open_scratches(struct libvirt_run *run, struct error *err)
{
	run->scratches = memory_new(run->disks->n, sizeof(*run->scratches));
	for (unsigned i = 0; i < run->disks->n; i++) {
		char *path = scratch_file(&run->disks->disks[i], run->options->scratch, run->id);
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0)
			fail(err, ERR_SYSTEM,
			     "scratch file %.200s: %s; what a disk loses of it would go unseen; "
			     "--scratch names another folder",
			     path, strerror(errno));
		else
			run->scratches[run->n_scratches++] = fd;
		free(path);
		if (fd < 0)
			return err->code;
	}
	return 0;
}

static int check_scratches(const struct libvirt_run *run, struct error *err)
{
	int result = 0;

	for (unsigned i = 0; i < run->n_scratches && result == 0; i++) {
		char *path = scratch_file(&run->disks->disks[i], run->options->scratch, run->id);

		result = scratch_check_kept(run->scratches[i], path, err);
		free(path);
	}
	return result;
}

static void close_scratches(struct libvirt_run *run)
{
	while (run->n_scratches > 0)
		close(run->scratches[--run->n_scratches]);
	free(run->scratches);
}

/* ---- the instant ---- */

static int begin_job(void *context, struct error *err)
{
	struct libvirt_run *run = context;
	char *xml = backup_description(run->disks, run->socket, run->options->scratch, run->id);
	int64_t begin = clock_ms();
	int result;

	/* The mutex is held, so that a signal does not end what begins right then. */
	pthread_mutex_lock(&job.mutex);
	if (job.ended) {
		result = fail(err, ERR_SYSTEM, "ended by a signal");
	} else {
		job.began = true;
		guard_tell(job.guard, GUARD_BEGINS, -1);
		result = domain_backup_begin(run->domain, xml, err);
		job.began = result == 0;
		guard_tell(job.guard, job.began ? GUARD_BEGAN : GUARD_DONE, -1);
	}
	pthread_mutex_unlock(&job.mutex);
	run->outcome->instant.instant_ms = (uint64_t)(clock_ms() - begin);
	free(xml);
	return result;
}

static int make_folder(struct libvirt_run *run, struct error *err)
{
	gid_t group;

	if (rundir_make(run->socket, err) < 0)
		return err->code;
	stop_guard_folder(run->folder);
	run->lock = rundir_lock(run->socket);
	if (run->lock < 0)
		return fail_system(err, errno, "%s", run->folder);
	if (geteuid() == 0 && domain_group(run->domain, &group))
		return rundir_admit(run->socket, group, err);
	return 0;
}

static int begin(struct libvirt_run *run, struct error *err)
{
	struct instant instant = {.begin = begin_job, .context = run, .options = run->options};
	int result;

	if (lacks_room(run, ROOM_MIN * 2, run->no_room_in, sizeof(run->no_room_in)))
		return fail(err, ERR_SYSTEM,
			    "%s: less than 512 MiB are free, and there QEMU would save what the "
			    "guest overwrites; name another folder with --scratch",
			    run->no_room_in);
	signals_end_by(end_by_signal);
	pthread_mutex_lock(&job.mutex);
	job.ended = false;
	result = guard_start(&job.guard, "libvirt", run->options, run->id, err);
	instant.guard = job.guard;
	pthread_mutex_unlock(&job.mutex);
	if (result == 0)
		result = make_folder(run, err);
	if (result == 0)
		result = freeze_around(&instant, &run->outcome->instant, err);
	if (result == 0)
		result = open_scratches(run, err);
	return result < 0 ? result : start_watching(run, err);
}

int libvirt_run_begin(struct libvirt_run **out, struct domain *domain,
		      const struct domain_disks *disks, const struct machine_options *options,
		      struct libvirt_outcome *outcome, struct error *err)
{
	struct libvirt_run *run = memory_new(1, sizeof(*run));
	uint32_t number = 0;

	run->domain = domain;
	run->disks = disks;
	run->options = options;
	run->outcome = outcome;
	run->lock = -1;
	pthread_cond_init(&run->stopped, NULL);
	if (getrandom(&number, sizeof(number), 0) < 0)
		number = (uint32_t)clock_ms();
	snprintf(run->id, sizeof(run->id), "%08x", number);
	run->socket = rundir_path(run->id);
	run->folder =
		memory_text("%.*s", (int)(base_name(run->socket) - run->socket - 1), run->socket);
	if (begin(run, err) < 0) {
		libvirt_run_free(run);
		return err->code;
	}
	*out = run;
	return 0;
}

/* ---- reading, and the end ---- */

int libvirt_run_open(struct libvirt_run *run, const char *target, struct drive **out,
		     struct error *err)
{
	char *uri = rundir_uri(run->socket, target);
	int result = gate_open(&gate, out, uri, err);

	free(uri);
	return result;
}

/* A job whose scratch file could not be written has ended, and what was read after that was not of
 * the instant. libvirt learns of it by an event: the question to QEMU comes after that, and a
 * moment is for libvirt to act on it. */
int libvirt_run_finish(struct libvirt_run *run, struct error *err)
{
	const struct timespec moment = {.tv_nsec = SETTLE_MS * 1000000};
	bool runs;

	run->outcome->scratch_bytes = domain_backup_scratch(run->domain);
	nanosleep(&moment, NULL);
	if (libvirt_job_runs(run->domain, run->socket, &runs, err) < 0)
		return err->code;
	end();
	if (!runs)
		return fail(err, ERR_SYSTEM,
			    "domain '%s': its backup ended before all was read: the log of libvirt "
			    "or QEMU may tell why",
			    domain_shown(run->domain));
	return check_scratches(run, err);
}

int libvirt_run_explain(struct libvirt_run *run, struct error *err)
{
	/* What fails because a signal ended the job need not be told. */
	while (signals_noted() != 0)
		pause();
	pthread_mutex_lock(&job.mutex);
	if (run->no_room)
		fail(err, ERR_SYSTEM,
		     "%s: less than 256 MiB were left there for what the guest overwrites: the "
		     "backup was given up, so that the guest's writes do not fail; --scratch names "
		     "another folder",
		     run->no_room_in);
	pthread_mutex_unlock(&job.mutex);
	return err->code;
}

void libvirt_run_free(struct libvirt_run *run)
{
	if (run == NULL)
		return;
	while (signals_noted() != 0)
		pause();
	end();
	run->outcome->remains = job.remains;
	pthread_mutex_lock(&job.mutex);
	guard_free(job.guard);
	job.guard = NULL;
	pthread_mutex_unlock(&job.mutex);
	signals_end_by(NULL);
	if (run->watching) {
		pthread_mutex_lock(&job.mutex);
		run->stop = true;
		pthread_cond_signal(&run->stopped);
		pthread_mutex_unlock(&job.mutex);
		pthread_join(run->watcher, NULL);
	}
	close_scratches(run);
	if (run->lock >= 0)
		close(run->lock);
	rundir_remove(run->socket);
	stop_guard_folder(NULL);
	pthread_cond_destroy(&run->stopped);
	free(run->folder);
	free(run->socket);
	free(run);
}
