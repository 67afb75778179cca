/*
 * URLs with what is secret in them. Private to store/.
 */
#ifndef STORE_SECRETS_H
#define STORE_SECRETS_H

/* The URL as it was given, for a name without what was secret in it; else the name. Borrowed. */
const char *secrets_of(const char *name);

#endif
