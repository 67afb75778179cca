/*
 * What the state of a mirror is, for people.
 */
#ifndef CLI_TELL_MIRROR_H
#define CLI_TELL_MIRROR_H

struct json_t;

/* "mirror", as status returns it. */
void tell_mirror(const struct json_t *mirror);

#endif
