/*
 * An archive read in any order, or the newest instant of a chain: the index, extents, and what is
 * told to be zeros. The archives of a chain follow each other in the input, the newest first; with
 * an even size all are named, otherwise the parents are found in the folder of the first.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/look.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view *view = NULL;
	struct error err = {0};
	const char *names[LOOK_FILES];
	struct view_options options = {.archives = {names, 1}, .cache_bytes = 1, .n_threads = 1};
	unsigned n = 0;

	for (size_t at = 0, length; at < size && n < LOOK_FILES; at += length) {
		length = look_first_archive(data + at, size - at);
		names[n] = look_write_file(n, data + at, length);
		n++;
	}
	if (size % 2 == 0)
		options.archives.n = n;
	if (n > 0 && view_open(&view, &options, NULL, &err) == 0)
		look_everywhere(view, NULL);
	else
		MUST(n == 0 || err.text[0] != '\0');
	view_close(view);
	look_remove_files();
	return 0;
}
