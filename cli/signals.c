#include "cli/signals.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/newfile.h"
#include "base/stop.h"
#include "store/store.h"
#include "cli/progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* timeout(1) sends its signal to the program and then to its group; init systems and terminals do
 * much the same. */
#define ONE_SIGNAL_MS 2000

static sigset_t ours; /* what the thread receives; set before it starts */
static bool taken;    /* whether that thread exists */
static atomic_bool outliving;

static struct {
	pthread_mutex_t lock; /* guards the rest; held while tell runs, so that context is there */
	void (*tell)(const void *context, int number, bool in_vain);
	const void *context;
} last_words = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool signals_taken(void)
{
	return taken;
}

void signals_outlive(void)
{
	atomic_store(&outliving, true);
}

bool signals_abandon(void)
{
	bool in_vain = newfile_abandon_all();

	child_kill_all();
	store_abandon_all();
	stop_remove_folder();
	return in_vain;
}

void signals_tell(void (*tell)(const void *context, int number, bool in_vain), const void *context)
{
	pthread_mutex_lock(&last_words.lock);
	last_words.tell = tell;
	last_words.context = context;
	pthread_mutex_unlock(&last_words.lock);
}

/* Ends the program by the signal itself, so that a shell sees what happened. */
static _Noreturn void end_by(int number)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	bool in_vain = signals_abandon();
	sigset_t set;

	progress_abandon();
	pthread_mutex_lock(&last_words.lock); /* for good: the other thread that ends waits here */
	if (last_words.tell != NULL)
		last_words.tell(last_words.context, number, in_vain);
	sigaction(number, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(128 + number);
}

void signals_finish(void)
{
	if (stop_ends_process())
		end_by(stop_signal());
}

static void *act(void *number)
{
	if (stop_by((int)(intptr_t)number) == STOP_NOW)
		end_by((int)(intptr_t)number);
	return NULL;
}

/* On a thread of its own: handlers may block, and a later signal ends the program even then. */
static void act_elsewhere(int number)
{
	void *argument = (void *)(intptr_t)number;
	pthread_t thread;

	if (pthread_create(&thread, NULL, act, argument) == 0)
		pthread_detach(thread);
	else
		act(argument);
}

static void *receive_signals(void *unused)
{
	int64_t last_ms = -ONE_SIGNAL_MS;
	int number;

	(void)unused;
	for (;;) {
		if (sigwait(&ours, &number) != 0)
			continue;
		if (number == SIGUSR1) {
			progress_ask();
		} else if (!atomic_load(&outliving) && clock_ms() - last_ms >= ONE_SIGNAL_MS) {
			last_ms = clock_ms();
			act_elsewhere(number);
		}
	}
	return NULL;
}

/* A signal that was ignored from the start stays ignored: nohup, and background jobs of scripts,
 * count on it. Blocked, it would be received by sigwait all the same. */
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

void signals_start(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	pthread_t thread;

	/* While it is ignored the kernel throws away the exit codes of children. */
	signal(SIGCHLD, SIG_DFL);
	/* A closed pipe, a limit on the size of files: the call fails, and the error is reported.
	 */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	ours = choose_signals();
	pthread_sigmask(SIG_BLOCK, &ours, NULL);
	taken = pthread_create(&thread, NULL, receive_signals, NULL) == 0;
	if (taken)
		pthread_detach(thread);
	else
		pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}
