#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Without memory jansson gives NULL, takes it as a value that cannot be put, or leaves out a part
 * of a text: a document that lacks something must not pass for one that is whole. Which one it is
 * needs no memory to remember: a thread makes and sends one after the other, but for the one that
 * is printed in the end, which then counts as spoilt too. */
static _Thread_local struct {
	bool next; /* what this thread makes now lacks something */
	bool any;  /* something that it has made did */
} lacking;

static void lack(void)
{
	lacking.next = lacking.any = true;
}

static void *allocate(size_t size)
{
	void *new = malloc(size);

	if (new == NULL)
		lack();
	return new;
}

static void set_allocator(void)
{
	json_set_alloc_funcs(allocate, free);
}

/* Before the first document is made or read. */
static void start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_allocator);
}

static json_t *made(json_t *value)
{
	if (value == NULL)
		lack();
	return value;
}

/* These two take value over in any case. NULL objects and arrays are not wanted. */
static void put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0 && object != NULL)
		lack();
}

static void append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0 && array != NULL)
		lack();
}

struct json_t *json_new(void)
{
	start();
	return made(json_object());
}

struct json_t *json_make_v(const char *format, va_list arguments)
{
	start();
	return made(json_vpack_ex(NULL, 0, format, arguments));
}

struct json_t *json_make(const char *format, ...)
{
	struct json_t *value;
	va_list arguments;

	va_start(arguments, format);
	value = json_make_v(format, arguments);
	va_end(arguments);
	return value;
}

bool json_read(const struct json_t *object, const char *format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = json_vunpack_ex((json_t *)(uintptr_t)object, NULL, 0, format, arguments);
	va_end(arguments);
	return object != NULL && result == 0;
}

struct json_t *json_put_object(struct json_t *parent, const char *key)
{
	json_t *object = parent == NULL ? NULL : made(json_object());

	put(parent, key, object);
	return object;
}

struct json_t *json_put_array(struct json_t *parent, const char *key)
{
	json_t *array = parent == NULL ? NULL : made(json_array());

	put(parent, key, array);
	return array;
}

struct json_t *json_add_object(struct json_t *array)
{
	json_t *object = array == NULL ? NULL : made(json_object());

	append(array, object);
	return object;
}

void json_put(struct json_t *object, const char *key, struct json_t *value)
{
	if (object != NULL && value != NULL)
		put(object, key, value);
}

void json_put_all(struct json_t *object, struct json_t *from)
{
	if (object != NULL && json_object_update(object, from) != 0)
		lack();
}

struct json_t *json_get_array(struct json_t *object, const char *key)
{
	json_t *array = json_object_get(object, key);

	return array != NULL ? array : json_put_array(object, key);
}

/* A string of these bytes; escaped when they are not UTF-8. *plain tells which. NULL: no memory. */
static json_t *make_text(const char *bytes, size_t length, bool *plain)
{
	char *escaped;
	json_t *text = json_stringn(bytes, length);

	*plain = text != NULL || lacking.next;
	if (*plain)
		return text;
	escaped = calloc(length + 1, 4);
	if (escaped == NULL)
		return NULL;
	escape_text(escaped, (length + 1) * 4, (const uint8_t *)bytes, length);
	text = json_string(escaped);
	free(escaped);
	return text;
}

void json_put_text(struct json_t *object, const char *key, const char *text)
{
	bool plain;

	if (object != NULL)
		put(object, key,
		    text != NULL ? make_text(text, strlen(text), &plain) : json_null());
}

void json_add_text(struct json_t *array, const char *text)
{
	bool plain;

	if (array != NULL)
		append(array, make_text(text, strlen(text), &plain));
}

static void put_hex(json_t *object, const char *key, struct text bytes)
{
	char *hex = calloc((size_t)bytes.length + 1, 2);

	for (uint32_t i = 0; hex != NULL && i < bytes.length; i++)
		sprintf(hex + 2 * (size_t)i, "%02x", bytes.bytes[i]);
	put(object, key, hex == NULL ? NULL : json_string(hex));
	free(hex);
}

