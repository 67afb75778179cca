#include "cow/capture_state.h"

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 8)
		return (unsigned)ns;
	unsigned power = 63u - (unsigned)__builtin_clzll(ns);
	return (power - 2) * 8 + (unsigned)(ns >> (power - 3) & 7);
}

static uint64_t end_of(unsigned bucket)
{
	if (bucket < 8)
		return bucket;
	return ((uint64_t)(bucket % 8 + 9) << (bucket / 8 - 1)) - 1;
}

void delays_add(struct delay_counts *delays, uint64_t ns)
{
	if (ns == 0) {
		atomic_fetch_add_explicit(&delays->none, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&delays->counts[bucket_of(ns)], 1, memory_order_relaxed);
	uint64_t max = atomic_load_explicit(&delays->max_ns, memory_order_relaxed);
	while (ns > max && !atomic_compare_exchange_weak(&delays->max_ns, &max, ns))
		;
}

void delays_sum_up(const struct delay_counts *delays, struct delays *out)
{
	uint64_t seen = delays->none, max = delays->max_ns;
	struct delays sum = {.n = seen, .max_ns = max};

	for (unsigned i = 0; i < DELAY_BUCKETS; i++)
		sum.n += delays->counts[i];
	for (unsigned i = 0; i < DELAY_BUCKETS; i++) {
		uint64_t n = delays->counts[i], end = end_of(i) < max ? end_of(i) : max;
		/* The smallest value that this share of all delays does not exceed. */
		if (seen * 100 < sum.n * 50 && (seen + n) * 100 >= sum.n * 50)
			sum.p50_ns = end;
		if (seen * 100 < sum.n * 99 && (seen + n) * 100 >= sum.n * 99)
			sum.p99_ns = end;
		seen += n;
	}
	*out = sum;
}
