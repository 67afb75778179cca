/*
 * JSON objects to be printed or sent, and those that came. All is built on jansson, which this
 * file's .c alone knows.
 *
 * Every function takes a NULL object and does nothing then, so that callers need not ask whether
 * JSON is wanted.
 *
 * Without memory a document that is being made lacks something, and json_line and json_print refuse
 * it.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

struct json_t;

struct json_t *json_new(void);
/* As json_pack and json_unpack of jansson, whose manual has the formats: "{s:s, s:I}". Texts have
 * to be UTF-8. json_make: owned, NULL without memory; what "o" puts in is taken over in any case.
 * json_read: false when it is not of that form; texts are borrowed from the object. */
struct json_t *json_make(const char *format, ...);
struct json_t *json_make_v(const char *format, va_list arguments);
bool json_read(const struct json_t *object, const char *format, ...);
/* Objects that become part of another one; NULL when parent is. Borrowed: the parent owns them. */
struct json_t *json_put_object(struct json_t *parent, const char *key);
struct json_t *json_put_array(struct json_t *parent, const char *key);
struct json_t *json_add_object(struct json_t *array);

/* Puts an owned object, or NULL, in. */
void json_put(struct json_t *object, const char *key, struct json_t *value);
/* Puts all members of another object in, too. */
void json_put_all(struct json_t *object, struct json_t *from);
/* The array of that name, made if need be. */
struct json_t *json_get_array(struct json_t *object, const char *key);

/* Text that is not UTF-8 is escaped as in messages; NULL is put as null. */
void json_put_text(struct json_t *object, const char *key, const char *text);
void json_add_text(struct json_t *array, const char *text);
/* Bytes of an archive: a text when they are UTF-8, else escaped, and key_hex holds them in
 * hexadecimal. */
void json_put_bytes(struct json_t *object, const char *key, struct text bytes);
void json_put_number(struct json_t *object, const char *key, uint64_t number);
void json_put_real(struct json_t *object, const char *key, double number);
void json_put_bool(struct json_t *object, const char *key, bool value);
void json_put_null(struct json_t *object, const char *key);

/* One document and a line feed, ASCII only. Frees the object. False: it is not whole, for want of
 * memory. */
bool json_print(struct json_t *object, FILE *to);
void json_free(struct json_t *object);

/* ---- what came from elsewhere ---- */

/* An object; NULL: it is none, or errno is ENOMEM. Owned. */
struct json_t *json_parse(const char *text, size_t length);
/* On one line, ASCII only. Owned by the caller; NULL: no memory, now or when it was made. */
char *json_line(struct json_t *object);

/* A member, or NULL; borrowed. */
struct json_t *json_member(const struct json_t *object, const char *key);
/* NULL, false: there is none of that kind, or it is below zero. Texts are borrowed. */
const char *json_member_text(const struct json_t *object, const char *key);
bool json_member_number(const struct json_t *object, const char *key, uint64_t *out);
bool json_member_bool(const struct json_t *object, const char *key);
/* An array; a value that is not there, or null. NULL-safe. */
bool json_is_list(const struct json_t *value);
bool json_is_nothing(const struct json_t *value);
/* Of an array; 0, NULL and false for anything else. */
size_t json_length(const struct json_t *array);
struct json_t *json_item(const struct json_t *array, size_t i);
const char *json_item_text(const struct json_t *array, size_t i);
bool json_item_number(const struct json_t *array, size_t i, uint64_t *out);
void json_add_number(struct json_t *array, uint64_t number);
struct json_t *json_add_array(struct json_t *array);

/* Puts an owned value at the end. */
void json_add(struct json_t *array, struct json_t *value);
/* Another owner. */
struct json_t *json_share(struct json_t *object);

#endif
