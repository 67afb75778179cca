/* What a signal has an operation do first. The state is that of one process, so the order matters.
 */
#include "base/clock.h"
#include "base/stop.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

static atomic_int n_called;

static enum stop_next ends(void)
{
	n_called++;
	return STOP_ENDS;
}

/* As one that cleans up. */
static enum stop_next slow(void)
{
	clock_sleep_ms(50);
	n_called++;
	return STOP_NOW;
}

static void nothing_to_be_done(void)
{
	CU_ASSERT_EQUAL(stop_by(SIGTERM), STOP_NOW);
	CU_ASSERT_EQUAL(stop_signal(), 0);
	CU_ASSERT_FALSE(stop_ends_process());
	stop_handle(ends);
	stop_handle(NULL);
	CU_ASSERT_EQUAL(stop_by(SIGTERM), STOP_NOW);
	CU_ASSERT_EQUAL(n_called, 0);
}

static void a_handler_is_called_once(void)
{
	stop_handle(ends);
	CU_ASSERT_EQUAL(stop_by(SIGINT), STOP_ENDS);
	CU_ASSERT_EQUAL(stop_signal(), SIGINT);
	CU_ASSERT_FALSE(stop_ends_process());
	CU_ASSERT_EQUAL(stop_by(SIGTERM), STOP_NOW);
	CU_ASSERT_EQUAL(stop_signal(), SIGINT);
	CU_ASSERT_EQUAL(n_called, 1);
}

static void *receive(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)stop_by(SIGHUP);
}

static void its_end_is_waited_for(void)
{
	pthread_t thread;
	void *next;

	stop_handle(slow);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, receive, NULL), 0);
	while (stop_signal() != SIGHUP)
		clock_sleep_ms(1);
	CU_ASSERT_TRUE(stop_ends_process());
	CU_ASSERT_EQUAL(n_called, 2);
	pthread_join(thread, &next);
	CU_ASSERT_EQUAL((intptr_t)next, STOP_NOW);
}

void test_stop(void)
{
	CU_pSuite suite = CU_add_suite("stop", NULL, NULL);

	CU_ADD_TEST(suite, nothing_to_be_done);
	CU_ADD_TEST(suite, a_handler_is_called_once);
	CU_ADD_TEST(suite, its_end_is_waited_for);
}
