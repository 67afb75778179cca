/* What may be around an archive: zstd, gzip, xz, bzip2. lzop is left out: it may be a program of
 * its own that is run. */
#include "reader/input/parts.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES_TRIED (32u << 20) /* what a small input may become */

static void try_filter(const uint8_t *data, size_t size, bool tolerant)
{
	static uint8_t begin[COMPRESSED_READ], out[1 << 16];
	struct filter *filter = NULL;
	struct error err = {0};
	size_t got = 1, first = size < 1000 ? size : 1000;
	uint64_t total = 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC), code;
	MUST(fd >= 0 && write(fd, data + first, size - first) == (ssize_t)(size - first));
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	memcpy(begin, data, first);
	struct descriptor from = descriptor_of(fd, "");
	struct compressed in = {.from = &from,
				.buffer = begin,
				.buffer_size = sizeof begin,
				.n_buffered = first,
				.tolerant = tolerant};
	code = filter_open(&filter, &in, &err);
	while (code == 0 && got > 0 && total < BYTES_TRIED) {
		code = filter_read(filter, out, sizeof out, &got, &err);
		MUST(code != 0 || got <= sizeof out);
		total += code == 0 ? got : 0;
	}
	MUST(code == 0 || err.text[0] != '\0');
	filter_close(filter);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < FILTER_MAGIC_MAX || data[0] == 0x89)
		return 0;
	if (filter_wanted(data, size))
		try_filter(data, size, false);
	try_filter(data, size, true); /* as for a salvage: taken for zstd, whatever it is */
	return 0;
}
