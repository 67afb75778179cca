/* The options that the writers have in common. */
#ifndef TESTS_LIVE_OPTIONS_H
#define TESTS_LIVE_OPTIONS_H

#include "tests/live/chain.h"

struct writer_options {
	struct chain_set set;	/* without sizes */
	uint64_t operations;	/* of each chain; 0: until SIGTERM or SIGINT */
	uint64_t rate;		/* requests a second, all chains together; 0: as fast as it goes */
	uint32_t n_connections; /* to each drive */
	bool resume;		/* go on where the headers say, instead of from 0 */
	bool direct;		/* files: O_DIRECT */
	char **drives;
};

/* Ends the program when they are wrong. */
void options_read(struct writer_options *out, int argc, char **argv);

#endif
