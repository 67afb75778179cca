/*
 * What a capture does with volumes. Private to cow/volume.c and cow/capture*.c.
 */
#ifndef COW_VOLUME_H
#define COW_VOLUME_H

#include "cow/capture.h"

struct captured; /* a volume's part in a capture */

/* For one capture alone. False: it is in one already. */
bool volume_claim(struct volume *volume);
void volume_unclaim(struct volume *volume);

/* The instant: no request that changes something begins between hold and let_go; after a drain that
 * returned true (false: not before clock_ms() was until_ms) none is in flight either. */
void volume_hold(struct volume *volume);
bool volume_drain(struct volume *volume, int64_t until_ms);
void volume_let_go(struct volume *volume);

/* While held and drained: from now on requests go by way of *captured. */
void volume_arm(struct volume *volume, struct captured *captured);
/* Any time. When it returns no request looks at *captured any more. */
void volume_disarm(struct volume *volume);

/* Whether a request came within the last second. */
bool volume_is_at_work(const struct volume *volume);

#endif
