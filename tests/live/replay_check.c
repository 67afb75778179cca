/*
 * Holds images against what dependent writers can have written; see tests/live/replay.h.
 *
 *	replay-check INITIAL... -- IMAGE...
 *	replay-check INITIAL... -- -
 *
 * INITIAL: each drive as it was before the writers began. IMAGE: as many, of one instant; then
 * those of a later one, and so on; or, with "-", lines of standard input that name the images of
 * one instant, between blanks. Each instant is answered by a line: "ok N", with N operations done
 *by then, or "FAILED: why". Exit code 0: all were right, 1: one was not.
 */
#include "tests/live/replay.h"

#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t *map(const char *path, uint64_t *size_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		err(1, "%s", path);
	void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	*size_bytes = (uint64_t)st.st_size;
	return bytes;
}

/* Checks one instant, and makes the replay of what the first one says. */
static bool check(struct replay **replay, uint8_t *const *contents, struct chain_set *sizes,
		  char *const *paths)
{
	uint8_t *images[CHAIN_DRIVES_MAX] = {0};
	const uint8_t *borrowed[CHAIN_DRIVES_MAX];
	uint64_t n_operations = 0;
	char text[400] = "no memory";
	bool ok = true;

	for (uint32_t i = 0; i < sizes->n_drives; i++) {
		uint64_t size_bytes;
		borrowed[i] = images[i] = map(paths[i], &size_bytes);
		if (size_bytes != sizes->size_bytes[i])
			errx(1, "%s: not of the size that drive %u had", paths[i], i);
	}
	if (*replay == NULL) {
		struct chain_set set;
		uint64_t operation;
		uint32_t chain, drive;
		if (!chain_parse(images[0], &set, &chain, &drive, &operation))
			errx(1, "%s: no header at the start", paths[0]);
		memcpy(set.size_bytes, sizes->size_bytes, sizeof set.size_bytes);
		if (set.n_drives != sizes->n_drives || chain_check(&set) != NULL)
			errx(1, "%s: the header is of %u drives, not %u, or damaged", paths[0],
			     set.n_drives, sizes->n_drives);
		*replay = replay_new(&set, contents);
	}
	ok = *replay != NULL && replay_check(*replay, borrowed, &n_operations, text, sizeof text);
	if (ok)
		printf("ok %" PRIu64 "\n", n_operations);
	else
		printf("FAILED: %s\n", text);
	fflush(stdout);
	for (uint32_t i = 0; i < sizes->n_drives; i++)
		munmap(images[i], sizes->size_bytes[i]);
	return ok;
}

static bool check_lines(struct replay **replay, uint8_t *const *contents, struct chain_set *sizes)
{
	char line[8192], *paths[CHAIN_DRIVES_MAX];
	bool ok = true;

	while (ok && fgets(line, sizeof line, stdin) != NULL) {
		uint32_t n = 0;
		for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
			if (n < CHAIN_DRIVES_MAX)
				paths[n] = word;
			n++;
		}
		if (n != sizes->n_drives)
			errx(2, "a line of %u images, not %u", n, sizes->n_drives);
		ok = check(replay, contents, sizes, paths);
	}
	return ok;
}

int main(int argc, char **argv)
{
	uint8_t *contents[CHAIN_DRIVES_MAX];
	struct chain_set sizes = {0};
	struct replay *replay = NULL;
	int at = 1;
	bool ok = true;

	for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
		if (sizes.n_drives == CHAIN_DRIVES_MAX)
			errx(2, "too many drives");
		contents[sizes.n_drives] = map(argv[at], &sizes.size_bytes[sizes.n_drives]);
		sizes.n_drives++;
	}
	int n_images = argc - at - 1;
	bool lines = n_images == 1 && strcmp(argv[argc - 1], "-") == 0;
	if (sizes.n_drives == 0 || n_images < 1 || (!lines && n_images % (int)sizes.n_drives != 0))
		errx(2, "usage: replay-check INITIAL... -- IMAGE... | -");
	if (lines)
		ok = check_lines(&replay, contents, &sizes);
	for (at++; !lines && ok && at < argc; at += (int)sizes.n_drives)
		ok = check(&replay, contents, &sizes, argv + at);
	replay_free(replay);
	return ok ? 0 : 1;
}
