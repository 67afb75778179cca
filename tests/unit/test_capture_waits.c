/*
 * The capture: who waits for whom, and what is held at the instant.
 */
#include "base/clock.h"
#include "cow/capture_state.h"
#include "tests/unit/one_capture.h"

#include <semaphore.h>
#include <stdatomic.h>

static sem_t reached, go_on;
static uint64_t blocked_cluster;

static void block(struct fake_drive *drive, uint64_t offset, uint64_t n)
{
	(void)drive;
	uint64_t cluster = blocked_cluster * CLUSTER_SIZE;

	if (offset <= cluster && cluster - offset < n) {
		sem_post(&reached);
		sem_wait(&go_on);
	}
}

static sem_t begun;

static void *say_and_write(void *context)
{
	sem_post(&begun);
	return write_it(context);
}

static void *step_once(void *context)
{
	struct error mine;

	(void)context;
	return (void *)(intptr_t)capture_step(capture, &mine);
}

/* While the pass reads some clusters a write to one of them waits, a write to any other does not.
 */
static void a_guest_waits_for_one_read_only(void)
{
	uint64_t same = 5;
	pthread_t pass, guest;

	make_volume(100);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	blocked_cluster = 5;
	fake.before_read = block;
	begin(0, FULL_FAIL);
	pthread_create(&pass, NULL, step_once, NULL);
	sem_wait(&reached);
	CU_ASSERT_EQUAL(write_cluster(5, DRIVE_NOW), EAGAIN);
	sem_init(&begun, 0, 0);
	pthread_create(&guest, NULL, say_and_write, &same);
	sem_wait(&begun);
	CU_ASSERT_FALSE(is_over(guest, 50));
	CU_ASSERT_EQUAL(write_cluster(20, 0), 0); /* in the same window */
	CU_ASSERT_EQUAL(write_cluster(99, 0), 0);
	CU_ASSERT_EQUAL(fake.n_changes, 2);
	sem_post(&go_on);
	CU_ASSERT(is_over(guest, 5000));
	CU_ASSERT(is_over(pass, 5000));
	CU_ASSERT_EQUAL(fake.n_changes, 3);
	CU_ASSERT_EQUAL(fake.n_reads[5], 1);
	/* It waited for 50 ms less what a busy machine took to let it begin. */
	CU_ASSERT(status_now().delays.max_ns > 1000000);
	CU_ASSERT(status_now().delays.p50_ns < status_now().delays.max_ns);
	CU_ASSERT(complete());
	end();
	free_volume();
}

/* And the pass does not wait for a guest's read at all. */
static void the_pass_goes_round_a_guest(void)
{
	uint64_t same = 5, n = 0;
	pthread_t guest;

	make_volume(100);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	blocked_cluster = 5;
	fake.before_read = block;
	begin(0, FULL_FAIL);
	pthread_create(&guest, NULL, write_it, &same);
	sem_wait(&reached);
	while (capture_step(capture, &err) > 0)
		empty_buffer(&n);
	CU_ASSERT_EQUAL(n, 99);
	CU_ASSERT_EQUAL(status_now().todo_clusters, 1);
	sem_post(&go_on);
	CU_ASSERT(is_over(guest, 5000));
	empty_buffer(&n);
	CU_ASSERT_EQUAL(n, 100);
	end();
	free_volume();
}

static uint8_t peeked[CLUSTER_SIZE];

static void *peek_at_it(void *context)
{
	struct error mine;

	return (void *)(intptr_t)capture_peek(capture, 0, *(uint64_t *)context, peeked, &mine);
}

/* A reader of a snapshot holds up a guest for its one read, and leaves it to save the cluster. */
static void a_guest_waits_for_a_peek(void)
{
	uint64_t same = 5, n = 0;
	pthread_t reader, guest;
	bool zeros;

	make_volume(100);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	blocked_cluster = 5;
	fake.before_read = block;
	begin(0, FULL_FAIL);
	pthread_create(&reader, NULL, peek_at_it, &same);
	sem_wait(&reached);
	fake.before_read = NULL;
	sem_init(&begun, 0, 0);
	pthread_create(&guest, NULL, say_and_write, &same);
	sem_wait(&begun);
	CU_ASSERT_FALSE(is_over(guest, 50));
	CU_ASSERT_EQUAL(fake.n_changes, 0);
	CU_ASSERT_EQUAL(capture_peek_zeros(capture, 0, 5, &n, &zeros, &err), 1);
	sem_post(&go_on);
	CU_ASSERT(is_over(reader, 5000));
	CU_ASSERT(is_over(guest, 5000));
	CU_ASSERT_EQUAL(fake.n_changes, 1);
	CU_ASSERT_NOT_EQUAL(memcmp(peeked, bytes, CLUSTER_SIZE), 0);
	CU_ASSERT_EQUAL(status_now().saved_clusters, 1);
	CU_ASSERT_EQUAL(capture_peek(capture, 0, 5, peeked, &err), 0);
	CU_ASSERT_EQUAL(capture_peek_zeros(capture, 0, 5, &n, &zeros, &err), 0);
	CU_ASSERT_EQUAL(capture_peek_zeros(capture, 0, 3, &n, &zeros, &err), 1);
	CU_ASSERT(n <= 2 && !zeros);
	CU_ASSERT_EQUAL(capture_peek(capture, 0, 6, peeked, &err), 1);
	n = 0;
	CU_ASSERT_EQUAL(empty_buffer(&n), 2);
	CU_ASSERT_EQUAL(n, 1);
	end();
	free_volume();
}

