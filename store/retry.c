#include "store/retry.h"

#include "base/clock.h"

#include <sys/random.h>

#define WAIT_MS	    250u /* before the second try; then twice as long each time */
#define WAIT_MAX_MS 20000u
#define STEP_MS	    100u

bool retry_helps(int status)
{
	return status == 0 || status == 408 || status == 429 ||
	       (status >= 500 && status != 501 && status != 507);
}

void retry_wait(unsigned n_tried, const atomic_bool *stop)
{
	unsigned most = WAIT_MS << (n_tried < 8 ? n_tried - 1 : 7), chance = 0;
	int64_t until;

	most = most < WAIT_MAX_MS ? most : WAIT_MAX_MS;
	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		chance = 0;
	until = clock_ms() + most / 2 + chance % (most / 2 + 1);
	while (clock_ms() < until && !atomic_load(stop))
		clock_sleep_ms(STEP_MS);
}
