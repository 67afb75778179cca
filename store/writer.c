/*
 * A multipart upload. The caller fills one part after the other; threads send them, each on a
 * connection of its own. All parts but the last have one size, which some stores demand.
 */
#include "store/lock.h"
#include "store/store.h"
#include "store/upload.h"

#include "base/clock.h"
#include "base/unnamed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_SENDERS   4u
#define N_BUFFERS   (N_SENDERS + 1)
#define PART_LEAST  (UINT64_C(16) << 20)
#define PART_UNIT   (UINT64_C(1) << 20)
#define PART_MOST   (UINT64_C(5) << 30)
#define MEMORY_MOST (UINT64_C(64) << 20) /* larger parts are in a file */
#define N_PARTS_MAX 10000u
#define ABANDON_MS  300 /* for requests that are told to end */

enum part_state { PART_FREE, PART_FULL, PART_SENT };

struct part {
	enum part_state state; /* SENT: a sender has it */
	unsigned number;       /* from 1 */
	uint8_t *bytes;	       /* mapped when it is first used */
	uint64_t n_bytes;
};

struct store_writer {
	struct upload upload;
	bool done;
	uint64_t part_size, n_bytes;
	unsigned n_parts, n_parts_max;
	upload_tag *tags;     /* owned */
	struct part *filling; /* NULL: the next one has to be waited for */
	pthread_t threads[N_SENDERS];
	unsigned n_threads;
	struct store_writer *next; /* of those that are not finished */
	/* Of one that is to be taken up: */
	bool keep;
	struct upload_kept kept;
	struct upload_part *there; /* owned: what the store had */
	unsigned n_there;

	pthread_mutex_t lock; /* guards the rest, and the states of parts */
	pthread_cond_t changed;
	struct part parts[N_BUFFERS];
	bool ended;   /* no more parts come */
	bool differs; /* what the store had is of something else */
	unsigned n_sent;
	uint64_t kept_bytes; /* that it had */
	struct error err;    /* the first one */
};

static struct {
	pthread_mutex_t lock;
	struct store_writer *first;
	bool abandoned;
} unfinished = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- senders ---- */

static struct part *take_full_locked(struct store_writer *writer)
{
	for (unsigned i = 0; i < N_BUFFERS; i++)
		if (writer->parts[i].state == PART_FULL)
			return &writer->parts[i];
	return NULL;
}

static void note_error_locked(struct store_writer *writer, const struct error *err)
{
	if (writer->err.code == 0)
		writer->err = *err;
	atomic_store(&writer->upload.s3.stop, true);
	pthread_cond_broadcast(&writer->changed);
}

/* A part that the store has, of what may be another archive. */
static const struct upload_part *find_there(const struct store_writer *writer, unsigned number)
{
	for (unsigned i = 0; i < writer->n_there; i++)
		if (writer->there[i].number == number)
			return &writer->there[i];
	return NULL;
}

static int fail_differs(struct store_writer *writer, unsigned number, struct error *err)
{
	pthread_mutex_lock(&writer->lock);
	writer->differs = true;
	pthread_mutex_unlock(&writer->lock);
	return fail(err, ERR_SYSTEM,
		    "%.200s: what the run before has left is not what is written now, in part %u",
		    writer->upload.s3.name, number);
}

static int send_part(struct store_writer *writer, struct http *http, const struct part *part,
		     struct error *err)
{
	const struct upload_part *there = find_there(writer, part->number);
	upload_tag *tag = &writer->tags[part->number - 1];

	if (there == NULL)
		return upload_part(&writer->upload, http, part->number, part->bytes, part->n_bytes,
				   tag, err);
	if (there->n_bytes != part->n_bytes ||
	    !upload_tag_is_of(there->tag, part->bytes, part->n_bytes))
		return fail_differs(writer, part->number, err);
	memcpy(*tag, there->tag, sizeof(*tag));
	pthread_mutex_lock(&writer->lock);
	writer->kept_bytes += part->n_bytes;
	pthread_mutex_unlock(&writer->lock);
	return 0;
}

static void *send_parts(void *context)
{
	struct store_writer *writer = context;
	struct http *http = NULL;
	struct error err = {0};
	struct part *part;
	int code = http_open(&http, &err);

	pthread_mutex_lock(&writer->lock);
	while (code == 0 && writer->err.code == 0) {
		part = take_full_locked(writer);
		if (part == NULL && writer->ended)
			break;
		if (part == NULL) {
			pthread_cond_wait(&writer->changed, &writer->lock);
			continue;
		}
		part->state = PART_SENT;
		pthread_mutex_unlock(&writer->lock);
		code = send_part(writer, http, part, &err);
		pthread_mutex_lock(&writer->lock);
		writer->n_sent += code == 0;
		part->state = PART_FREE;
		pthread_cond_broadcast(&writer->changed);
	}
	if (code != 0)
		note_error_locked(writer, &err);
	pthread_mutex_unlock(&writer->lock);
	http_close(http);
	return NULL;
}

