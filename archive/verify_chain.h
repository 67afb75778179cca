/*
 * Proof that a chain shows its newest instant whole: every archive of it was verified, and each
 * cluster is in one of them.
 */
#ifndef ARCHIVE_VERIFY_CHAIN_H
#define ARCHIVE_VERIFY_CHAIN_H

#include "archive/chain.h"
#include "archive/layers.h"
#include "archive/proved.h"

struct verify_chain {
	struct chain chain; /* even if a parent is missing: those that were found */
	struct opened_archive newest;
	struct layers layers;
	struct proved_chain proved;
	struct error missing; /* with a code: which parent was not found */
};

/* Finds the chain of the first of the names. *out can be closed even after a failure. */
int verify_chain_open(struct verify_chain *out, const struct strings *names, struct error *err);
/* To be called for each link, newest first, once it was read to its end. */
int verify_chain_add(struct verify_chain *chain, const struct opened_archive *link,
		     struct error *err);
/* ERR_INCOMPLETE if a parent, or a cluster, is in none of them. */
int verify_chain_end(const struct verify_chain *chain, struct error *err);
void verify_chain_close(struct verify_chain *chain);

#endif
