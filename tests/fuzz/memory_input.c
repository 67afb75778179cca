/* All of input.h over bytes in memory: path and filters play no part. What is missing here would
 * bring the real one in, and clash with it. */
#include "reader/input/input.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

struct input {
	const uint8_t *bytes;
	size_t size, at;
};

static struct input memory;

void memory_input_use(const uint8_t *bytes, size_t size)
{
	memory = (struct input){bytes, size, 0};
}

int input_open(struct input **out, const char *path, struct error *err)
{
	(void)path, (void)err;
	*out = &memory;
	return 0;
}

int input_open_damaged(struct input **out, const char *path, struct error *err)
{
	return input_open(out, path, err);
}

void input_close(struct input *in)
{
	(void)in;
}

int input_read_some(struct input *in, void *buffer, size_t n, size_t *got, struct error *err)
{
	(void)err;
	*got = n < in->size - in->at ? n : in->size - in->at;
	if (*got > 0)
		memcpy(buffer, in->bytes + in->at, *got);
	in->at += *got;
	return 0;
}

int input_read(struct input *in, void *buffer, size_t n, struct error *err)
{
	size_t got;
	TRY(input_read_some(in, buffer, n, &got, err));
	return got == n ? 0
			: fail_at(err, ERR_INCOMPLETE, in->at, "incomplete: the end is missing");
}

int input_check(struct input *in, struct error *err)
{
	(void)in, (void)err;
	return 0;
}

uint64_t input_position(const struct input *in)
{
	return in->at;
}

uint64_t input_size(const struct input *in)
{
	return in->size;
}

/* Past the end as with a file: reading there gives nothing. */
bool input_is_far(const struct input *in)
{
	(void)in;
	return false;
}

int input_seek(struct input *in, uint64_t position, uint64_t end, struct error *err)
{
	(void)end;
	if (position > INT64_MAX)
		return fail(err, ERR_SYSTEM, "cannot seek");
	in->at = position < in->size ? (size_t)position : in->size;
	return 0;
}

void input_expect(struct input *in, const uint64_t *positions, unsigned n)
{
	(void)in, (void)positions, (void)n;
}

int input_read_at(struct input *in, uint64_t position, void *to, size_t n, struct error *err)
{
	if (position > in->size || n > in->size - position)
		return fail_at(err, ERR_INCOMPLETE, position, "incomplete: the end is missing");
	memcpy(to, in->bytes + position, n);
	return 0;
}

void input_expect_random(struct input *in)
{
	(void)in;
}

void input_limit(struct input *in, uint64_t bytes_per_s)
{
	(void)in, (void)bytes_per_s;
}

const char *input_filter(const struct input *in)
{
	(void)in;
	return NULL;
}

uint64_t input_taken(const struct input *in)
{
	return in->at;
}

uint64_t input_file_size(const struct input *in)
{
	return in->size;
}