static int start_senders(struct store_writer *writer, struct error *err)
{
	while (writer->n_threads < N_SENDERS) {
		int sys = pthread_create(&writer->threads[writer->n_threads], NULL, send_parts,
					 writer);

		if (sys != 0)
			return fail_start(err, sys, "starting a thread");
		writer->n_threads++;
	}
	return 0;
}

static void join_senders(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->ended = true;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	while (writer->n_threads > 0)
		pthread_join(writer->threads[--writer->n_threads], NULL);
}

/* Large enough that they suffice, and with some to spare for what is around the data. */
static uint64_t choose_part_size(unsigned n_parts_max, uint64_t expected_bytes)
{
	uint64_t n = (uint64_t)n_parts_max * 9 / 10, size;

	size = expected_bytes / (n > 0 ? n : 1) + 1;
	size = (size + PART_UNIT - 1) / PART_UNIT * PART_UNIT;
	return size < PART_LEAST ? PART_LEAST : size < PART_MOST ? size : PART_MOST;
}

static bool enlist(struct store_writer *writer)
{
	bool late;

	pthread_mutex_lock(&unfinished.lock);
	late = unfinished.abandoned;
	writer->next = unfinished.first;
	unfinished.first = writer;
	pthread_mutex_unlock(&unfinished.lock);
	return !late;
}

/* From here on nobody abandons it. */
static void delist(struct store_writer *writer)
{
	struct store_writer **at = &unfinished.first;

	pthread_mutex_lock(&unfinished.lock);
	while (*at != NULL && *at != writer)
		at = &(*at)->next;
	if (*at != NULL)
		*at = writer->next;
	pthread_mutex_unlock(&unfinished.lock);
}

static void prepare_keep(struct store_writer *writer, const struct store_options *options)
{
	memcpy(writer->kept.uuid, options->uuid, sizeof(writer->kept.uuid));
	writer->kept.created_ns = options->created_ns;
	writer->upload.keep = &writer->kept;
}

static int open_writer(struct store_writer *writer, const char *name,
		       const struct store_options *options, struct error *err)
{
	TRY(store_check(name, options, err));
	writer->upload.force = options->force;
	if (options->resume == NULL)
		TRY(upload_open(&writer->upload, name, err));
	else
		prepare_keep(writer, options);
	writer->tags = calloc(writer->n_parts_max, sizeof(*writer->tags));
	if (writer->tags == NULL)
		return fail_memory(err);
	TRY(upload_begin(&writer->upload, options->retain_until, err));
	if (!enlist(writer))
		return fail(err, ERR_SYSTEM, "%.200s: interrupted", name);
	return start_senders(writer, err);
}

static struct store_writer *new_writer(void)
{
	struct store_writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return NULL;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->changed, NULL);
	return writer;
}

int store_writer_find(struct store_writer **out, const char *name, const char *retain_until,
		      struct store_found *found, struct error *err)
{
	struct store_writer *writer = new_writer();
	int code;

	if (writer == NULL)
		return fail_memory(err);
	writer->keep = true;
	code = s3_check_name(name, err);
	if (code == 0)
		code = upload_open(&writer->upload, name, err);
	if (code == 0)
		code = upload_resume(&writer->upload, &writer->kept, &writer->there,
				     &writer->n_there, err);
	if (code < 0) {
		store_writer_free(writer);
		return code;
	}
	found->any = code > 0;
	/* The lock of the object would be another one. */
	if (found->any && strcmp(writer->kept.day, retain_until != NULL ? retain_until : "") != 0) {
		upload_begin_anew(&writer->upload);
		writer->n_there = 0;
		found->any = false;
	}
	memcpy(found->uuid, writer->kept.uuid, sizeof(found->uuid));
	found->created_ns = writer->kept.created_ns;
	*out = writer;
	return 0;
}

int store_writer_open(struct store_writer **out, const char *name,
		      const struct store_options *options, struct error *err)
{
	struct store_writer *writer = options->resume != NULL ? options->resume : new_writer();
	int code;

	if (writer == NULL)
		return fail_memory(err);
	writer->n_parts_max =
		options->n_parts_max != 0 ? (unsigned)options->n_parts_max : N_PARTS_MAX;
	writer->part_size = choose_part_size(writer->n_parts_max, options->expected_bytes);
	code = open_writer(writer, name, options, err);
	if (code != 0) {
		store_writer_free(writer);
		return code;
	}
	*out = writer;
	return 0;
}

bool store_writer_differs(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	bool differs = writer->differs;
	pthread_mutex_unlock(&writer->lock);
	return differs;
}

uint64_t store_writer_kept(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	uint64_t n = writer->kept_bytes;
	pthread_mutex_unlock(&writer->lock);
	return n;
}

/* ---- writing ---- */

