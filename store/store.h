/*
 * Object stores: archives as s3://BUCKET/KEY. Who asks and where: store/account.h. Files of web
 * servers, https://... and http://..., can be read alone.
 *
 * An object appears when all of it is there, and not before. Not for several threads at once but
 * where it says so.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/error.h"

/* Whether a name is one of an object, or of a file of a web server. */
bool store_is_name(const char *name);
bool store_is_web(const char *name);

/* For each word of a command line before it is used: of the URL in it a user, password and query
 * are kept aside, and taken out of the word in place, so that neither messages nor a list of
 * processes have them. ERR_USAGE: two URLs differ in nothing else. One thread, in the beginning. */
int store_hide_secrets(char *word, struct error *err);

/* Whether something was taken out of the URL that this name is left of. */
bool store_has_secrets(const char *name);

/* What was read from stores and servers since the program began, in bytes. */
uint64_t store_fetched_bytes(void);

/* Where objects lie, as the command line says; once, before anything else. Borrowed; NULL: as the
 * environment and the files of the tools of AWS say. */
void store_set_endpoint(const char *endpoint);

/* ---- writing ---- */

struct store_writer;

/* All is borrowed until store_writer_open returns. */
struct store_options {
	bool force;		  /* an object that is there is replaced */
	uint64_t expected_bytes;  /* at most about so much will come: so large parts are made */
	uint64_t n_parts_max;	  /* 0: 10000, which is the limit of most stores */
	const char *retain_until; /* YYYY-MM-DD, UTC: nobody can delete it before; NULL: nothing */
	/* NULL, or of store_writer_find: what is in the store stays there if it is not finished.
	 * The writer that is opened is this one, and not freed apart from now on. */
	struct store_writer *resume;
	const uint8_t *uuid; /* with that: 16 bytes that tell what is written, and its time */
	int64_t created_ns;
};

/* ERR_USAGE: they cannot be. */
int store_check(const char *name, const struct store_options *options, struct error *err);

/* The object is made in parts of 16 MiB or more, several at a time; memory: five of them, or files
 * without a name in /var/tmp where they are larger than 64 MiB. Without force an object that is
 * there is refused, here and, where the store can, at the end. Uploads of runs that were killed on
 * this host are removed first. */
int store_writer_open(struct store_writer **out, const char *name,
		      const struct store_options *options, struct error *err);
struct store_found {
	bool any;
	uint8_t uuid[16];
	int64_t created_ns;
};

/* What a run of this user on this host has left of the object to be taken up. found->any: there is
 * something, of this uuid and time; all that is written is then compared with it, by the MD5 sums
 * that stores tell of parts, and only what is missing is sent. What has another retain_until than
 * this is removed instead. ERR_LOCKED: its run lives. */
int store_writer_find(struct store_writer **out, const char *name, const char *retain_until,
		      struct store_found *found, struct error *err);
/* That writing failed because what the store has is something else: that is removed from there when
 * the writer is freed. */
bool store_writer_differs(struct store_writer *writer);
/* Bytes that the store had already. */
uint64_t store_writer_kept(struct store_writer *writer);
int store_write(struct store_writer *writer, const void *bytes, size_t n, struct error *err);
/* All of it is in the store, under its name. */
int store_writer_finish(struct store_writer *writer, struct error *err);
/* Without store_writer_finish before, nothing stays in the store but what is to be taken up.
 * NULL-safe. */
void store_writer_free(struct store_writer *writer);
/* What is not finished, and not to be taken up, is removed from the store, as far as that takes a
 * few seconds; nothing more can be written. Any thread. */
void store_abandon_all(void);

/* ---- reading ---- */

struct store_reader;

int store_reader_open(struct store_reader **out, const char *name, struct error *err);
uint64_t store_reader_size(const struct store_reader *reader);
/* Where the next read is, and up to where it is likely to go on. */
void store_reader_seek(struct store_reader *reader, uint64_t position, uint64_t up_to);
/* Where moves will go next, each for a few hundred bytes or, at most, 4096: they are fetched at the
 * same time. At most STORE_EXPECTED_MAX; what was told before counts no more. */
#define STORE_EXPECTED_MAX 32u
void store_reader_expect(struct store_reader *reader, const uint64_t *places, unsigned n);
/* Up to n bytes; *got is 0 at the end. An object that is replaced meanwhile is an error. */
int store_read(struct store_reader *reader, void *to, size_t n, size_t *got, struct error *err);
void store_reader_close(struct store_reader *reader); /* NULL-safe */

#endif
