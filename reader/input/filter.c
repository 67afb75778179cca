#include "reader/input/parts.h"

#include <stdlib.h>
#include <string.h>

static const struct kind {
	const char *name;
	const struct decoder *decoder;
	uint8_t length;
	uint8_t magic[FILTER_MAGIC_MAX];
} kinds[] = {
	{"zstd", &decoder_zstd, 4, {0x28, 0xb5, 0x2f, 0xfd}},
	/* To 5f: a skippable frame, as pzstd begins with. */
	{"zstd", &decoder_zstd, 4, {0x50, 0x2a, 0x4d, 0x18}},
	{"gzip", &decoder_gzip, 3, {0x1f, 0x8b, 0x08}},
	{"lzop", &decoder_foreign, 9, {0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n'}},
	{"xz", &decoder_foreign, 6, {0xfd, '7', 'z', 'X', 'Z', 0}},
	{"bzip2", &decoder_foreign, 3, {'B', 'Z', 'h'}},
};
#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

struct filter {
	const struct kind *kind;
	struct compressed in;
	uint64_t position; /* bytes handed out */
	void *state;	   /* the decoder's */
};

static const struct kind *recognise(const uint8_t *bytes, size_t n)
{
	uint8_t first[FILTER_MAGIC_MAX] = {0};

	if (n > 0)
		memcpy(first, bytes, n < sizeof(first) ? n : sizeof(first));
	if (first[0] >= 0x50 && first[0] <= 0x5f)
		first[0] = 0x50;
	for (size_t i = 0; i < N_KINDS; i++)
		if (n >= kinds[i].length && memcmp(first, kinds[i].magic, kinds[i].length) == 0)
			return &kinds[i];
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
	filter->kind = recognise(in->buffer, in->n_buffered);
	filter->in = *in;
	if (filter->kind == NULL)
		filter->kind = &kinds[0]; /* tolerant */
	int code =
		filter->kind->decoder->open(&filter->state, &filter->in, filter->kind->name, err);
	if (code == 0)
		*out = filter;
	else
		filter_close(filter);
	return code;
}

int filter_read(struct filter *filter, void *buffer, size_t n, size_t *got, struct error *err)
{
	TRY(filter->kind->decoder->read(filter->state, filter->position, buffer, n, got, err));
	filter->position += *got;
	return 0;
}

const char *filter_name(const struct filter *filter)
{
	return filter->kind->name;
}

void filter_close(struct filter *filter)
{
	if (filter == NULL)
		return;
	filter->kind->decoder->close(filter->state);
	free(filter);
}