static void without_waiting(void)
{
	make_volume(10);
	CU_ASSERT_EQUAL(write_cluster(1, DRIVE_NOW), 0);
	begin(0, FULL_FAIL);
	/* The drive has this one at hand, not that one. */
	CU_ASSERT_EQUAL(write_cluster(1, DRIVE_NOW), 0);
	CU_ASSERT_EQUAL(fake.n_reads[1], 1);
	CU_ASSERT_EQUAL(write_cluster(3, DRIVE_NOW), EAGAIN);
	CU_ASSERT_EQUAL(fake.n_reads[3], 0);
	CU_ASSERT_EQUAL(write_cluster(3, 0), 0);
	CU_ASSERT_EQUAL(write_cluster(3, DRIVE_NOW), 0);
	CU_ASSERT_EQUAL(fake.n_reads[3], 1);
	CU_ASSERT_EQUAL(status_now().saved_clusters, 2);
	CU_ASSERT_EQUAL(status_now().delays.n, 3);
	CU_ASSERT_EQUAL(volume_zero(volume, 0, 10, DRIVE_NOW), EAGAIN);
	CU_ASSERT_EQUAL(volume_trim(volume, 0, 10, DRIVE_NOW), EAGAIN);
	end();
	CU_ASSERT_EQUAL(write_cluster(2, DRIVE_NOW), 0);
	free_volume();
}

/* ---- the instant ---- */

/* A write that hangs: there is no capture, and the others go on when the time is up. */
static void an_instant_that_does_not_come(void)
{
	const struct capture_options soon = {.drain_ms = 100};
	const struct buffer_options options = {.n_chunks = 4};
	uint64_t cluster = 5;
	pthread_t guest;

	make_volume(10);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	blocked_cluster = 5;
	fake.before_change = block;
	pthread_create(&guest, NULL, write_it, &cluster);
	sem_wait(&reached);
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	CU_ASSERT_EQUAL(capture_begin(&capture, &volume, 1, buffer, &soon, &err), ERR_SYSTEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "v: a write has been in flight for 100 ms"));
	buffer_free(buffer);
	CU_ASSERT_EQUAL(write_cluster(6, 0), 0);
	sem_post(&go_on);
	CU_ASSERT(is_over(guest, 5000));
	fake.before_change = NULL;
	begin(0, FULL_FAIL);
	CU_ASSERT(complete());
	end();
	free_volume();
}

struct beginning {
	pthread_t thread;
	int rc;
};

static void *begin_capture(void *context)
{
	struct beginning *beginning = context;
	struct error mine;

	beginning->rc = capture_begin(&capture, &volume, 1, buffer, &plain, &mine);
	return NULL;
}

/* While it waits for one write in flight, the others are held; and let go with the instant. */
static void writes_are_held_at_the_instant(void)
{
	const struct buffer_options options = {.n_chunks = 4};
	const struct timespec moment = {.tv_nsec = 1000000};
	uint64_t cluster = 5, other = 6;
	struct beginning beginning = {.rc = 1};
	pthread_t guest, second;

	make_volume(10);
	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	blocked_cluster = 5;
	fake.before_change = block;
	pthread_create(&guest, NULL, write_it, &cluster);
	sem_wait(&reached);
	CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
	pthread_create(&beginning.thread, NULL, begin_capture, &beginning);
	while (write_cluster(7, DRIVE_NOW) == 0)
		nanosleep(&moment, NULL);
	uint64_t before = fake.n_changes;
	pthread_create(&second, NULL, write_it, &other);
	CU_ASSERT_FALSE(is_over(second, 50));
	CU_ASSERT_EQUAL(fake.n_changes, before);
	fake.counting = true;
	sem_post(&go_on);
	CU_ASSERT(is_over(beginning.thread, 5000));
	CU_ASSERT_EQUAL_FATAL(beginning.rc, 0);
	CU_ASSERT(is_over(second, 5000) && is_over(guest, 5000));
	/* The one in flight came before the instant, the one that was held after it. */
	CU_ASSERT_EQUAL(fake.n_reads[5], 0);
	CU_ASSERT_EQUAL(fake.n_reads[6], 1);
	CU_ASSERT(status_now().quiesce_ns > 40 * 1000000);
	end();
	free_volume();
}

