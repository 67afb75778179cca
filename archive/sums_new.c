#include "archive/sums_new.h"

#include "archive/create_plan.h"
#include "base/clusterset.h"
#include "base/command.h"
#include "base/watcher.h"
#include "store/folder.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct new_sums {
	const char *name; /* of the archive */
	char *path;	  /* owned */
	bool replace, sync, published;
	const struct parent *parent;
	struct checksum_sink sink;
	struct sums_writer *writer;
	pthread_mutex_t lock; /* guards err */
	struct error err;     /* the first one: nothing is put any more */
};

static void note(struct new_sums *sums, const struct error *err)
{
	pthread_mutex_lock(&sums->lock);
	if (sums->err.code == 0)
		sums->err = *err;
	pthread_mutex_unlock(&sums->lock);
}

static bool has_failed(struct new_sums *sums)
{
	pthread_mutex_lock(&sums->lock);
	bool failed = sums->err.code != 0;
	pthread_mutex_unlock(&sums->lock);
	return failed;
}

static void take_stored(void *context, const struct section *extent)
{
	struct new_sums *sums = context;
	struct error err = {0};

	if (!has_failed(sums) && sums_put(sums->writer, extent, &err) != 0)
		note(sums, &err);
}

static void take_unchanged(void *context, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	struct new_sums *sums = context;
	struct error err = {0};

	if (!has_failed(sums) &&
	    parent_copy_sums(sums->parent, sums->writer, drive, cluster, n_clusters, &err) != 0)
		note(sums, &err);
}

/* Nothing but sums is ever replaced by sums, and those only if that was said. */
static int check_place(const char *path, const char *name, bool replace, struct error *err)
{
	struct stat found;
	int is;

	if (stat(path, &found) != 0)
		return 0;
	if (create_plan_overwrites(name, &found))
		return fail(err, ERR_USAGE, "%s: is the archive itself", path);
	if (!replace)
		return fail(err, ERR_USAGE, "%s: exists already; --force replaces it", path);
	is = S_ISREG(found.st_mode) ? sums_is(path, err) : 0;
	if (is < 0)
		return is;
	return is > 0 ? 0 : fail(err, ERR_USAGE, "%s: exists already, and is no sums file", path);
}

int new_sums_check(const struct sums_options *options, const char *name,
		   const struct archive *archive, struct error *err)
{
	if (options->path == NULL)
		return 0;
	if (archive->format != FORMAT_VMAB)
		return fail(err, ERR_USAGE, "--sums: VMA has no increments, VMAB does");
	if (strcmp(options->path, "-") == 0)
		return fail(err, ERR_USAGE, "--sums: a sums file cannot be written to a pipe");
	return check_place(options->path, name, options->replace, err);
}

/* A pipe or a device has nothing beside it. */
static bool lies_somewhere(const char *name)
{
	struct stat found;

	return store_is_name(name) || (strcmp(name, "-") != 0 && command_of(name) == NULL &&
				       (stat(name, &found) != 0 || S_ISREG(found.st_mode)));
}

static int begin(struct new_sums *sums, const struct sums_options *options,
		 const struct archive *archive, struct error *err)
{
	sums->replace = options->replace || options->path == NULL;
	sums->sync = options->sync;
	sums->path = options->path != NULL ? text_make("%s", options->path)
					   : text_make("%s.sums", sums->name);
	if (sums->path == NULL)
		return fail_memory(err);
	TRY(check_place(sums->path, sums->name, sums->replace, err));
	return sums_create(&sums->writer, sums->path, archive, err);
}

int new_sums_open(struct new_sums **out, const struct sums_options *options, const char *name,
		  const struct archive *archive, const struct parent *parent,
		  const struct watcher *watcher, struct error *err)
{
	struct error why = {0};
	struct new_sums *sums;
	int code;

	*out = NULL;
	if (options->path == NULL &&
	    (!options->beside || archive->format != FORMAT_VMAB || !lies_somewhere(name)))
		return 0;
	sums = calloc(1, sizeof(*sums));
	if (sums == NULL)
		return fail_memory(err);
	sums->name = name;
	sums->parent = parent;
	sums->sink = (struct checksum_sink){sums, take_stored, take_unchanged};
	pthread_mutex_init(&sums->lock, NULL);
	code = begin(sums, options, archive, &why);
	if (code == 0) {
		*out = sums;
		return 0;
	}
	new_sums_free(sums);
	if (options->path != NULL) {
		*err = why;
		return code;
	}
	watcher_warn(watcher, "no sums are written: %s", why.text);
	return 0;
}

