#include "cli/json.h"

#include "cli/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct json_t *json_new(void)
{
	return json_object();
}

struct json_t *json_put_object(struct json_t *parent, const char *key)
{
	json_t *object = parent == NULL ? NULL : json_object();

	if (parent != NULL)
		json_object_set_new(parent, key, object);
	return object;
}

struct json_t *json_put_array(struct json_t *parent, const char *key)
{
	json_t *array = parent == NULL ? NULL : json_array();

	if (parent != NULL)
		json_object_set_new(parent, key, array);
	return array;
}

struct json_t *json_add_object(struct json_t *array)
{
	json_t *object = array == NULL ? NULL : json_object();

	if (array != NULL)
		json_array_append_new(array, object);
	return object;
}

void json_put(struct json_t *object, const char *key, struct json_t *value)
{
	if (object != NULL && value != NULL)
		json_object_set_new(object, key, value);
}

struct json_t *json_get_array(struct json_t *object, const char *key)
{
	json_t *array = json_object_get(object, key);

	return array != NULL ? array : json_put_array(object, key);
}

/* A string of these bytes; escaped when they are not UTF-8. *plain tells which. */
static json_t *make_text(const char *bytes, size_t length, bool *plain)
{
	json_t *text = json_stringn(bytes, length);
	char *escaped;

	*plain = text != NULL;
	if (text != NULL)
		return text;
	escaped = memory_new(length + 1, 4);
	escape_text(escaped, (length + 1) * 4, (const uint8_t *)bytes, length);
	text = json_string(escaped);
	free(escaped);
	return text;
}

void json_put_text(struct json_t *object, const char *key, const char *text)
{
	bool plain;

	if (object != NULL)
		json_object_set_new(object, key, make_text(text, strlen(text), &plain));
}

void json_add_text(struct json_t *array, const char *text)
{
	bool plain;

	if (array != NULL)
		json_array_append_new(array, make_text(text, strlen(text), &plain));
}

static void put_hex(json_t *object, const char *key, struct text bytes)
{
	char *hex = memory_new((size_t)bytes.length + 1, 2);

	for (uint32_t i = 0; i < bytes.length; i++)
		sprintf(hex + 2 * (size_t)i, "%02x", bytes.bytes[i]);
	json_object_set_new(object, key, json_string(hex));
	free(hex);
}

void json_put_bytes(struct json_t *object, const char *key, struct text bytes)
{
	char hex_key[64];
	bool plain;

	if (object == NULL)
		return;
	/* No pointer may be NULL, not even to nothing. */
	json_object_set_new(object, key,
			    make_text(bytes.length == 0 ? "" : (const char *)bytes.bytes,
				      bytes.length, &plain));
	if (plain)
		return;
	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	put_hex(object, hex_key, bytes);
}

void json_put_number(struct json_t *object, const char *key, uint64_t number)
{
	if (object != NULL)
		json_object_set_new(object, key,
				    number <= INT64_MAX ? json_integer((json_int_t)number)
							: json_real((double)number));
}

void json_put_integer(struct json_t *object, const char *key, int64_t number)
{
	if (object != NULL)
		json_object_set_new(object, key, json_integer(number));
}

void json_put_real(struct json_t *object, const char *key, double number)
{
	if (object != NULL)
		json_object_set_new(object, key, json_real(number));
}

void json_put_bool(struct json_t *object, const char *key, bool value)
{
	if (object != NULL)
		json_object_set_new(object, key, json_boolean(value));
}

void json_put_null(struct json_t *object, const char *key)
{
	if (object != NULL)
		json_object_set_new(object, key, json_null());
}

void json_print(struct json_t *object, FILE *to)
{
	if (object == NULL)
		return;
	json_dumpf(object, to, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	fputc('\n', to);
	json_decref(object);
}

void json_free(struct json_t *object)
{
	json_decref(object);
}
