#include "writer/output/compare.h"

#include "base/grain.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STEP 65536u

static size_t count_same(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;

	if (memcmp(a, b, n) == 0)
		return n;
	while (a[i] == b[i])
		i++;
	return i;
}

int compare_file(int fd, uint64_t position, const uint8_t *bytes, size_t n, size_t *same,
		 struct error *err)
{
	uint8_t there[STEP];
	size_t at = 0;

	while (at < n) {
		ssize_t got = pread(fd, there, least(n - at, STEP), (off_t)(position + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_system(err, errno, "reading at byte %llu",
					   (unsigned long long)(position + at));
		size_t equal = count_same(there, bytes + at, (size_t)got);
		at += equal;
		if (got == 0 || equal < (size_t)got)
			break;
	}
	*same = at;
	return 0;
}
