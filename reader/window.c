#include "reader/salvage_parts.h"
#include "reader/input/input.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int window_open(struct window *out, struct error *err)
{
	*out = (struct window){.bytes = malloc(WINDOW_SIZE)};
	return out->bytes != NULL ? 0 : fail_memory(err);
}

void window_close(struct window *window)
{
	free(window->bytes);
}

void window_start(struct window *window, struct input *in)
{
	*window = (struct window){.in = in, .bytes = window->bytes};
}

/* Reads as much as there is room for, so that the rest seldom has to be moved. */
size_t window_fill(struct window *window, size_t n)
{
	size_t got = 0, there = window->end - window->begin;

	assert(n <= WINDOW_SIZE);
	if (there >= n || window->ended)
		return there;
	memmove(window->bytes, window->bytes + window->begin, there);
	window->begin = 0;
	int code = input_read_some(window->in, window->bytes + there, WINDOW_SIZE - there, &got,
				   &window->why);
	window->end = there + got;
	window->ended = code != 0 || window->end < WINDOW_SIZE;
	return window->end;
}

void window_skip(struct window *window, size_t n)
{
	assert(n <= window->end - window->begin);
	window->begin += n;
	window->at += n;
}
