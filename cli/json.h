/*
 * JSON objects to be printed. All is built on jansson, which this file's .c alone knows.
 *
 * Every function takes a NULL object and does nothing then, so that callers need not ask whether
 * JSON is wanted.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "format/format.h"

#include <stdio.h>

struct json_t;

struct json_t *json_new(void);
/* Objects that become part of another one; NULL when parent is. Borrowed: the parent owns them. */
struct json_t *json_put_object(struct json_t *parent, const char *key);
struct json_t *json_put_array(struct json_t *parent, const char *key);
struct json_t *json_add_object(struct json_t *array);

/* Puts an owned object, or NULL, in. */
void json_put(struct json_t *object, const char *key, struct json_t *value);
/* The array of that name, made if need be. */
struct json_t *json_get_array(struct json_t *object, const char *key);

/* Text that is not UTF-8 is escaped as in messages. */
void json_put_text(struct json_t *object, const char *key, const char *text);
void json_add_text(struct json_t *array, const char *text);
/* Bytes of an archive: a text when they are UTF-8, else escaped, and key_hex holds them in
 * hexadecimal. */
void json_put_bytes(struct json_t *object, const char *key, struct text bytes);
void json_put_number(struct json_t *object, const char *key, uint64_t number);
/* Also below zero. */
void json_put_integer(struct json_t *object, const char *key, int64_t number);
void json_put_real(struct json_t *object, const char *key, double number);
void json_put_bool(struct json_t *object, const char *key, bool value);
void json_put_null(struct json_t *object, const char *key);

/* One document and a line feed, ASCII only. Frees the object. */
void json_print(struct json_t *object, FILE *to);
void json_free(struct json_t *object);

#endif
