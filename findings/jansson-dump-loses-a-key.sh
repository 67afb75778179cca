#!/bin/sh
# Commonly believed: as the manual says, jansson's json_dumps() returns NULL on error, for instance when memory runs
# out, and json_dump_callback() stops and returns -1 when the callback fails. A result that reports success is complete.
#
# True: a failure while a key is being written is ignored. If the pieces after it can be written, the call reports
# success, and the key is missing together with its closing quote: the output is not JSON. Memory need not become
# available again for this: if the buffer cannot grow for a long key, the short pieces after it still fit. A failure
# while a value is being written is reported. So a callback has to remember that it failed, and text from
# json_dumps() has to be parsed before it replaces a file. (Upstream has an open report, issue 655, of the first half.)
#
# Seen with libjansson4 2.14-2, where allocations above 1024 bytes failed and the callback failed for "key" only:
#     long value: NULL
#     long key: {": 1, "b": 2}
#     callback, value: -1, {"b": 2, "c": "
#     callback, key: 0, {"a": 1, ": 2}
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "jansson-dump-loses-a-key: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download libjansson4=2.14-2 libjansson-dev=2.14-2 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
libraries=$(echo "$folder"/root/usr/lib/*-linux-gnu)

cat >dump.c <<'END_OF_C'
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t most_bytes = SIZE_MAX;

static void *limited_malloc(size_t size)
{
	return size > most_bytes ? NULL : malloc(size);
}

static char written[100];

static int write_piece(const char *piece, size_t size, void *unused)
{
	(void)unused;
	if (size == 3 && memcmp(piece, "key", size) == 0)
		return -1;
	strncat(written, piece, size);
	return 0;
}

static void dump_limited(const char *what, json_t *json)
{
	char *text;

	most_bytes = 1024;
	text = json_dumps(json, 0);
	most_bytes = SIZE_MAX;
	printf("%s: %s\n", what, text == NULL ? "NULL" : text);
	free(text);
	json_decref(json);
}

static void dump_callback(const char *what, json_t *json)
{
	int code;

	written[0] = '\0';
	code = json_dump_callback(json, write_piece, NULL, 0);
	printf("callback, %s: %d, %s\n", what, code, written);
	json_decref(json);
}

int main(void)
{
	char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	json_set_alloc_funcs(limited_malloc, free);
	dump_limited("long value", json_pack("{s:s, s:i}", "a", text, "b", 2));
	dump_limited("long key", json_pack("{s:i, s:i}", text, 1, "b", 2));
	dump_callback("value", json_pack("{s:i, s:s}", "b", 2, "c", "key"));
	dump_callback("key", json_pack("{s:i, s:i}", "a", 1, "key", 2));
	return 0;
}
END_OF_C
cc -I root/usr/include -o dump dump.c -L "$libraries" -ljansson || stop 2 "cannot compile"

cat >expected <<'END_OF_TEXT'
long value: NULL
long key: {": 1, "b": 2}
callback, value: -1, {"b": 2, "c": "
callback, key: 0, {"a": 1, ": 2}
END_OF_TEXT
LD_LIBRARY_PATH=$libraries ./dump >seen || stop 2 "the program fails"
cat seen
cmp -s expected seen || stop 1 "jansson behaves differently"
