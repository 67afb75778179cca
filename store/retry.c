#include "store/retry.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/random.h>

#define WAIT_MS	    250 /* before the second try; then twice as long each time */
#define STALL_S	    30
#define WAIT_MAX_MS 20000u
#define STEP_MS	    100

/* A number in the environment, if it is one from 1 to 1000. */
static unsigned setting(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);
	unsigned long n = text != NULL ? strtoul(text, NULL, 10) : 0;

	return n >= 1 && n <= 1000 ? (unsigned)n : otherwise;
}

long retry_stall_s(void)
{
	return setting("VMABAK_STALL_S", STALL_S);
}

bool retry_helps(int status)
{
	return status == 0 || status == 408 || status == 429 ||
	       (status >= 500 && status != 501 && status != 507);
}

void retry_wait(unsigned n_tried, const atomic_bool *stop)
{
	unsigned most = setting("VMABAK_RETRY_MS", WAIT_MS) << (n_tried < 8 ? n_tried - 1 : 7),
		 chance = 0;
	int64_t until;

	most = most < WAIT_MAX_MS ? most : WAIT_MAX_MS;
	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		chance = 0;
	until = clock_ms() + most / 2 + chance % (most / 2 + 1);
	for (int64_t left; (left = until - clock_ms()) > 0 && !atomic_load(stop);)
		clock_sleep_ms(left < STEP_MS ? left : STEP_MS);
}
