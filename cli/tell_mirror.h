/*
 * What the state of a mirror is, for people.
 */
#ifndef CLI_TELL_MIRROR_H
#define CLI_TELL_MIRROR_H

struct json_t;

/* Both of "mirror", as status returns it. How guests that write faster than a target takes it are
 * slowed down there. */
const char *tell_mirror_remedy(const struct json_t *mirror);
void tell_mirror(const struct json_t *mirror);

#endif