void json_put_bytes(struct json_t *object, const char *key, struct text bytes)
{
	char hex_key[64];
	bool plain;

	if (object == NULL)
		return;
	/* No pointer may be NULL, not even to nothing. */
	put(object, key,
	    make_text(bytes.length == 0 ? "" : (const char *)bytes.bytes, bytes.length, &plain));
	if (plain)
		return;
	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	put_hex(object, hex_key, bytes);
}

void json_put_number(struct json_t *object, const char *key, uint64_t number)
{
	put(object, key,
	    number <= INT64_MAX ? json_integer((json_int_t)number) : json_real((double)number));
}

void json_put_real(struct json_t *object, const char *key, double number)
{
	put(object, key, json_real(number));
}

void json_put_bool(struct json_t *object, const char *key, bool value)
{
	put(object, key, json_boolean(value));
}

void json_put_null(struct json_t *object, const char *key)
{
	put(object, key, json_null());
}

bool json_print(struct json_t *object, FILE *to)
{
	if (object == NULL)
		return true;
	/* Errors in writing are seen when the stream is flushed. */
	json_dumpf(object, to, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	json_decref(object);
	if (lacking.any)
		return false;
	fputc('\n', to);
	return true;
}

void json_free(struct json_t *object)
{
	json_decref(object);
}

/* ---- what came from elsewhere ---- */

struct json_t *json_parse(const char *text, size_t length)
{
	bool lacked = lacking.next, lacked_any = lacking.any, no_memory;
	json_t *object;

	start();
	lacking.next = false;
	object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	no_memory = lacking.next;
	lacking.next = lacked;
	lacking.any = lacked_any;
	if (json_is_object(object) && !no_memory)
		return object;
	json_decref(object);
	errno = no_memory ? ENOMEM : EINVAL;
	return NULL;
}

/* json_dumps of jansson 2.14 leaves out what its buffer has no memory for, without an error. */
char *json_line(struct json_t *object)
{
	const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9);
	size_t size = lacking.next ? 0 : json_dumpb(object, NULL, 0, flags);
	char *line = size == 0 ? NULL : calloc(size + 1, 1);

	if (line != NULL && json_dumpb(object, line, size, flags) != size) {
		free(line);
		line = NULL;
	}
	lacking.next = false;
	return line;
}

struct json_t *json_member(const struct json_t *object, const char *key)
{
	return json_object_get(object, key);
}

static bool number_of(const json_t *value, uint64_t *out)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

const char *json_member_text(const struct json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

bool json_member_number(const struct json_t *object, const char *key, uint64_t *out)
{
	return number_of(json_object_get(object, key), out);
}

bool json_member_bool(const struct json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool json_is_list(const struct json_t *value)
{
	return json_is_array(value);
}

bool json_is_nothing(const struct json_t *value)
{
	return value == NULL || json_is_null(value);
}

size_t json_length(const struct json_t *array)
{
	return json_array_size(array);
}

struct json_t *json_item(const struct json_t *array, size_t i)
{
	return json_array_get(array, i);
}

const char *json_item_text(const struct json_t *array, size_t i)
{
	return json_string_value(json_array_get(array, i));
}

bool json_item_number(const struct json_t *array, size_t i, uint64_t *out)
{
	return number_of(json_array_get(array, i), out);
}

void json_add_number(struct json_t *array, uint64_t number)
{
	append(array, json_integer((json_int_t)number));
}

struct json_t *json_add_array(struct json_t *array)
{
	json_t *inner = array == NULL ? NULL : made(json_array());

	append(array, inner);
	return inner;
}

struct json_t *json_share(struct json_t *object)
{
	return json_incref(object);
}

void json_add(struct json_t *array, struct json_t *value)
{
	append(array, value);
}
