#include "machine/serve/serve.h"

#include "base/json.h"

#include <stdio.h>
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
	if (served->map_file != NULL)
		json_put_text(map, "file", served->map_file);
	else
		json_put_null(map, "file");
	current = generation_current(served->map);
	json_put_text(map, "trust", map_trust_text(generation_trust(served->map)));
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)generation_id(served->map));
	json_put_text(map, "id", id);
	json_put_number(map, "generation", current);
	json_put_number(map, "changed_clusters",
			generation_count(served->map, (uint16_t)(current - 1)));
}

static void put_drive(struct json_t *drives, const struct serve *serve, uint32_t i)
{
	const struct served *served = &serve->drives[i];
	struct json_t *drive = json_add_object(drives);

	json_put_text(drive, "name", served->argument.name);
	json_put_text(drive, "path", served->argument.path);
	json_put_number(drive, "size_bytes", drive_size(served->drive));
	json_put_number(drive, "n_connections", nbdserver_export_users(serve->nbd, i));
	put_map(drive, served);
}

void serve_status(struct serve *serve, struct json_t *out)
{
	struct json_t *drives, *places;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	json_put_number(out, "pid", (uint64_t)getpid());
	json_put_real(out, "duration_s",
		      (double)(now.tv_sec - serve->began.tv_sec) +
			      (double)(now.tv_nsec - serve->began.tv_nsec) / 1e9);
	json_put_bool(out, "read_only", serve->options->read_only);
	json_put_number(out, "n_connections", nbdserver_n_connections(serve->nbd));
	places = json_put_array(out, "nbd");
	for (unsigned i = 0; i < serve->options->nbd.n; i++)
		json_add_text(places, serve->options->nbd.items[i]);
	drives = json_put_array(out, "drives");
	for (uint32_t i = 0; i < serve->n_drives; i++)
		put_drive(drives, serve, i);
	serve_backup_status(serve, out);
}
