#include "machine/libvirt/run.h"

#include "base/clock.h"
#include "base/stop.h"
#include "machine/gate.h"
#include "machine/libvirt/domain.h"
#include "machine/libvirt/job.h"
#include "machine/libvirt/track.h"
#include "machine/qemu/scratch.h"
#include "machine/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define GUARD_S	  60 /* for how long ending the job is waited for */
#define WATCH_MS  100
#define ROOM_MIN  (UINT64_C(256) << 20) /* bytes that scratch files leave free at least */
#define SETTLE_MS 100

struct libvirt_run {
	struct libvirt_subject of;
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
	struct error given_up;	/* or 0 */
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
	bool ended;	     /* or the guard has been asked to end it */
	bool pending; /* it has ended, but left a checkpoint, with which the guard is charged */
	bool hung_up; /* the guard has been asked to end what there is */
	bool remains; /* the guard could not end it */
} job = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct gate gate; /* as the job: of the one run */

static void end_locked(unsigned timeout_s)
{
	bool runs = job.began && !job.ended;

	gate_shut(&gate);
	if (job.guard != NULL && !job.hung_up && !guard_hang_up(job.guard, timeout_s) && runs)
		job.remains = true;
	job.hung_up = job.ended = true;
	job.pending = false;
}

static void end(struct libvirt_run *run)
{
	pthread_mutex_lock(&job.mutex);
	end_locked(GUARD_S);
	run->outcome->remains = job.remains;
	pthread_mutex_unlock(&job.mutex);
}

/* The thread of the command may be stuck in its output, so nothing is left to it. A guard that has
 * no job to end is not waited for: it may have to thaw yet. */
static enum stop_next end_by_signal(void)
{
	pthread_mutex_lock(&job.mutex);
	end_locked(job.began ? GUARD_S : 0);
	pthread_mutex_unlock(&job.mutex);
	return STOP_NOW;
}

/* ---- room for scratch files ---- */

