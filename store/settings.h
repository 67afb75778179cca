/*
 * What the command line says of object stores. Private to store/.
 */
#ifndef STORE_SETTINGS_H
#define STORE_SETTINGS_H

extern const char *store_endpoint; /* or NULL */

#endif
