#include "cli/signals.h"

#include "base/child.h"
#include "base/newfile.h"
#include "base/stop.h"
#include "cli/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* A second signal within this time is taken for the first: timeout(1) sends its signal to the
 * program and then to its group, and init systems and terminals do the like. */
#define ONE_SIGNAL_MS 2000

static void (*_Atomic end_by)(void); /* NULL: none, or it was called */
static sigset_t ours;		     /* what the thread takes; set before it starts */
static bool taken;		     /* there is that thread */

static atomic_int noted;

int signals_noted(void)
{
	return atomic_load(&noted);
}

bool signals_taken(void)
{
	return taken;
}

void signals_end_by(void (*end)(void))
{
	atomic_store(&end_by, end);
}

void signals_abandon(void)
{
	newfile_abandon_all();
	child_kill_all();
	stop_remove_folder();
}

/* Ends the program by the signal itself, so that a shell sees what happened. */
static _Noreturn void die_by(int number)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t set;

	sigaction(number, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(128 + number);
}

void signals_end(void)
{
	signals_abandon();
	progress_abandon();
	die_by(signals_noted());
}

/* What is ignored from birth stays so: nohup, and background jobs of scripts, count on it. A
 * blocked signal would be taken by sigwait though it is ignored. */
static sigset_t choose_signals(void)
{
	static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction found;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		if (sigaction(ending[i], NULL, &found) == 0 && found.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	}
	return set;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static atomic_bool outliving;

void signals_outlive(void)
{
	atomic_store(&outliving, true);
}

static void *take_signals(void *unused)
{
	int64_t first_ms = 0;
	void (*end)(void);
	int number;

	(void)unused;
	for (;;) {
		if (sigwait(&ours, &number) != 0)
			continue;
		if (number == SIGUSR1) {
			progress_ask();
			continue;
		}
		if (atomic_load(&outliving) ||
		    (first_ms != 0 && now_ms() - first_ms < ONE_SIGNAL_MS))
			continue;
		end = atomic_exchange(&end_by, NULL);
		if (end != NULL) {
			first_ms = now_ms();
			atomic_store(&noted, number);
			end();
			continue;
		}
		first_ms = now_ms();
		if (stop_by(number) == STOP_UNWINDS)
			continue;
		signals_abandon();
		progress_abandon();
		die_by(number);
	}
	return NULL;
}

void signals_start(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	pthread_t thread;

	/* Ignored from birth, the kernel would throw away how children ended. */
	signal(SIGCHLD, SIG_DFL);
	/* A reader that has gone, a limit on the size of files: the call fails, and that is told.
	 */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	ours = choose_signals();
	pthread_sigmask(SIG_BLOCK, &ours, NULL);
	/* Without that thread the defaults must do. */
	taken = pthread_create(&thread, NULL, take_signals, NULL) == 0;
	if (!taken)
		pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
	else
		pthread_detach(thread);
}
