#include "machine/qemu/speed.h"

#include "base/clock.h"
#include "cow/buffer.h"
#include "machine/qemu/names.h"
#include "machine/qemu/qmp.h"

#define FREE_FILL 250u	 /* thousandths of the buffer: below this, jobs have no limit */
#define SLOW_FILL 750u	 /* above this, they hardly run */
#define SLOWEST	  65536u /* bytes a second */
#define REST	  3	 /* times as long as QEMU took */
#define REST_MS	  1000	 /* at most */

/* For each further drive: so long may the buffer be fuller than FREE_FILL before jobs are told,
 * which takes long; their writes are held meanwhile. */
#define PATIENT_MS 5

void speed_begin(struct speed *speed, const struct buffer *buffer)
{
	*speed = (struct speed){.buffer = buffer, .measured_ms = clock_ms()};
	speed->free_ms = speed->measured_ms;
}

int64_t speed_rest(int64_t begun_ms)
{
	int64_t now = clock_ms(), rest = REST * (now - begun_ms);

	return now + (rest < REST_MS ? rest : REST_MS);
}

static void measure(struct speed *speed, uint64_t bytes)
{
	int64_t now = clock_ms();
	double seconds = (double)(now - speed->measured_ms) / 1000;

	if (seconds < 0.1)
		return;
	speed->out_rate +=
		((double)(bytes - speed->measured_bytes) / seconds - speed->out_rate) / 4;
	speed->measured_ms = now;
	speed->measured_bytes = bytes;
}

static uint64_t choose(const struct speed *speed)
{
	uint32_t fill = buffer_fill(speed->buffer);
	double part = (double)(SLOW_FILL - fill) / (SLOW_FILL - FREE_FILL);

	if (fill < FREE_FILL)
		return 0;
	if (fill >= SLOW_FILL || speed->out_rate * part < SLOWEST)
		return SLOWEST;
	return (uint64_t)(speed->out_rate * part);
}

/* A job that has just ended refuses, which does not matter. */
void speed_set(struct speed *speed, struct qmp *qmp, const char *id, unsigned n_drives,
	       uint64_t taken_bytes)
{
	uint64_t limit, old = speed->limit;
	int64_t now = clock_ms();
	struct error ignored;

	measure(speed, taken_bytes);
	limit = choose(speed);
	if (limit == 0)
		speed->free_ms = now;
	if (limit == old || (old != 0 && limit > old - old / 8 && limit < old + old / 8))
		return;
	if (old == 0 && now - speed->free_ms < (int64_t)(n_drives - 1) * PATIENT_MS)
		return;
	if (old != 0 && limit > old && now < speed->told_ms)
		return;
	speed->limit = limit;
	for (unsigned i = 0; i < n_drives && qmp_works(qmp); i++) {
		char name[NODE_NAME_SIZE];

		qmp_post(qmp, &ignored, "block-job-set-speed", "{s:s, s:I}", "device",
			 node_name(name, id, i), "speed",
			 (int64_t)(limit == 0 ? 0 : limit / n_drives + 1));
	}
	qmp_settle(qmp, NULL, &ignored);
	speed->told_ms = speed_rest(now);
}
