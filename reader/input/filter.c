#include "reader/input/filter.h"

#include <stdlib.h>
#include <string.h>

struct filter {
	const char *name;
	struct compressed in;
	uint64_t position;     /* bytes handed out */
	struct gunzip *gunzip; /* one of the three */
	struct frames *frames;
	struct foreign *foreign;
};

static const struct {
	const char *name;
	uint8_t length;
	uint8_t magic[FILTER_MAGIC_MAX];
} kinds[] = {
	{"gzip", 3, {0x1f, 0x8b, 0x08}},
	{"zstd", 4, {0x28, 0xb5, 0x2f, 0xfd}},
	{"zstd", 4, {0x50, 0x2a, 0x4d, 0x18}}, /* to 5f: a skippable frame, as pzstd begins with */
	{"lzop", 9, {0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n'}},
	{"xz", 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
	{"bzip2", 3, {'B', 'Z', 'h'}},
};
#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

static const char *recognise(const uint8_t *bytes, size_t n)
{
	uint8_t first[FILTER_MAGIC_MAX] = {0};

	if (n > 0)
		memcpy(first, bytes, n < sizeof(first) ? n : sizeof(first));
	if (first[0] >= 0x50 && first[0] <= 0x5f)
		first[0] = 0x50;
	for (size_t i = 0; i < N_KINDS; i++)
		if (n >= kinds[i].length && memcmp(first, kinds[i].magic, kinds[i].length) == 0)
			return kinds[i].name;
	return NULL;
}

bool filter_wanted(const uint8_t *bytes, size_t n)
{
	return recognise(bytes, n) != NULL;
}

int filter_open(struct filter **out, const struct compressed *in, struct error *err)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	if (filter == NULL)
		return fail_memory(err);
	filter->name = recognise(in->buffer, in->n_buffered);
	filter->in = *in;
	if (filter->name == NULL)
		filter->name = "zstd"; /* tolerant */
	int code;
	if (strcmp(filter->name, "gzip") == 0)
		code = gunzip_open(&filter->gunzip, &filter->in, err);
	else if (strcmp(filter->name, "zstd") == 0)
		code = frames_open(&filter->frames, &filter->in, err);
	else
		code = foreign_open(&filter->foreign, &filter->in, filter->name, err);
	if (code == 0)
		*out = filter;
	else
		filter_close(filter);
	return code;
}

int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err)
{
	uint64_t position = filter->position;

	if (filter->gunzip != NULL)
		TRY(gunzip_read(filter->gunzip, position, buffer, n, got, err));
	else if (filter->frames != NULL)
		TRY(frames_read(filter->frames, position, buffer, n, got, err));
	else
		TRY(foreign_read(filter->foreign, position, buffer, n, got, err));
	filter->position += *got;
	return 0;
}

const char *filter_name(const struct filter *filter)
{
	return filter->name;
}

void filter_close(struct filter *filter)
{
	if (filter == NULL)
		return;
	gunzip_close(filter->gunzip);
	frames_close(filter->frames);
	foreign_close(filter->foreign);
	free(filter);
}
