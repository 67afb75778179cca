#include "reader/input/compressed.h"

int compressed_read(struct compressed *in, size_t *got, struct error *err)
{
	*got = in->n_buffered;
	in->n_buffered = 0;
	if (*got == 0)
		TRY(descriptor_read(in->from, in->buffer, in->buffer_size, got, err));
	in->ended = in->from->ended;
	return 0;
}