static int forget_file(const char *path, const struct archive *archive, struct error *err)
{
	struct error ignored = {0};
	struct sums *old = NULL;
	int code = 0;

	if (sums_open(&old, path, &ignored) == 0 &&
	    memcmp(sums_archive(old)->uuid, archive->uuid, UUID_SIZE) == 0 && unlink(path) != 0)
		code = fail_system(err, errno, "%s: removing sums of the archive that is replaced",
				   path);
	sums_close(old);
	return code;
}

/* Whatever its uuid, for which all of it would be fetched. */
static int forget_object(const char *path, struct error *err)
{
	const char *name = strrchr(path, '/') + 1;
	char *above = text_make("%.*s", (int)(name - 1 - path), path);
	struct store_folder *folder = NULL;
	uint8_t first[SECTOR_SIZE];
	size_t got = 0;
	int code = above == NULL ? fail_memory(err) : store_folder_open(&folder, above, err);

	if (code == 0)
		code = store_folder_peek(folder, name, first, sizeof(first), &got, err);
	if (code == 0 && got == sizeof(first) && sums_recognise(first)) {
		code = store_folder_check(folder, name, err);
		if (code == 0)
			code = store_folder_remove(folder, name, err);
	}
	store_folder_close(folder);
	free(above);
	return code;
}

int new_sums_forget(const char *name, const struct archive *archive, struct error *err)
{
	struct stat found;
	char *path;
	int code;

	if (!store_is_name(name) &&
	    (strcmp(name, "-") == 0 || stat(name, &found) != 0 || !S_ISREG(found.st_mode)))
		return 0;
	path = text_make("%s.sums", name);
	if (path == NULL)
		return fail_memory(err);
	code = store_is_name(name) ? forget_object(path, err) : forget_file(path, archive, err);
	free(path);
	return code;
}

const struct checksum_sink *new_sums_sink(const struct new_sums *sums)
{
	return sums == NULL ? NULL : &sums->sink;
}

static int copy_rest(struct new_sums *sums, const struct archive *archive,
		     const struct writer *writer, struct error *err)
{
	for (uint32_t i = 0; i < archive->n_drives; i++) {
		uint64_t n_clusters = clusters_of(archive->drives[i].size_bytes), n;
		bool came;

		for (uint64_t at = 0; at < n_clusters; at += n) {
			n = cluster_set_run(writer_seen(writer, i), at, n_clusters - at, &came);
			if (!came)
				TRY(parent_copy_sums(sums->parent, sums->writer, i, at, n, err));
		}
	}
	return 0;
}

static int publish(struct new_sums *sums, const struct archive *archive,
		   const struct writer *writer, struct error *err)
{
	if (sums->err.code != 0) {
		*err = sums->err;
		return err->code;
	}
	TRY(copy_rest(sums, archive, writer, err));
	TRY(sums_finish(sums->writer, sums->sync, err));
	TRY(check_place(sums->path, sums->name, sums->replace, err));
	/* What is new is taken back if it cannot be made durable. */
	return sums_publish(sums->writer, access(sums->path, F_OK) == 0, sums->sync, err);
}

void new_sums_finish(struct new_sums *sums, const struct archive *archive,
		     const struct writer *writer, const struct watcher *watcher)
{
	struct error err = {0};

	if (sums == NULL)
		return;
	sums->published = publish(sums, archive, writer, &err) == 0;
	if (!sums->published)
		watcher_warn(watcher, "%s is complete, but its sums were not written: %s",
			     strcmp(sums->name, "-") == 0 ? "the archive" : sums->name, err.text);
}

const char *new_sums_path(const struct new_sums *sums)
{
	return sums != NULL && sums->published ? sums->path : NULL;
}

void new_sums_free(struct new_sums *sums)
{
	if (sums == NULL)
		return;
	sums_writer_free(sums->writer);
	pthread_mutex_destroy(&sums->lock);
	free(sums->path);
	free(sums);
}
