#include "base/stop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t returned;
	enum stop_next (*handler)(void); /* NULL: none, or it was called */
	unsigned n_running;
	enum stop_next next; /* what the last one returned */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .returned = PTHREAD_COND_INITIALIZER};

static _Atomic(const char *) folder;
static atomic_int signal_number;

void stop_handle(enum stop_next (*handler)(void))
{
	pthread_mutex_lock(&state.lock);
	state.handler = handler;
	pthread_mutex_unlock(&state.lock);
}

void stop_guard_folder(const char *path)
{
	atomic_store(&folder, path);
}

void stop_remove_folder(void)
{
	const char *path = atomic_load(&folder);

	if (path != NULL)
		rmdir(path);
}

enum stop_next stop_by(int number)
{
	enum stop_next (*handler)(void);
	enum stop_next next;

	pthread_mutex_lock(&state.lock);
	handler = state.handler;
	state.handler = NULL;
	if (handler != NULL) {
		state.n_running++;
		atomic_store(&signal_number, number);
	}
	pthread_mutex_unlock(&state.lock);
	if (handler == NULL)
		return STOP_NOW;
	next = handler();
	pthread_mutex_lock(&state.lock);
	state.n_running--;
	state.next = next;
	pthread_cond_broadcast(&state.returned);
	pthread_mutex_unlock(&state.lock);
	return next;
}

void stop_keep_going(bool on)
{
	static const int numbers[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	static struct sigaction before[sizeof(numbers) / sizeof(numbers[0])];
	static bool is_on;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	pthread_mutex_lock(&state.lock);
	for (size_t i = 0; on != is_on && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], on ? &ignore : &before[i], on ? &before[i] : NULL);
	is_on = on;
	pthread_mutex_unlock(&state.lock);
}

int stop_signal(void)
{
	return atomic_load(&signal_number);
}

bool stop_ends_process(void)
{
	bool ends;

	if (stop_signal() == 0)
		return false;
	pthread_mutex_lock(&state.lock);
	while (state.n_running > 0)
		pthread_cond_wait(&state.returned, &state.lock);
	ends = state.next == STOP_NOW;
	pthread_mutex_unlock(&state.lock);
	return ends;
}
