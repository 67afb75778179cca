#include "archive/copy.h"

#include "archive/changes.h"
#include "archive/copy_sums.h"
#include "base/bytes.h"
#include "base/io.h"
#include "base/pace.h"
#include "base/watcher.h"
#include "cow/sweep.h"
#include "drive/argument.h"
#include "drive/drive.h"
#include "drive/qemuimg.h"
#include "drive/target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW 64u /* clusters */

struct copy {
	const struct copy_options *options;
	const struct watcher *watcher;
	struct copy_result *result;
	struct drive_argument from;
	char *target_text; /* owned; the suffix points into it */
	struct drive_suffix suffix;
	struct drive *source;
	struct target *target;
	struct changes changes;
	struct copy_sums sums;
	struct cluster_set written; /* of which it is not known that the target had them */
	bool in_place;		    /* the target is read, and only changed where it differs */
	uint8_t *bytes, *there;	    /* WINDOW clusters each */
	_Atomic uint64_t done_bytes;
};

static bool is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

static int check_together(const struct copy_options *options, struct error *err)
{
	if (options->no_verify && options->verify != 0)
		return fail(err, ERR_USAGE, "--verify and --no-verify exclude each other");
	if (options->sums != NULL && options->changed != NULL && options->target_sums == NULL)
		return fail(err, ERR_USAGE,
			    "--sums: with --changed the rest of the target is known only by "
			    "--target-sums");
	return 0;
}

static int parse(struct copy *copy, struct error *err)
{
	const struct copy_options *options = copy->options;

	TRY(drive_argument_parse(options->source, &copy->from, err));
	TRY(drive_suffix_check_plain(&copy->from.suffix, options->source, err));
	copy->target_text = strdup(options->target);
	copy->bytes = aligned_alloc(BLOCK_SIZE, WINDOW * CLUSTER_SIZE);
	copy->there = aligned_alloc(BLOCK_SIZE, WINDOW * CLUSTER_SIZE);
	if (copy->target_text == NULL || copy->bytes == NULL || copy->there == NULL)
		return fail_memory(err);
	drive_suffix_cut(copy->target_text, &copy->suffix);
	if (copy->from.name != NULL)
		return fail(err, ERR_USAGE,
			    "%s: a drive has no name here; for a file whose name "
			    "has a '=' write ./FILE",
			    options->source);
	if (is_stream(copy->from.path) || is_stream(copy->target_text))
		return fail(err, ERR_USAGE,
			    "-: is read or written once only, and a copy is compared; back up or "
			    "restore instead");
	copy->in_place =
		options->rollback || options->changed != NULL || options->target_sums != NULL;
	return check_together(options, err);
}

/* What is taken as it is there cannot be in a file of another size. */
static int check_size(const struct copy *copy, struct error *err)
{
	const struct copy_options *options = copy->options;
	struct stat found;

	if ((options->changed == NULL && options->target_sums == NULL) ||
	    stat(copy->target_text, &found) != 0 || !S_ISREG(found.st_mode) ||
	    (uint64_t)found.st_size == copy->result->size_bytes)
		return 0;
	return fail(err, ERR_USAGE,
		    "%s: has %lld bytes, and the drive %" PRIu64
		    ": what changed is not all that it lacks; --rollback compares",
		    copy->target_text, (long long)found.st_size, copy->result->size_bytes);
}

/* ---- sums ---- */

static bool has_sums(const struct copy *copy)
{
	return copy->options->target_sums != NULL;
}

/* A file of sums may be replaced, nothing else. */
static int check_new_sums(const char *path, struct error *err)
{
	struct stat found;
	int is;

	if (lstat(path, &found) != 0)
		return errno == ENOENT ? 0 : fail_system(err, errno, "%s", path);
	is = S_ISREG(found.st_mode) ? sums_is(path, err) : 0;
	return is > 0	? 0
	       : is < 0 ? is
			: fail(err, ERR_USAGE, "%s: exists already, and is no sums file", path);
}

static int begin_sums(struct copy *copy, struct error *err)
{
	const struct copy_options *options = copy->options;

	if (options->sums == NULL)
		return 0;
	TRY(check_new_sums(options->sums, err));
	if (strcmp(options->sums, copy->target_text) == 0)
		return fail(err, ERR_USAGE, "%s: is the copy itself", options->sums);
	return copy_sums_make(&copy->sums, options->sums, copy->result->size_bytes, err);
}

