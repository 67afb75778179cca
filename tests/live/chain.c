#include "tests/live/chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LITTLE_PART (16u * CHAIN_ALIGN_MAX)

/* splitmix64, by Sebastiano Vigna, in the public domain. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t next(uint64_t *state)
{
	return mix((*state)++);
}

static uint64_t state_of(const struct chain_set *set, uint32_t chain, uint32_t drive,
			 uint64_t operation)
{
	return mix(mix(set->seed) ^ mix((uint64_t)chain << 32 | drive) ^ mix(~operation));
}

const char *chain_check(const struct chain_set *set)
{
	if (set->n_chains < 1 || set->n_chains > CHAIN_CHAINS_MAX)
		return "1 to 64 chains";
	if (set->n_drives < 1 || set->n_drives > CHAIN_DRIVES_MAX)
		return "1 to 8 drives";
	if (set->align < 1 || set->align > CHAIN_ALIGN_MAX || (set->align & (set->align - 1)))
		return "an alignment is a power of two up to 4096";
	if (set->longest < CHAIN_ALIGN_MAX || set->longest > CHAIN_LONGEST_MAX)
		return "the longest request is 4 KiB to 32 MiB";
	for (uint32_t i = 0; i < set->n_drives; i++) {
		if (set->size_bytes[i] / set->n_chains < LITTLE_PART + 2 * CHAIN_ALIGN_MAX)
			return "a drive is too small for so many chains";
	}
	return NULL;
}

uint32_t chain_header_size(const struct chain_set *set)
{
	return set->align > CHAIN_HEADER_MIN ? set->align : CHAIN_HEADER_MIN;
}

void chain_part(const struct chain_set *set, uint32_t chain, uint32_t drive, uint64_t *from,
		uint64_t *to)
{
	uint64_t size = set->size_bytes[drive], each = size / set->n_chains;
	uint64_t mask = ~((uint64_t)chain_header_size(set) - 1);

	*from = chain == 0 ? 0 : (each * chain + 3 * CHAIN_ALIGN_MAX + CHAIN_HEADER_MIN) & mask;
	*to = (each * (chain + 1) + 3 * CHAIN_ALIGN_MAX + CHAIN_HEADER_MIN) & mask;
	if (chain + 1 == set->n_chains)
		*to = size & ~((uint64_t)set->align - 1);
}

/* Most requests are short, as a guest's are; some are long. */
static uint64_t random_length(uint64_t *state)
{
	uint64_t choice = next(state) % 64;

	if (choice < 28)
		return 4096 * (1 + next(state) % 4);
	if (choice < 48)
		return 1 + next(state) % 8192;
	if (choice < 58)
		return 1 + next(state) % 65536;
	if (choice < 63)
		return 1 + next(state) % (5 * 65536);
	return 1 + next(state) % (32 * 65536);
}

static enum step_kind random_kind(const struct chain_set *set, uint64_t *state)
{
	uint64_t choice = next(state) % 16;

	if (choice == 0 && set->trims)
		return STEP_TRIM;
	if (choice <= 2 && set->zeroes)
		return STEP_ZERO;
	return STEP_WRITE;
}

void chain_data(const struct chain_set *set, uint32_t chain, uint32_t drive, uint64_t operation,
		struct step *out)
{
	uint64_t state = state_of(set, chain, drive, operation);
	uint64_t from, to, n, mask = set->align - 1;

	chain_part(set, chain, drive, &from, &to);
	from += chain_header_size(set);
	n = (random_length(&state) + mask) & ~mask;
	if (n > set->longest)
		n = set->longest & ~mask;
	if (n > (to - from) / 2)
		n = (to - from) / 2 & ~mask;
	uint64_t offset = (from + next(&state) % (to - from - n + 1)) & ~mask;
	uint64_t page = offset & ~(uint64_t)(CHAIN_ALIGN_MAX - 1);
	if (next(&state) % 2 && page >= from) /* half of them as a file system's */
		offset = page;
	*out = (struct step){
		.chain = chain,
		.drive = drive,
		.operation = operation,
		.kind = random_kind(set, &state),
		.offset = offset,
		.n = (uint32_t)n,
		.pattern = next(&state) % 16 == 0 ? 0 : state, /* 0: a write of zeros */
	};
}

void chain_header(const struct chain_set *set, uint32_t chain, uint32_t drive, uint64_t operation,
		  struct step *out)
{
	uint64_t from, to;

	chain_part(set, chain, drive, &from, &to);
	*out = (struct step){
		.chain = chain,
		.drive = drive,
		.operation = operation,
		.header = true,
		.kind = STEP_WRITE,
		.offset = from,
		.n = chain_header_size(set),
		.pattern = state_of(set, chain, drive, operation),
	};
}

void chain_step(const struct chain_set *set, uint32_t chain, uint64_t place, struct step *out)
{
	uint64_t operation = place / (2 * set->n_drives) + 1;
	uint32_t drive = (uint32_t)(place % (2 * set->n_drives) / 2);

	if (place % 2 == 0)
		chain_data(set, chain, drive, operation, out);
	else
		chain_header(set, chain, drive, operation, out);
}

uint64_t chain_steps_of(const struct chain_set *set, uint32_t drive, uint64_t n_steps)
{
	uint64_t round = 2 * set->n_drives, whole = n_steps / round, rest = n_steps % round;
	uint64_t before = 2 * drive;

	return 2 * whole + (rest <= before ? 0 : rest - before > 2 ? 2 : rest - before);
}

void chain_fill(const struct chain_set *set, const struct step *step, uint8_t *bytes)
{
	uint64_t state = step->pattern;
	uint32_t at = 0;

	if (step->pattern == 0) {
		memset(bytes, 0, step->n);
		return;
	}
	for (; at + 8 <= step->n; at += 8) {
		uint64_t word = next(&state);
		memcpy(bytes + at, &word, 8);
	}
	for (; at < step->n; at++)
		bytes[at] = (uint8_t)next(&state);
	if (!step->header)
		return;
	memset(bytes, 0, CHAIN_HEADER_MIN / 2);
	snprintf((char *)bytes, CHAIN_HEADER_MIN / 2,
		 "dependent writers 1: seed %" PRIu64 " chain %u of %u drive %u of %u "
		 "align %u longest %u zeroes %d trims %d operation %" PRIu64 "\n",
		 set->seed, step->chain, set->n_chains, step->drive, set->n_drives, set->align,
		 set->longest, set->zeroes, set->trims, step->operation);
}

bool chain_parse(const uint8_t *bytes, struct chain_set *out, uint32_t *chain, uint32_t *drive,
		 uint64_t *operation)
{
	char text[CHAIN_HEADER_MIN / 2 + 1] = "";
	int zeroes, trims;

	memcpy(text, bytes, CHAIN_HEADER_MIN / 2);
	memset(out, 0, sizeof *out);
	if (sscanf(text,
		   "dependent writers 1: seed %" SCNu64 " chain %u of %u drive %u of %u "
		   "align %u longest %u zeroes %d trims %d operation %" SCNu64,
		   &out->seed, chain, &out->n_chains, drive, &out->n_drives, &out->align,
		   &out->longest, &zeroes, &trims, operation) != 10)
		return false;
	out->zeroes = zeroes == 1;
	out->trims = trims == 1;
	return true;
}

bool chain_same(const struct chain_set *a, const struct chain_set *b)
{
	return a->seed == b->seed && a->n_chains == b->n_chains && a->n_drives == b->n_drives &&
	       a->align == b->align && a->longest == b->longest && a->zeroes == b->zeroes &&
	       a->trims == b->trims;
}
