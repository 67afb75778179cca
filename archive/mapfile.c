#include "archive/mapfile.h"

#include "base/newfile.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static char letter_of(enum cluster_state state)
{
	return state == CLUSTER_GOOD ? '+' : state == CLUSTER_LOST ? '-' : '?';
}

/* Runs of one letter share a line; unproved and absent clusters have the same letter. */
static void print_lines(FILE *file, const struct cluster_map *map, uint64_t size_bytes)
{
	uint64_t cluster = 0, begin = 0, n;
	enum cluster_state state = CLUSTER_LOST;
	char letter = '\0';

	fputs("# Mapfile. Created by vmabak salvage\n"
	      "# + proved good, ? without proof, - lost\n"
	      "# current_pos  current_status  current_pass\n"
	      "0x00000000     +               1\n"
	      "#      pos        size  status\n",
	      file);
	while ((n = cluster_map_run(map, cluster, &state)) > 0) {
		if (letter != '\0' && letter_of(state) != letter) {
			fprintf(file, "0x%08llX  0x%08llX  %c\n", (unsigned long long)begin,
				(unsigned long long)(cluster * CLUSTER_SIZE - begin), letter);
			begin = cluster * CLUSTER_SIZE;
		}
		letter = letter_of(state);
		cluster += n;
	}
	if (letter != '\0')
		fprintf(file, "0x%08llX  0x%08llX  %c\n", (unsigned long long)begin,
			(unsigned long long)(size_bytes - begin), letter);
}

static int write_lines(FILE *file, const char *path, const struct cluster_map *map,
		       uint64_t size_bytes, bool sync, struct error *err)
{
	print_lines(file, map, size_bytes);
	if (ferror(file) || fflush(file) != 0 || (sync && fsync(fileno(file)) != 0)) {
		int sys = errno != 0 ? errno : EIO;

		fclose(file);
		return fail_system(err, sys, "%s", path);
	}
	return fclose(file) != 0 ? fail_system(err, errno, "%s", path) : 0;
}

int mapfile_write(const char *path, const struct cluster_map *map, uint64_t size_bytes, bool sync,
		  struct error *err)
{
	struct newfile *temp = NULL;
	FILE *file;
	int fd = -1, code;

	TRY(newfile_create(&temp, &fd, path, err));
	file = fdopen(fd, "w");
	if (file == NULL) {
		code = fail_system(err, errno, "%s", path);
		close(fd);
		goto out;
	}
	code = write_lines(file, path, map, size_bytes, sync, err);
	if (code == 0)
		code = newfile_publish(temp, false, sync, err);
out:
	newfile_free(temp);
	return code;
}