/* What is believed is tried before anything is written. */
static int try_sums(struct copy *copy, struct error *err)
{
	const struct copy_options *options = copy->options;

	if (!has_sums(copy))
		return 0;
	TRY(copy_sums_try_target(&copy->sums, copy->target, copy->target_text, err));
	return options->changed == NULL
		       ? 0
		       : copy_sums_try_list(&copy->sums, copy->source, &copy->changes.set,
					    options->changed, err);
}

/* From the first write on the old ones tell of a target that is no more. To open one that is there
 * may empty it; what is changed in place is first looked at. */
static int forget_sums(const struct copy *copy, struct error *err)
{
	const char *path = copy->options->sums;

	if (path == NULL || access(path, F_OK) != 0)
		return 0;
	if (unlink(path) != 0)
		return fail_system(err, errno, "%s: removing", path);
	/* Or a power cut could bring them back, beside a target that has changed. */
	int sys = io_sync_folder(path);
	return sys != 0 ? fail_system(err, sys, "%s: removing", path) : 0;
}

/* ---- both sides ---- */

static int open_both(struct copy *copy, struct error *err)
{
	const struct copy_options *options = copy->options;
	const struct drive_options how = {
		.format = copy->from.suffix.format,
		.secret = copy->from.suffix.secret,
		.keep = true,
	};
	const struct target_options what = {
		.force = options->force || copy->in_place,
		.rollback = copy->in_place,
		.hold = true,
		.sync = !options->no_sync,
		.format = copy->suffix.format,
		.image_options = copy->suffix.image,
		.n_image_options = copy->suffix.n_image,
	};

	TRY(drive_open(&copy->source, copy->from.path, &how, err));
	if (drive_warning(copy->source) != NULL)
		watcher_warn(copy->watcher, "%s", drive_warning(copy->source));
	copy->result->size_bytes = drive_size(copy->source);
	if (options->changed != NULL)
		TRY(changes_read(&copy->changes, options->changed, copy->result->size_bytes, err));
	if (has_sums(copy))
		TRY(copy_sums_find(&copy->sums, options->target_sums, copy->result->size_bytes,
				   copy->watcher, err));
	TRY(check_size(copy, err));
	TRY(begin_sums(copy, err));
	if (options->force && !copy->in_place)
		TRY(forget_sums(copy, err));
	TRY(target_open(&copy->target, copy->target_text, copy->result->size_bytes, &what, err));
	copy->result->excess_bytes = target_excess(copy->target);
	return try_sums(copy, err);
}

/* ---- copying ---- */

static uint64_t bytes_of(const struct copy *copy, uint64_t cluster, uint64_t n)
{
	return least((cluster + n) * CLUSTER_SIZE, copy->result->size_bytes) -
	       cluster * CLUSTER_SIZE;
}

static int put_zeros(struct copy *copy, uint64_t cluster, uint64_t n, struct error *err)
{
	TRY(cluster_set_include(&copy->written, cluster, n, err));
	return target_zero(copy->target, cluster * CLUSTER_SIZE, bytes_of(copy, cluster, n), err);
}

/* One cluster, n bytes: by blocks, unless the target takes whole clusters. */
static int put_cluster(struct copy *copy, uint64_t cluster, const uint8_t *bytes, struct error *err)
{
	uint64_t offset = cluster * CLUSTER_SIZE, n = bytes_of(copy, cluster, 1), at = 0, end;

	if (all_zero(bytes, n))
		return put_zeros(copy, cluster, 1, err);
	if (copy->in_place && !has_sums(copy) &&
	    target_read(copy->target, offset, copy->there, n) == 0 &&
	    memcmp(copy->there, bytes, n) == 0) {
		target_keep(copy->target, offset, n);
		return 0;
	}
	TRY(cluster_set_include(&copy->written, cluster, 1, err));
	if (copy->in_place || target_takes_clusters(copy->target))
		return target_write(copy->target, offset, bytes, n, err);
	while (at < n) {
		bool zero = all_zero(bytes + at, least(BLOCK_SIZE, n - at));
		for (end = at + BLOCK_SIZE; end < n; end += BLOCK_SIZE)
			if (all_zero(bytes + end, least(BLOCK_SIZE, n - end)) != zero)
				break;
		end = least(end, n);
		if (zero)
			TRY(target_zero(copy->target, offset + at, end - at, err));
		else
			TRY(target_write(copy->target, offset + at, bytes + at, end - at, err));
		at = end;
	}
	return 0;
}