/* False: not known, or there is enough. */
static bool lacks_room(const struct libvirt_run *run, uint64_t wanted, char *where, size_t size)
{
	bool lacks = false;

	for (unsigned i = 0; i < run->of.disks->n && !lacks; i++) {
		char *folder = scratch_folder(&run->of.disks->disks[i], run->of.options->scratch);
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
	while (!run->stop && !job.ended) {
		if (job.guard != NULL && guard_check_going(job.guard, &run->given_up) < 0) {
			end_locked(GUARD_S);
			break;
		}
		if (lacks_room(run, ROOM_MIN, run->no_room_in, sizeof(run->no_room_in))) {
			run->no_room = true;
			end_locked(GUARD_S);
			break;
		}
		clock_cond_wait(&run->stopped, &job.mutex, clock_ms() + WATCH_MS);
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
static int open_scratch(struct libvirt_run *run, const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return fail(err, ERR_SYSTEM,
			    "scratch file %.200s: %s; data lost by its disk would go unnoticed; "
			    "--scratch names another folder",
			    path, strerror(errno));
	run->scratches[run->n_scratches++] = fd;
	return 0;
}

/* Of the first n: opens them, or checks what they have kept. */
static int each_scratch(struct libvirt_run *run, unsigned n, bool opened, struct error *err)
{
	int code = 0;

	for (unsigned i = 0; i < n && code == 0; i++) {
		char *path =
			scratch_file(&run->of.disks->disks[i], run->of.options->scratch, run->id);

		if (path == NULL)
			code = fail_memory(err);
		else
			code = opened ? scratch_check_kept(run->scratches[i], path, err)
				      : open_scratch(run, path, err);
		free(path);
	}
	return code;
}

static int open_scratches(struct libvirt_run *run, struct error *err)
{
	run->scratches = calloc(run->of.disks->n, sizeof(*run->scratches));
	return run->scratches == NULL ? fail_memory(err)
				      : each_scratch(run, run->of.disks->n, false, err);
}

static void close_scratches(struct libvirt_run *run)
{
	while (run->n_scratches > 0)
		close(run->scratches[--run->n_scratches]);
	free(run->scratches);
}

/* ---- the instant ---- */

/* The mutex is held, so that a signal does not end what is just beginning. */
static int begin_locked(struct libvirt_run *run, const char *xml, const char *checkpoint,
			struct error *err)
{
	int code;

	if (job.ended)
		return fail(err, ERR_SYSTEM, "ended by a signal");
	job.began = true;
	guard_tell(job.guard, GUARD_BEGINS, -1);
	code = domain_backup_begin(run->of.domain, xml, checkpoint, err);
	/* A libvirt that ended meanwhile may have it again when it is back. */
	job.began = code == 0 || !domain_is_connected(run->of.domain);
	guard_tell(job.guard, job.began ? GUARD_BEGAN : GUARD_DONE, -1);
	return code;
}

static int try_to_begin(struct libvirt_run *run, struct error *err)
{
	char *checkpoint, *xml;
	int code;

	TRY(libvirt_track_text(run->of.track, run->socket, &checkpoint, err));
	xml = backup_description(run->of.disks, run->socket, run->of.options->scratch, run->id);
	if (xml == NULL) {
		code = fail_memory(err);
	} else {
		pthread_mutex_lock(&job.mutex);
		code = begin_locked(run, xml, checkpoint, err);
		pthread_mutex_unlock(&job.mutex);
	}
	free(checkpoint);
	free(xml);
	return code;
}

/* A checkpoint only saves reading, so that none is a reason to have no backup. */
static int begin_job(void *context, struct error *err)
{
	struct libvirt_run *run = context;
	int64_t begun = clock_ms();
	int code;

	do
		code = try_to_begin(run, err);
	while (code < 0 && libvirt_track_yield(run->of.track, err));
	run->outcome->instant.instant_ms = (uint64_t)(clock_ms() - begun);
	return code;
}

static int make_folder(struct libvirt_run *run, struct error *err)
{
	gid_t group;

	TRY(rundir_make(run->socket, err));
	stop_guard_folder(run->folder);
	run->lock = rundir_lock(run->socket);
	if (run->lock < 0)
		return fail_system(err, errno, "%s", run->folder);
	if (geteuid() == 0 && domain_group(run->of.domain, &group))
		return rundir_admit(run->socket, group, err);
	return 0;
}

static int start_guard(struct libvirt_run *run, struct error *err)
{
	struct machine_options options = *run->of.options;
	int code;

	options.checkpoint = libvirt_track_name(run->of.track);
	stop_handle(end_by_signal);
	pthread_mutex_lock(&job.mutex);
	job.ended = job.pending = job.hung_up = false;
	code = guard_start(&job.guard, "libvirt", &options, run->id, err);
	pthread_mutex_unlock(&job.mutex);
	return code;
}

static int begin(struct libvirt_run *run, struct error *err)
{
	struct instant instant = {.begin = begin_job, .context = run, .options = run->of.options};

	if (run->socket == NULL || run->folder == NULL)
		return fail_memory(err);
	if (lacks_room(run, ROOM_MIN * 2, run->no_room_in, sizeof(run->no_room_in)))
		return fail(err, ERR_SYSTEM,
			    "%s: less than 512 MiB are free, and there QEMU would save what the "
			    "guest overwrites; name another folder with --scratch",
			    run->no_room_in);
	TRY(start_guard(run, err));
	if (run->of.disks->has_iothreads)
		gate_hold(&gate, job.guard, run->of.disks->n);
	instant.guard = job.guard;
	TRY(make_folder(run, err));
	TRY(freeze_around(&instant, &run->outcome->instant, err));
	TRY(open_scratches(run, err));
	return start_watching(run, err);
}

int libvirt_run_begin(struct libvirt_run **out, const struct libvirt_subject *subject,
		      struct libvirt_outcome *outcome, struct error *err)
{
	struct libvirt_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return fail_memory(err);
	run->of = *subject;
	run->outcome = outcome;
	run->lock = -1;
	clock_cond_init(&run->stopped);
	gate_init(&gate);
	run_id_make(run->id);
	run->socket = rundir_path(run->id);
	run->folder = run->socket == NULL ? NULL : rundir_folder(run->socket);
	if (begin(run, err) < 0) {
		libvirt_run_free(run);
		return err->code;
	}
	*out = run;
	return 0;
}

/* ---- reading, and the end ---- */

int libvirt_run_drive(struct libvirt_run *run, const char *target, uint64_t size_bytes,
		      struct drive **out, struct error *err)
{
	return gate_drive(&gate, out, run->socket, target, size_bytes, err);
}

int libvirt_run_changes(struct libvirt_run *run, const char *target, struct cluster_set *out,
			struct error *err)
{
	return gate_changes(&gate, run->socket, target, target, out, err);
}

/* The guard, which would end the job too, would remove the checkpoint with it. It does that from
 * now on if the archive does not become durable. */
static int end_job(struct libvirt_run *run, struct error *err)
{
	bool made = libvirt_track_name(run->of.track) != NULL;
	int code = 0;

	pthread_mutex_lock(&job.mutex);
	if (!job.ended) {
		gate_shut(&gate);
		code = libvirt_job_stop(run->of.domain, run->socket, err);
		job.ended = code == 0;
		job.pending = job.ended && made;
	}
	if (job.ended && !job.hung_up)
		guard_tell(job.guard, made ? GUARD_PENDING : GUARD_DONE, -1);
	pthread_mutex_unlock(&job.mutex);
	return code;
}

static int ended_early(const struct libvirt_run *run, struct error *err)
{
	return fail(err, ERR_SYSTEM,
		    "domain '%s': the backup job ended early: the log of libvirt or QEMU may show "
		    "why",
		    domain_shown(run->of.domain));
}

/* A job whose scratch file could not be written has ended, and what was read after that was not of
 * the instant. libvirt learns of it by an event: a question to QEMU, such as that for the scratch
 * files, comes after that, and a moment is for libvirt to act on it. */
static int ask_whether_runs(struct libvirt_run *run, bool *runs, struct error *err)
{
	run->outcome->scratch_bytes = domain_backup_scratch(run->of.domain);
	clock_sleep_ms(SETTLE_MS);
	return libvirt_job_runs(run->of.domain, run->socket, runs, err);
}

int libvirt_run_check(struct libvirt_run *run, struct error *err)
{
	bool runs;

	TRY(ask_whether_runs(run, &runs, err));
	return runs ? 0 : ended_early(run, err);
}

int libvirt_run_finish(struct libvirt_run *run, struct error *err)
{
	struct error ignored;
	bool runs;

	TRY(ask_whether_runs(run, &runs, err));
	if (!runs || end_job(run, &ignored) < 0)
		end(run);
	if (!runs)
		return ended_early(run, err);
	return each_scratch(run, run->n_scratches, true, err);
}

int libvirt_run_commit(struct libvirt_run *run, struct error *err)
{
	int code;

	pthread_mutex_lock(&job.mutex);
	if (!job.pending)
		code = fail(err, ERR_SYSTEM, "the backup's checkpoint went when libvirt ended it");
	else
		code = libvirt_track_good(run->of.track, err);
	if (code == 0) {
		job.pending = false;
		guard_tell(job.guard, GUARD_DONE, -1);
	}
	pthread_mutex_unlock(&job.mutex);
	return code;
}

int libvirt_run_explain(struct libvirt_run *run, struct error *err)
{
	end(run);
	pthread_mutex_lock(&job.mutex);
	if (run->given_up.code != 0)
		*err = run->given_up;
	if (run->no_room)
		fail(err, ERR_SYSTEM,
		     "%s: less than 256 MiB were left there for what the guest overwrites: the "
		     "backup was given up, so that the guest's writes do not fail; --scratch names "
		     "another folder",
		     run->no_room_in);
	pthread_mutex_unlock(&job.mutex);
	return err->code;
}

static void stop_watching(struct libvirt_run *run)
{
	pthread_mutex_lock(&job.mutex);
	run->stop = true;
	pthread_cond_signal(&run->stopped);
	pthread_mutex_unlock(&job.mutex);
	if (run->watching)
		pthread_join(run->watcher, NULL);
}

void libvirt_run_free(struct libvirt_run *run)
{
	if (run == NULL)
		return;
	end(run);
	stop_watching(run);
	if (!job.remains)
		scratch_files_remove(run->of.disks, run->of.options->scratch, run->id);
	pthread_mutex_lock(&job.mutex);
	guard_free(job.guard);
	job.guard = NULL;
	pthread_mutex_unlock(&job.mutex);
	stop_handle(NULL);
	close_scratches(run);
	if (run->lock >= 0)
		close(run->lock);
	if (run->socket != NULL)
		rundir_remove(run->socket);
	stop_guard_folder(NULL);
	pthread_cond_destroy(&run->stopped);
	free(run->folder);
	free(run->socket);
	free(run);
}
