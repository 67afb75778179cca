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

/* How many of these n bytes the file has at position before the first one that is another. */
static int compare_file(int fd, uint64_t position, const uint8_t *bytes, size_t n, size_t *same,
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

int kept_cut(struct kept_file *kept, int fd, const char *name, uint64_t position, struct error *err)
{
	kept->n_bytes = position;
	return ftruncate(fd, (off_t)position) == 0 && lseek(fd, (off_t)position, SEEK_SET) >= 0
		       ? 0
		       : fail_system(err, errno, "%s: cutting it at byte %llu", name,
				     (unsigned long long)position);
}

int kept_compare(struct kept_file *kept, int fd, const char *name, uint64_t position,
		 const struct iovec *bytes, size_t *done, struct error *err)
{
	size_t n = least(bytes->iov_len, kept->n_bytes - position);

	if (compare_file(fd, position, bytes->iov_base, n, done, err) != 0) {
		error_prefix(err, "%s", name);
		return err->code;
	}
	position += *done;
	if (*done == n && position < kept->n_bytes)
		return 0;
	kept->differs = *done < n && !kept->is_damaged(fd, position);
	if (!kept->differs)
		return kept_cut(kept, fd, name, position, err);
	return fail(
		err, ERR_SYSTEM,
		"%s: what the run before has left is not what is written now, from byte %llu on",
		name, (unsigned long long)position);
}