/* A run that is put, or, as far as the target is known to have it, kept. bytes: NULL for zeros,
 * otherwise whole clusters. */
static int put_run(struct copy *copy, uint64_t cluster, uint64_t n, const uint8_t *bytes,
		   struct error *err)
{
	for (uint64_t n_same; n > 0; cluster += n_same, n -= n_same) {
		bool have = false;

		n_same = bytes == NULL ? n : 1;
		if (has_sums(copy))
			TRY(copy_sums_have(&copy->sums, cluster, bytes, &n_same, &have, err));
		if (bytes != NULL)
			TRY(copy_sums_put(&copy->sums, cluster, bytes, err));
		if (have)
			target_keep(copy->target, cluster * CLUSTER_SIZE,
				    bytes_of(copy, cluster, n_same));
		else if (bytes == NULL)
			TRY(put_zeros(copy, cluster, n_same, err));
		else
			TRY(put_cluster(copy, cluster, bytes, err));
		if (bytes != NULL)
			bytes += CLUSTER_SIZE;
	}
	return 0;
}

static int put_piece(struct copy *copy, const struct sweep_piece *piece, struct error *err)
{
	const uint8_t *from = copy->bytes;

	for (uint32_t i = 0; i < piece->n_runs; i++) {
		const struct sweep_run *run = &piece->runs[i];

		TRY(put_run(copy, run->cluster, run->n_clusters, run->zero ? NULL : from, err));
		from += run->zero ? 0 : run->n_clusters * CLUSTER_SIZE;
	}
	return 0;
}

/* What the list calls unchanged. */
static int keep_rest(struct copy *copy, struct error *err)
{
	uint64_t n_all = clusters_of(copy->result->size_bytes), n;
	bool in;

	for (uint64_t at = 0; copy->options->changed != NULL && at < n_all; at += n) {
		n = cluster_set_run(&copy->changes.set, at, n_all - at, &in);
		if (in)
			continue;
		target_keep(copy->target, at * CLUSTER_SIZE, bytes_of(copy, at, n));
		TRY(copy_sums_keep(&copy->sums, at, n, err));
	}
	return 0;
}

static int copy_all(struct copy *copy, struct sweep *sweep, struct error *err)
{
	struct sweep_piece piece;
	struct pace pace;
	int got;

	pace_start(&pace, copy->options->rate);
	while ((got = sweep_next(sweep, &piece, err)) > 0) {
		size_t n = (size_t)piece.n_data * CLUSTER_SIZE;

		if (n > 0)
			TRY(sweep_read(sweep, &piece, copy->bytes, err));
		TRY(put_piece(copy, &piece, err));
		copy->result->read_bytes += n;
		copy->done_bytes += n;
		pace_wait(&pace, n);
	}
	TRY(got);
	TRY(keep_rest(copy, err));
	TRY(target_finish(copy->target, err));
	copy->result->written_bytes = target_written(copy->target);
	return 0;
}

/* ---- comparing ---- */

static int compare_clusters(struct copy *copy, struct drive *target, uint64_t first, uint64_t n,
			    struct error *err)
{
	uint64_t n_bytes = bytes_of(copy, first, n), at = 0;

	TRY(drive_read_clusters(copy->source, first, n, copy->bytes, err));
	TRY(drive_read_clusters(target, first, n, copy->there, err));
	if (memcmp(copy->bytes, copy->there, n_bytes) == 0)
		return 0;
	while (copy->bytes[at] == copy->there[at])
		at++;
	return fail(err, ERR_DAMAGED, "%s: differs from %s at byte %" PRIu64, copy->target_text,
		    copy->from.path, first * CLUSTER_SIZE + at);
}

/* How many clusters from this one on both sides are known to have as zeros. */
static int skip_zeros(struct copy *copy, struct drive *target, uint64_t at, uint64_t *n,
		      struct error *err)
{
	uint64_t offset = at * CLUSTER_SIZE, zeros[2], both;
	bool zero[2];

	TRY(drive_status(copy->source, offset, &zeros[0], &zero[0], err));
	TRY(drive_status(target, offset, &zeros[1], &zero[1], err));
	both = zero[0] && zero[1] ? least(zeros[0], zeros[1]) : 0;
	*n = offset + both >= copy->result->size_bytes ? clusters_of(copy->result->size_bytes) - at
						       : both / CLUSTER_SIZE;
	return 0;
}