static atomic_bool hammering;
static _Atomic unsigned n_turned_back;

static void *hammer(void *context)
{
	while (hammering)
		n_turned_back += write_cluster(*(uint64_t *)context, DRIVE_NOW) == EAGAIN;
	return NULL;
}

/* Requests that find the gate closed count as in flight for a moment, over and over; that must not
 * be taken for one that does not end. */
static void those_turned_back_are_not_in_flight(void)
{
	uint64_t clusters[] = {0, 1};
	pthread_t guests[2];
	bool drained = true;

	make_volume(2);
	hammering = true;
	for (int i = 0; i < 2; i++)
		pthread_create(&guests[i], NULL, hammer, &clusters[i]);
	volume_hold(volume);
	for (unsigned n = 0; n < 200000 || n_turned_back < 2000; n++)
		drained = volume_drain(volume, clock_ms() + 60000) && drained;
	CU_ASSERT(drained);
	volume_let_go(volume);
	hammering = false;
	for (int i = 0; i < 2; i++)
		pthread_join(guests[i], NULL);
	free_volume();
}

static struct volume *both[2];

static void *begin_both(void *context)
{
	struct beginning *beginning = context;
	struct error mine;

	beginning->rc = capture_begin(&capture, both, 2, buffer, &plain, &mine);
	return NULL;
}

static void *write_to(void *context)
{
	return (void *)(intptr_t)volume_write(context, 0, bytes, CLUSTER_SIZE, 0);
}

/* While one drive is still waited for, nothing may begin on the other, whichever comes first: it
 * would come after the instant of its own drive, and what follows from it on this one before. */
static void all_drives_have_one_instant(void)
{
	const struct buffer_options options = {.n_chunks = 4};
	const struct timespec moment = {.tv_nsec = 20000000};

	for (int busy = 0; busy < 2; busy++) {
		struct beginning beginning = {.rc = 1};
		pthread_t in_flight, other;
		struct fake_drive second;
		make_volume(3);
		fake_make(&second, CLUSTER_SIZE);
		both[busy] = volume;
		CU_ASSERT_EQUAL_FATAL(volume_new(&both[!busy], "w", &second.drive, NULL, &err), 0);
		sem_init(&reached, 0, 0);
		sem_init(&go_on, 0, 0);
		blocked_cluster = 0;
		fake.before_change = block;
		pthread_create(&in_flight, NULL, write_to, volume);
		sem_wait(&reached);
		CU_ASSERT_EQUAL_FATAL(buffer_new(&buffer, &options, &err), 0);
		pthread_create(&beginning.thread, NULL, begin_both, &beginning);
		nanosleep(&moment, NULL);
		pthread_create(&other, NULL, write_to, both[!busy]);
		CU_ASSERT_FALSE(is_over(other, 50));
		sem_post(&go_on);
		CU_ASSERT(is_over(beginning.thread, 5000) && beginning.rc == 0);
		CU_ASSERT(is_over(other, 5000) && is_over(in_flight, 5000));
		end();
		volume_free(both[!busy]);
		fake_free(&second);
		free_volume();
	}
}

static void one_capture_at_a_time(void)
{
	struct fake_drive second;
	struct capture *other = NULL;

	make_volume(10);
	fake_make(&second, CLUSTER_SIZE);
	both[1] = volume;
	CU_ASSERT_EQUAL_FATAL(volume_new(&both[0], "w", &second.drive, NULL, &err), 0);
	begin(0, FULL_FAIL);
	CU_ASSERT_EQUAL(capture_begin(&other, &volume, 1, buffer, &plain, &err), ERR_LOCKED);
	CU_ASSERT_EQUAL(capture_begin(&other, both, 2, buffer, &plain, &err), ERR_LOCKED);
	/* The first of both is free again, though. */
	CU_ASSERT_EQUAL(capture_begin(&other, both, 1, buffer, &plain, &err), 0);
	capture_end(other);
	end();
	begin(0, FULL_FAIL);
	CU_ASSERT(complete());
	end();
	volume_free(both[0]);
	fake_free(&second);
	free_volume();
}

void test_capture_waits(void)
{
	CU_pSuite suite = CU_add_suite("capture: who waits", NULL, NULL);

	CU_ADD_TEST(suite, a_guest_waits_for_one_read_only);
	CU_ADD_TEST(suite, the_pass_goes_round_a_guest);
	CU_ADD_TEST(suite, a_guest_waits_for_a_peek);
	CU_ADD_TEST(suite, without_waiting);
	CU_ADD_TEST(suite, an_instant_that_does_not_come);
	CU_ADD_TEST(suite, writes_are_held_at_the_instant);
	CU_ADD_TEST(suite, those_turned_back_are_not_in_flight);
	CU_ADD_TEST(suite, all_drives_have_one_instant);
	CU_ADD_TEST(suite, one_capture_at_a_time);
}
