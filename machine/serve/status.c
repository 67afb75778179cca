#include "machine/serve/state.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put_map(struct json_t *drive, const struct served *served)
{
	struct json_t *map;
	uint16_t current;
	char id[17];

	if (served->map == NULL) {
		json_put_null(drive, "map");
		return;
	}
	map = json_put_object(drive, "map");
	json_put_text(map, "file", served->map_file);
	current = generation_current(served->map);
	json_put_text(map, "trust", map_trust_text(generation_trust(served->map)));
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)generation_id(served->map));
	json_put_text(map, "id", id);
	json_put_number(map, "generation", current);
	json_put_number(map, "changed_clusters",
			generation_count(served->map, (uint16_t)(current - 1)));
}

/* Drives that are given are the first ones, in their order. */
static void put_filled(struct json_t *drive, const struct serve *serve, uint32_t i)
{
	const struct serve_given *given =
		serve->drives[i].is_given ? &serve->options->given[i] : NULL;

	if (given != NULL && given->missing_bytes != NULL)
		json_put_number(drive, "filled_bytes",
				serve->drives[i].size_bytes - given->missing_bytes(given->drive));
	else
		json_put_null(drive, "filled_bytes");
}

static void put_drive(struct json_t *drives, struct serve *serve, uint32_t i)
{
	const struct served *served = &serve->drives[i];
	struct json_t *drive = json_add_object(drives);
	char *path = served_path(serve, served);

	json_put_text(drive, "name", served->argument.name);
	json_put_text(drive, "path", path);
	json_put_number(drive, "size_bytes", served->size_bytes);
	json_put_number(drive, "n_connections", nbdserver_export_users(serve->nbd, i));
	put_map(drive, served);
	put_filled(drive, serve, i);
	free(path);
}

void serve_counts(struct json_t *out, const struct capture *capture, const struct buffer *buffer)
{
	const struct buffer_counts *counts = buffer_counts(buffer);
	struct capture_status status;

	capture_status(capture, &status);
	json_put_number(out, "n_clusters", status.n_clusters);
	json_put_number(out, "todo_clusters", status.todo_clusters);
	json_put_number(out, "sweep_clusters", status.swept_clusters);
	json_put_number(out, "guest_clusters", status.saved_clusters);
	json_put_number(out, "zero_clusters", status.zero_clusters);
	json_put_number(out, "read_bytes", status.read_clusters * CLUSTER_SIZE);
	json_put_number(out, "spilled_clusters", atomic_load(&counts->spilled_clusters));
	json_put_number(out, "buffer_peak_bytes", atomic_load(&counts->peak_bytes));
	json_put_number(out, "quiesce_ns", status.quiesce_ns);
	json_put_number(out, "guest_writes", status.delays.n);
	json_put_number(out, "delay_p50_ns", status.delays.p50_ns);
	json_put_number(out, "delay_p99_ns", status.delays.p99_ns);
	json_put_number(out, "delay_max_ns", status.delays.max_ns);
}

/* Nothing is told of a backup before its instant. */
static void put_backup_locked(struct json_t *out, const struct serve_backup *backup)
{
	struct json_t *object;

	if (backup == NULL || backup->capture == NULL) {
		json_put_null(out, "backup");
		return;
	}
	object = json_put_object(out, "backup");
	json_put_bool(object, "snapshot", backup->snapshot);
	json_put_real(object, "duration_s", clock_s() - backup->began_s);
	json_put_number(object, "n_drives", backup->n_volumes);
	json_put_number(object, "buffer_fill", buffer_fill(backup->buffer));
	serve_counts(object, backup->capture, backup->buffer);
}

void serve_status(struct serve *serve, struct json_t *out)
{
	struct json_t *drives, *places;

	json_put_number(out, "pid", (uint64_t)getpid());
	json_put_real(out, "duration_s", clock_s() - serve->began_s);
	json_put_bool(out, "read_only", serve->options->read_only);
	json_put_number(out, "n_connections", nbdserver_n_connections(serve->nbd));
	places = json_put_array(out, "nbd");
	for (unsigned i = 0; i < serve->options->nbd.n; i++)
		json_add_text(places, serve->options->nbd.items[i]);
	drives = json_put_array(out, "drives");
	for (uint32_t i = 0; i < serve->n_drives; i++)
		put_drive(drives, serve, i);
	pthread_mutex_lock(&serve->lock);
	json_put_number(out, "n_backups_done", serve->n_backups_done);
	json_put_number(out, "n_backups_failed", serve->n_backups_failed);
	put_backup_locked(out, serve->backup);
	pthread_mutex_unlock(&serve->lock);
}