/* What is to be compared, all that is not known as zeros on both sides. */
static int compare(struct copy *copy, struct drive *target, struct error *err)
{
	uint64_t n_all = clusters_of(copy->result->size_bytes), n;
	bool all = copy->options->verify != COPY_VERIFY_WRITTEN, in = true;
	struct pace pace;

	pace_start(&pace, copy->options->rate);
	for (uint64_t at = 0; at < n_all; at += n) {
		uint64_t most = n_all - at;

		if (!all)
			most = cluster_set_run(&copy->written, at, most, &in);
		if (in)
			TRY(skip_zeros(copy, target, at, &n, err));
		n = in ? least(n, most) : most;
		if (!in || n > 0)
			continue;
		n = least(most, WINDOW);
		TRY(compare_clusters(copy, target, at, n, err));
		copy->result->compared_bytes += bytes_of(copy, at, n);
		copy->done_bytes += bytes_of(copy, at, n);
		pace_wait(&pace, n * CLUSTER_SIZE);
	}
	return 0;
}

/* What has reached the disk is read from there where that can be: it tells more, and the memory is
 * not filled with it. */
static int open_again(struct drive **out, const char *path, struct drive_options *how,
		      bool in_memory, struct error *err)
{
	struct error ignored;

	how->direct = !in_memory;
	if (how->direct && drive_open(out, path, how, &ignored) == 0)
		return 0;
	how->direct = false;
	return drive_open(out, path, how, err);
}

/* A new file has no name yet. */
static int verify(struct copy *copy, struct error *err)
{
	const char *held = target_held(copy->target), *text = copy->target_text;
	struct drive_options how = {.format = copy->suffix.format};
	struct drive *target;
	int code;

	if (how.format == NULL && !target_is_uri(text))
		how.format = image_format_of(text);
	if (held == NULL) {
		target_close(copy->target);
		copy->target = NULL;
	}
	TRY(open_again(&target, held != NULL ? held : text, &how, copy->options->no_sync, err));
	code = drive_size(target) < copy->result->size_bytes
		       ? fail(err, ERR_DAMAGED, "%s: is too small", copy->target_text)
		       : compare(copy, target, err);
	drive_close(target);
	return code;
}

static int run(struct copy *copy, struct error *err)
{
	const struct cluster_set *set = &copy->changes.set;
	struct progress_view view = {
		.label = copy->options->target,
		.done_bytes = &copy->done_bytes,
		.of_drives = true,
	};
	struct sweep *sweep;
	int code;

	TRY(forget_sums(copy, err));
	TRY(sweep_new(&sweep, &copy->source, 1, WINDOW, err));
	if (copy->options->changed != NULL)
		sweep_restrict(sweep, &set);
	watcher_begin(copy->watcher, &view);
	code = copy_all(copy, sweep, err);
	if (code == 0 && !copy->options->no_verify)
		code = verify(copy, err);
	watcher_end(copy->watcher, code == 0);
	sweep_free(sweep);
	if (code == 0 && drive_was_changed(copy->source))
		code = fail(err, ERR_SYSTEM, "%s: was written to while it was copied",
			    copy->from.path);
	if (code == 0 && copy->target != NULL)
		code = target_publish(copy->target, err);
	/* Once more: that may be another way to the copy. */
	if (code == 0 && copy->options->sums != NULL)
		code = check_new_sums(copy->options->sums, err);
	if (code == 0)
		code = copy_sums_publish(&copy->sums, !copy->options->no_sync, err);
	return code;
}

int copy_drive(const struct copy_options *options, struct copy_result *out,
	       const struct watcher *watcher, struct error *err)
{
	struct copy copy = {.options = options, .watcher = watcher, .result = out};
	int code = parse(&copy, err);

	*out = (struct copy_result){0};
	if (code == 0)
		code = open_both(&copy, err);
	if (code == 0)
		code = run(&copy, err);
	target_close(copy.target);
	drive_close(copy.source);
	changes_free(&copy.changes);
	copy_sums_close(&copy.sums);
	cluster_set_free(&copy.written);
	drive_argument_free(&copy.from);
	free(copy.target_text);
	free(copy.bytes);
	free(copy.there);
	return code;
}
