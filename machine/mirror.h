/*
 * Mirrors of a machine's drives, as a user asks for them: struct mirror_kind, for each kind of
 * machine that has them. What is answered has one form for all, which vmabak-json(5) has.
 */
#ifndef MACHINE_MIRROR_H
#define MACHINE_MIRROR_H

#include "base/error.h"
#include "base/text.h"

struct json_t;
struct watcher;

struct mirror_wish {
	const char *place;	/* of the machine */
	struct strings targets; /* NAME=TARGET[,format=FORMAT] */
	const char *state;	/* a file; NULL: none */
	bool force;
	bool has_rate, has_on_slow; /* what follows was given */
	uint64_t rate;		    /* bytes a second; 0: no limit */
	bool hold;		    /* guests may be slowed down */
	const char *server;	    /* qemu: the socket of its own; NULL: it has none */
};

/* Each fills *out, owned. */
struct mirror_kind {
	int (*start)(const struct mirror_wish *wish, struct json_t **out, struct error *err);
	int (*status)(const struct mirror_wish *wish, struct json_t **out, struct error *err);
	int (*set)(const struct mirror_wish *wish, struct json_t **out, struct error *err);
	int (*pivot)(const struct mirror_wish *wish, struct json_t **out, struct error *err);
	int (*abort)(const struct mirror_wish *wish, struct json_t **out, struct error *err);
};

extern const struct mirror_kind mirror_serve;
extern const struct mirror_kind mirror_qemu;

/* Puts the path from the root of a file that need not be there. */
int mirror_put_path(struct json_t *to, const char *key, const char *path, struct error *err);
/* Puts "drives", each with "name", "target" and "format", and "state". */
int mirror_put_wish(struct json_t *request, const struct mirror_wish *wish, struct error *err);

#endif