static int map_part(struct store_writer *writer, struct part *part, struct error *err)
{
	uint64_t size = writer->part_size;
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *bytes;

	if (part->bytes != NULL)
		return 0;
	if (size > MEMORY_MOST) {
		flags = MAP_SHARED;
		fd = unnamed_open("/var/tmp");
		if (fd < 0)
			return fail_system(err, errno, "a file in /var/tmp for a part");
		int sys = posix_fallocate(fd, 0, (off_t)size);
		if (sys != 0) {
			close(fd);
			return fail_system(err, sys,
					   "a file of %" PRIu64 " bytes in /var/tmp for a part",
					   size);
		}
	}
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	if (bytes == MAP_FAILED)
		return fail_memory(err);
	part->bytes = bytes;
	return 0;
}

/* Waits for a free part. */
static int next_part(struct store_writer *writer, struct error *err)
{
	struct part *part = NULL;

	if (writer->n_parts == writer->n_parts_max)
		return fail(err, ERR_FULL, "%.200s: more than %u parts of %" PRIu64 " bytes",
			    writer->upload.s3.name, writer->n_parts_max, writer->part_size);
	pthread_mutex_lock(&writer->lock);
	while (writer->err.code == 0 && part == NULL) {
		for (unsigned i = 0; i < N_BUFFERS && part == NULL; i++)
			if (writer->parts[i].state == PART_FREE)
				part = &writer->parts[i];
		if (part == NULL)
			pthread_cond_wait(&writer->changed, &writer->lock);
	}
	if (writer->err.code != 0)
		*err = writer->err;
	pthread_mutex_unlock(&writer->lock);
	if (part == NULL)
		return err->code;
	TRY(map_part(writer, part, err));
	part->n_bytes = 0;
	part->number = ++writer->n_parts;
	writer->filling = part;
	return 0;
}

static void hand_in(struct store_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->filling->state = PART_FULL;
	pthread_cond_broadcast(&writer->changed);
	pthread_mutex_unlock(&writer->lock);
	writer->filling = NULL;
}

int store_write(struct store_writer *writer, const void *bytes, size_t n, struct error *err)
{
	const uint8_t *from = bytes;

	while (n > 0) {
		struct part *part;
		size_t take;

		if (writer->filling == NULL)
			TRY(next_part(writer, err));
		part = writer->filling;
		take = least(n, writer->part_size - part->n_bytes);
		memcpy(part->bytes + part->n_bytes, from, take);
		part->n_bytes += take;
		writer->n_bytes += take;
		from += take;
		n -= take;
		if (part->n_bytes == writer->part_size)
			hand_in(writer);
	}
	return 0;
}

/* ---- the end ---- */

int store_writer_finish(struct store_writer *writer, struct error *err)
{
	if (writer->filling == NULL && writer->n_parts == 0)
		TRY(next_part(writer, err));
	if (writer->filling != NULL)
		hand_in(writer);
	join_senders(writer);
	if (writer->err.code != 0) {
		*err = writer->err;
		return err->code;
	}
	for (unsigned i = 0; i < writer->n_there; i++)
		if (writer->there[i].number > writer->n_parts)
			return fail_differs(writer, writer->there[i].number, err);
	TRY(upload_complete(&writer->upload, writer->tags, writer->n_parts, writer->n_bytes, err));
	writer->done = true;
	delist(writer);
	return 0;
}

/* What is to be taken up, if there is anything. */
static bool stays(const struct store_writer *writer)
{
	return !writer->differs && writer->n_sent + writer->n_there > 0;
}

void store_writer_free(struct store_writer *writer)
{
	if (writer == NULL)
		return;
	delist(writer);
	atomic_store(&writer->upload.s3.stop, true);
	pthread_mutex_lock(&writer->lock);
	if (writer->err.code == 0)
		fail(&writer->err, ERR_SYSTEM, "%.200s: given up",
		     writer->upload.s3.name != NULL ? writer->upload.s3.name : "");
	pthread_mutex_unlock(&writer->lock);
	join_senders(writer);
	if (!writer->done && !(writer->keep && stays(writer)))
		upload_abort(&writer->upload);
	free(writer->there);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		if (writer->parts[i].bytes != NULL)
			munmap(writer->parts[i].bytes, writer->part_size);
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->changed);
	upload_close(&writer->upload);
	free(writer->tags);
	free(writer);
}

/* The threads end with the process. */
void store_abandon_all(void)
{
	struct store_writer *writer;

	pthread_mutex_lock(&unfinished.lock);
	unfinished.abandoned = true;
	for (writer = unfinished.first; writer != NULL; writer = writer->next)
		atomic_store(&writer->upload.s3.stop, true);
	if (unfinished.first != NULL)
		clock_sleep_ms(ABANDON_MS);
	for (writer = unfinished.first; writer != NULL; writer = writer->next)
		if (!writer->keep)
			upload_abandon(&writer->upload);
	pthread_mutex_unlock(&unfinished.lock);
	store_locks_abandon();
}
