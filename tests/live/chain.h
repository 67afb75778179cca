/*
 * Dependent writers: what they write, and what of it a captured image may show.
 *
 * A chain is a list of operations that never ends: operation n goes to drive 0, when it is
 * answered operation n goes to drive 1, and so on; after the last drive comes n + 1 on drive 0. An
 * operation is two requests, one after the other: the data, that is a write, zeros or a trim
 * anywhere in the chain's part of the drive, and then the header, a block at the start of that part
 * that says n. Each request is a step. At any one instant the drives show all steps up to one, and
 * none after it; an image that shows anything else is not that of an instant.
 *
 * All of a step follows from struct chain_set and its place in the chain. The set is written in
 * every header, so whoever has the drives as they were and an image needs nothing else.
 */
#ifndef TESTS_LIVE_CHAIN_H
#define TESTS_LIVE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_DRIVES_MAX  8u
#define CHAIN_CHAINS_MAX  64u
#define CHAIN_HEADER_MIN  512u
#define CHAIN_ALIGN_MAX	  4096u
#define CHAIN_LONGEST_MAX (32u << 20)

/* Parts of drives are not on the grain of clusters: neighbouring chains share a cluster. */
struct chain_set {
	uint64_t seed;
	uint32_t n_chains; /* each has its own part of every drive */
	uint32_t n_drives;
	uint32_t align;	  /* of offsets and lengths: a power of two, 1 to CHAIN_ALIGN_MAX */
	uint32_t longest; /* bytes in a request, at most */
	bool zeroes, trims;
	uint64_t size_bytes[CHAIN_DRIVES_MAX];
};

enum step_kind { STEP_WRITE, STEP_ZERO, STEP_TRIM };

struct step {
	uint32_t chain, drive;
	uint64_t operation; /* from 1; the header of 0 says that nothing was done yet */
	bool header;
	enum step_kind kind;
	uint64_t offset;
	uint32_t n; /* bytes */
	uint64_t pattern;
};

/* What is wrong with a set, or NULL. */
const char *chain_check(const struct chain_set *set);

/* The part of the drive that belongs to a chain. */
void chain_part(const struct chain_set *set, uint32_t chain, uint32_t drive, uint64_t *from,
		uint64_t *to);

void chain_data(const struct chain_set *set, uint32_t chain, uint32_t drive, uint64_t operation,
		struct step *out);
void chain_header(const struct chain_set *set, uint32_t chain, uint32_t drive, uint64_t operation,
		  struct step *out);
/* By its place in the chain, from 0. */
void chain_step(const struct chain_set *set, uint32_t chain, uint64_t place, struct step *out);
/* How many of the first steps of a chain go to this drive. */
uint64_t chain_steps_of(const struct chain_set *set, uint32_t drive, uint64_t n_steps);

/* The bytes of a step that writes, n of them. */
void chain_fill(const struct chain_set *set, const struct step *step, uint8_t *bytes);

uint32_t chain_header_size(const struct chain_set *set);
/* What a header says; *out has no sizes then. bytes: CHAIN_HEADER_MIN. False: it is no header. */
bool chain_parse(const uint8_t *bytes, struct chain_set *out, uint32_t *chain, uint32_t *drive,
		 uint64_t *operation);
/* Whether two sets give the same steps on drives of the same sizes. */
bool chain_same(const struct chain_set *a, const struct chain_set *b);

#endif
