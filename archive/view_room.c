#include "archive/view_room.h"

#include "base/grain.h"

#include <stdlib.h>

#define LARGE (1u << 20)
#define STEP  (512u << 10) /* of what is large, so that what one extent had fits the next */

void view_room_open(struct view_room *out)
{
	out->n = 0;
	pthread_mutex_init(&out->lock, NULL);
}

void view_room_close(struct view_room *room)
{
	for (unsigned i = 0; i < room->n; i++)
		free(room->spares[i].bytes);
	pthread_mutex_destroy(&room->lock);
}

uint8_t *view_room_take(struct view_room *room, size_t size, size_t *got)
{
	size_t step = size > LARGE ? STEP : CLUSTER_SIZE;
	uint8_t *bytes = NULL;

	*got = (size + step - 1) / step * step;
	pthread_mutex_lock(&room->lock);
	for (unsigned i = 0; i < room->n && bytes == NULL; i++) {
		if (room->spares[i].room != *got)
			continue;
		bytes = room->spares[i].bytes;
		room->spares[i] = room->spares[--room->n];
	}
	pthread_mutex_unlock(&room->lock);
	return bytes != NULL ? bytes : malloc(*got);
}

void view_room_give(struct view_room *room, uint8_t *bytes, size_t got)
{
	if (bytes == NULL)
		return;
	pthread_mutex_lock(&room->lock);
	if (room->n == VIEW_SPARES) {
		free(room->spares[0].bytes);
		room->spares[0] = room->spares[--room->n];
	}
	room->spares[room->n].bytes = bytes;
	room->spares[room->n++].room = got;
	pthread_mutex_unlock(&room->lock);
}
