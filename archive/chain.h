/*
 * The archives that one instant needs: an incremental one, its parent, and so on to a full one.
 * Source: spec/vmab.md, section 5.2.
 */
#ifndef ARCHIVE_CHAIN_H
#define ARCHIVE_CHAIN_H

#include "archive/chain_folder.h"
#include "archive/in_use.h"
#include "archive/open.h"

struct chain {
	struct chain_link *links; /* owned; newest first */
	unsigned n;
	struct in_use newest; /* so that none of them is removed meanwhile */
	bool parent_unread;   /* then: a file that cannot be read may be it */
	bool parent_missing;  /* why chain_find failed: the parent of the last link is not there */
};

/* Finds the chain of the first of these archives, down to the full one. Parents are taken from the
 * other names, which may be in any order, else from the folder of the archive that wants them, by
 * the uuids in the heads of the files there, from the folders among the names, and from those of
 * the other archives, named or found: of several with that uuid a full one, else one whose parent
 * is there, too. Names that the chain does not need are ERR_USAGE. Free *out even after an error.
 */
int chain_find(struct chain *out, const struct strings *names, struct error *err);
/* The same for whoever opens each link once, newest first: pipes, and "-" once, are allowed, but
 * then their parents must be named. With part, the chain of several names ends with the oldest of
 * them, which may be incremental. */
int chain_find_once(struct chain *out, const struct strings *names, bool part, struct error *err);
/* Whether this file is one of them, by whatever name. */
bool chain_has_file(const struct chain *chain, const char *path);
void chain_free(struct chain *chain);

/* Opens a link, and checks that it still is the archive it was. rate: as for archive_open. *out can
 * be closed even after a failure. A link that cannot be read twice can be opened but once. */
int chain_open(struct opened_archive *out, const struct chain *chain, unsigned link, uint64_t rate,
	       struct error *err);

#endif
