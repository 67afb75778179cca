/*
 * Before an increment: what its client may look at, to prove that the map is right.
 */
#include "machine/serve/state.h"

#define RUNS_MAX 4000u /* in a message: with the longest numbers it is full */

static const struct served *drive_of(const struct serve_backup *backup,
				     const struct json_t *request)
{
	uint64_t i;

	return json_member_number(request, "drive", &i) && i < backup->n_volumes ? backup->drives[i]
										 : NULL;
}

/* ---- what the map has by now ---- */

/* As serve_changes has them. Guests may write meanwhile. */
static void add_runs(struct json_t *runs, const struct generation *map, uint16_t g, uint64_t *at)
{
	uint64_t end = generation_n_clusters(map), left_out = 0, found = 0, n;

	for (unsigned n_runs = 0; *at < end && n_runs < RUNS_MAX; *at += n) {
		bool changed = generation_changed(map, g, *at, &n);

		if (changed) {
			found += n;
			continue;
		}
		if (found > 0) {
			json_add_number(runs, left_out);
			json_add_number(runs, found);
			left_out = found = 0;
			n_runs++;
		}
		left_out += n;
	}
	if (found > 0) {
		json_add_number(runs, left_out);
		json_add_number(runs, found);
	}
}

int serve_changes_now(const struct serve_backup *backup, const struct json_t *request,
		      struct error *err)
{
	const struct served *served = drive_of(backup, request);
	struct capture_since since = {0};
	struct json_t *message, *told;
	uint64_t at;

	if (served == NULL || !json_member_number(request, "from", &at))
		return fail(err, ERR_USAGE, "changes of which drive?");
	message = json_new();
	told = json_put_object(message, "return");
	if (serve_judge(served, request, json_member_text(request, "token"), &since) == NULL) {
		json_put_bool(told, "known", true);
		at = least(at, generation_n_clusters(served->map));
		add_runs(json_put_array(told, "runs"), served->map, since.generation, &at);
		json_put_number(told, "next", at);
	}
	return message_send(backup->fd, message, -1, err);
}

/* Of a checkpoint, whatever its archive: for who reads a snapshot, before and after the instant. */
int serve_changed_since(const struct serve_backup *backup, int fd, const struct json_t *request,
			struct error *err)
{
	const struct served *served = drive_of(backup, request);
	const char *name = json_member_text(request, "name");
	struct checkpoint found;
	struct json_t *message, *told;
	uint64_t at;

	if (served == NULL || name == NULL || !json_member_number(request, "from", &at))
		return fail(err, ERR_USAGE, "changes of which drive?");
	if (served->map == NULL)
		return fail(err, ERR_USAGE, "the server has no maps: its drives are read only");
	if (!checkpoints_find(generation_checkpoints(served->map), name, &found) || !found.good)
		return fail(err, ERR_USAGE, "drive %s: has no good checkpoint %.127s",
			    served->argument.name, name);
	if (!generation_is_sure(served->map, found.generation))
		return fail(err, ERR_SYSTEM,
			    "drive %s: could not be flushed, and may have gone back to older data",
			    served->argument.name);
	message = json_new();
	told = json_put_object(message, "return");
	at = least(at, generation_n_clusters(served->map));
	add_runs(json_put_array(told, "runs"), served->map, found.generation, &at);
	json_put_number(told, "next", at);
	return message_send(fd, message, -1, err);
}

/* ---- what the drive has by now ---- */

static bool are_zeros(struct drive *drive, uint64_t cluster, uint64_t n_clusters)
{
	uint64_t offset = cluster * CLUSTER_SIZE, n;
	struct error ignored;
	bool zero = false;

	return drive_status(drive, offset, &n, &zero, &ignored) == 0 && zero &&
	       n >= least(n_clusters * CLUSTER_SIZE, drive_size(drive) - offset);
}

/* Runs of clusters of a drive, and where their bytes go, if they are no zeros. */
struct look {
	struct drive *drive;
	uint64_t cluster[CHUNK_CLUSTERS], n[CHUNK_CLUSTERS];
	unsigned n_runs;
	uint64_t n_clusters; /* of all, CHUNK_CLUSTERS at most */
};

static bool add_run(struct look *look, uint64_t cluster, uint64_t n)
{
	uint64_t n_clusters = clusters_of(drive_size(look->drive));
	bool unused;

	if (n == 0 || n > CHUNK_CLUSTERS - look->n_clusters || cluster >= n_clusters ||
	    n > n_clusters - cluster)
		return false;
	look->cluster[look->n_runs] = cluster;
	look->n[look->n_runs++] = n;
	look->n_clusters += n;
	drive_expect(look->drive, cluster * CLUSTER_SIZE, n * CLUSTER_SIZE, &unused);
	return true;
}

/* All of it is announced before any of it is read. */
static bool read_look(struct look *look, const struct json_t *request)
{
	const struct json_t *more = json_member(request, "more");
	uint64_t cluster, n;

	if (!json_member_number(request, "cluster", &cluster) ||
	    !json_member_number(request, "n", &n) || !add_run(look, cluster, n))
		return false;
	for (size_t i = 0; i < json_length(more); i += 2) {
		if (!json_item_number(more, i, &cluster) || !json_item_number(more, i + 1, &n) ||
		    !add_run(look, cluster, n))
			return false;
	}
	return true;
}

static int look(const struct look *look, uint8_t *bytes, bool *zeros, struct error *err)
{
	for (unsigned i = 0; i < look->n_runs; bytes += look->n[i++] * CLUSTER_SIZE) {
		zeros[i] = are_zeros(look->drive, look->cluster[i], look->n[i]);
		if (!zeros[i])
			TRY(drive_read_clusters(look->drive, look->cluster[i], look->n[i], bytes,
						err));
	}
	return 0;
}

int serve_look(const struct serve_backup *backup, const struct json_t *request, struct error *err)
{
	const struct served *served = drive_of(backup, request);
	struct look what = {.drive = served != NULL ? served->drive : NULL};
	struct json_t *message, *told, *more;
	bool zeros[CHUNK_CLUSTERS] = {false};
	uint8_t *bytes;

	if (served == NULL || backup->prepared != NULL || !read_look(&what, request))
		return fail(err, ERR_USAGE, "a look at what is not there");
	TRY(buffer_begin(backup->buffer, (uint32_t)what.n_clusters, &bytes, err));
	TRY(look(&what, bytes, zeros, err));
	message = json_new();
	told = json_put_object(message, "return");
	json_put_bool(told, "zeros", zeros[0]);
	more = json_put_array(told, "more");
	for (unsigned i = 1; i < what.n_runs; i++)
		json_add_number(more, zeros[i]);
	return message_send(backup->fd, message, -1, err);
}

/* ---- a map that is wrong ---- */

/* One in memory need not begin anew, which only a file can do while guests write. */
int serve_distrust(const struct serve_backup *backup, const struct json_t *request,
		   struct error *err)
{
	const struct served *served = drive_of(backup, request);
	char token[GENERATION_TOKEN_SIZE];
	struct json_t *message;

	if (served == NULL || served->map == NULL || backup->prepared != NULL)
		return fail(err, ERR_USAGE, "distrust of which drive?");
	if (served->map_file != NULL)
		generation_restart(served->map);
	else
		generation_drop(served->map);
	backup->serve->drives[served - backup->serve->drives].distrusted = true;
	generation_token(token, generation_id(served->map), generation_current(served->map));
	message = json_make("{s:{s:s}}", "return", "token", token);
	return message_send(backup->fd, message, -1, err);
}
