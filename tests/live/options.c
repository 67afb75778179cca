#include "tests/live/options.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

static uint64_t number(const char *text, uint64_t most)
{
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || n > most)
		errx(2, "%s: not a number up to %llu", text, (unsigned long long)most);
	return n;
}

static const struct option known[] = {
	{"seed", 1, NULL, 's'},	       {"chains", 1, NULL, 'c'},    {"align", 1, NULL, 'a'},
	{"longest", 1, NULL, 'l'},     {"no-zeroes", 0, NULL, 'z'}, {"no-trims", 0, NULL, 't'},
	{"operations", 1, NULL, 'o'},  {"rate", 1, NULL, 'r'},	    {"resume", 0, NULL, 'R'},
	{"connections", 1, NULL, 'C'}, {"direct", 0, NULL, 'd'},    {NULL, 0, NULL, 0},
};

void options_read(struct writer_options *out, int argc, char **argv)
{
	int option;

	*out = (struct writer_options){
		.n_connections = 1,
		.set = {.n_chains = 1,
			.align = 1,
			.longest = 2u << 20,
			.zeroes = true,
			.trims = true},
	};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			out->set.seed = number(optarg, UINT64_MAX);
			break;
		case 'c':
			out->set.n_chains = (uint32_t)number(optarg, CHAIN_CHAINS_MAX);
			break;
		case 'a':
			out->set.align = (uint32_t)number(optarg, CHAIN_ALIGN_MAX);
			break;
		case 'l':
			out->set.longest = (uint32_t)number(optarg, CHAIN_LONGEST_MAX);
			break;
		case 'z':
			out->set.zeroes = false;
			break;
		case 't':
			out->set.trims = false;
			break;
		case 'o':
			out->operations = number(optarg, UINT64_MAX / 100);
			break;
		case 'r':
			out->rate = number(optarg, 1000000);
			break;
		case 'R':
			out->resume = true;
			break;
		case 'C':
			out->n_connections = (uint32_t)number(optarg, 16);
			break;
		case 'd':
			out->direct = true;
			break;
		default:
			exit(2);
		}
	}
	out->drives = argv + optind;
	out->set.n_drives = (uint32_t)(argc - optind);
	if (argc - optind < 1 || argc - optind > (int)CHAIN_DRIVES_MAX || out->n_connections == 0)
		errx(2, "name 1 to 8 drives, and a connection to each");
}
