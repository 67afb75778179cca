/*
 * What a capture needs of volumes. Private to cow/volume.c and cow/capture*.c.
 */
#ifndef COW_VOLUME_H
#define COW_VOLUME_H

#include "cow/capture.h"

struct captured; /* a volume's part in a capture */

/* Reserves it for one capture. False: it is in a capture already. */
bool volume_claim(struct volume *volume);
void volume_unclaim(struct volume *volume);

/* The instant: no request that changes data begins between hold and let_go. After a drain that
 * returned true none is in flight either; false: not by the time clock_ms() was until_ms. */
void volume_hold(struct volume *volume);
bool volume_drain(struct volume *volume, int64_t until_ms);
void volume_let_go(struct volume *volume);

/* While held and drained: from now on requests go through *captured. */
void volume_arm(struct volume *volume, struct captured *captured);
/* At any time. When it returns, no request uses *captured any more. */
void volume_disarm(struct volume *volume);

/* Whether a request came within the last second. */
bool volume_guest_is_active(const struct volume *volume);

#endif
