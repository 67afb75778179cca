/*
 * Memory for decoded extents. What an extent had is kept for the next ones: the system need not
 * make its pages anew. Private to archive/.
 */
#ifndef ARCHIVE_VIEW_ROOM_H
#define ARCHIVE_VIEW_ROOM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_SPARES 16u

struct view_room {
	pthread_mutex_t lock; /* guards the rest; nothing is waited for under it */
	struct {
		uint8_t *bytes; /* owned */
		size_t room;
	} spares[VIEW_SPARES];
	unsigned n;
};

void view_room_open(struct view_room *out);
void view_room_close(struct view_room *room);

/* At least size bytes; *got: how many. NULL: no memory. */
uint8_t *view_room_take(struct view_room *room, size_t size, size_t *got);
void view_room_give(struct view_room *room, uint8_t *bytes, size_t got); /* NULL-safe */

#endif
