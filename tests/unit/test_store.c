/*
 * Objects of a store that is read here and there: by a server of these tests that is slow.
 */
#include "store/ranges.h"
#include "store/s3.h"
#include "store/sign.h"
#include "store/store.h"
#include "store/uploads.h"
#include "tests/unit/suites.h"

#include <CUnit/CUnit.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE	(24u << 20)
#define SLOW_MS 400
#define NOWHERE UINT64_MAX

static int listening;
static _Atomic unsigned delay_ms;   /* of answers */
static _Atomic uint64_t slow_at;    /* a range that holds this comes after SLOW_MS */
static _Atomic bool slow_has_begun; /* it has been asked for */

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position * 7 + position / 4096);
}

static void sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

static void answer(FILE *out, const char *method, uint64_t from, uint64_t to)
{
	unsigned wait = delay_ms;

	if (strcmp(method, "HEAD") == 0) {
		fprintf(out, "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: %u\r\n\r\n", SIZE);
		fflush(out);
		return;
	}
	if (from <= slow_at && slow_at <= to) {
		slow_has_begun = true;
		wait = SLOW_MS;
	}
	sleep_ms(wait);
	fprintf(out,
		"HTTP/1.1 206 Partial\r\nETag: \"a\"\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64
		"/%u\r\nContent-Length: %" PRIu64 "\r\n\r\n",
		from, to, SIZE, to - from + 1);
	for (uint64_t at = from; at <= to; at++)
		fputc(byte_at(at), out);
	fflush(out);
}

static void *serve_one(void *argument)
{
	int fd = (int)(intptr_t)argument;
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	char line[1000], method[10] = "";
	uint64_t from = 0, to = 0;

	while (in != NULL && out != NULL && fgets(line, sizeof(line), in) != NULL) {
		if (strstr(line, " HTTP/1.1") != NULL)
			sscanf(line, "%9s", method);
		if (strncasecmp(line, "Range:", 6) == 0)
			sscanf(line + 6, " bytes=%" SCNu64 "-%" SCNu64, &from, &to);
		if (strcmp(line, "\r\n") == 0)
			answer(out, method, from, to);
	}
	fclose(in);
	fclose(out);
	return NULL;
}

static void *serve(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_t thread;
		int fd = accept(listening, NULL, NULL);

		if (fd < 0)
			return NULL;
		if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
}

static pthread_t server;

static int begin(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	static char endpoint[60];

	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listening, (struct sockaddr *)&address, length) != 0 ||
	    listen(listening, 16) != 0 ||
	    getsockname(listening, (struct sockaddr *)&address, &length) != 0)
		return -1;
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", ntohs(address.sin_port));
	setenv("AWS_ACCESS_KEY_ID", "tester", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "testing-secret", 1);
	unsetenv("http_proxy");
	store_set_endpoint(endpoint);
	return pthread_create(&server, NULL, serve, NULL);
}

static int end(void)
{
	store_set_endpoint(NULL);
	shutdown(listening, SHUT_RDWR);
	pthread_join(server, NULL);
	return close(listening);
}

static void read_at(struct store_reader *reader, uint64_t position, size_t n)
{
	uint8_t bytes[4096];
	struct error err = {0};
	size_t got;

	store_reader_seek(reader, position, SIZE);
	while (n > 0) {
		CU_ASSERT_EQUAL_FATAL(
			store_read(reader, bytes, least(n, sizeof(bytes)), &got, &err), 0);
		CU_ASSERT_FATAL(got > 0);
		for (size_t i = 0; i < got; i++)
			if (bytes[i] != byte_at(position + i))
				CU_FAIL_FATAL("another byte");
		position += got;
		n -= got;
	}
}

/* What is in flight is passed by, and dropped when it comes, and then asked for again. */
static void what_was_passed_by_is_read(void)
{
	struct store_reader *reader;
	struct error err = {0};

	slow_at = 9u << 20;
	delay_ms = 20;
	CU_ASSERT_EQUAL_FATAL(store_reader_open(&reader, "s3://bucket/key", &err), 0);
	CU_ASSERT_EQUAL(store_reader_size(reader), SIZE);
	read_at(reader, 0, 5u << 20);
	while (!slow_has_begun)
		sleep_ms(1);
	store_reader_seek(reader, 15u << 20, SIZE);
	read_at(reader, 15u << 20, 1);
	sleep_ms(SLOW_MS / 4);
	read_at(reader, 9u << 20, 6u << 20);
	store_reader_close(reader);
	slow_at = NOWHERE;
}

static void seeks_of_any_kind(void)
{
	struct store_reader *reader;
	struct error err = {0};
	unsigned seed = 1;

	slow_at = NOWHERE;
	CU_ASSERT_EQUAL_FATAL(store_reader_open(&reader, "s3://bucket/key", &err), 0);
	for (unsigned i = 0; i < 60; i++) {
		seed = seed * 1103515245 + 12345;
		delay_ms = seed >> 29;
		read_at(reader, (seed >> 4) % (SIZE - 5000), 1 + (seed >> 12) % 5000);
	}
	read_at(reader, SIZE - 100, 100);
	store_reader_close(reader);
}

/* ---- a range that is given up while reading comes back to it ---- */

static _Atomic unsigned stage;

static void await_stage(unsigned n)
{
	while (stage < n)
		sleep_ms(1);
}

/* The first time some of it comes, and then, after the reader has moved on, more. */
static int fetch_as_told(struct origin *origin, struct http *http,
			 const struct origin_range *wanted, struct error *err)
{
	uint8_t bytes[4096];

	(void)origin, (void)http;
	for (size_t at = 0; at < wanted->n; at += sizeof(bytes)) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_at(wanted->position + at + i);
		if (at == sizeof(bytes) && stage < 2) {
			stage = 1;
			await_stage(2);
		}
		if (!wanted->take(wanted->context, at, bytes, sizeof(bytes))) {
			stage = 3;
			await_stage(4);
			return fail(err, ERR_SYSTEM, "not wanted any more");
		}
	}
	return 0;
}

static void stop_nothing(void *state)
{
	(void)state;
}

static struct store_reader *reader_of_two(const struct origin_kind *kind)
{
	struct store_reader *reader = calloc(1, sizeof(*reader));

	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->came, NULL);
	pthread_cond_init(&reader->wanted, NULL);
	reader->origin = (struct origin){.kind = kind, .size = 2 * RANGE_SIZE};
	reader->range_size = RANGE_SIZE;
	reader->up_to = reader->asked_to = reader->origin.size;
	for (unsigned i = 0; i < 2; i++) {
		reader->ranges[i] = (struct range){
			.position = i * RANGE_SIZE, .size = RANGE_SIZE, .n_counted = 8};
		reader->n_counted += 8;
	}
	reader->ranges[0].state = RANGE_WANTED;
	reader->ranges[1].state = RANGE_THERE;
	reader->ranges[1].there = RANGE_SIZE;
	for (unsigned i = 0; i < 8; i++)
		reader->ranges[1].blocks[i] = calloc(1, BLOCK_BYTES);
	return reader;
}

static void what_was_given_up_is_read(void)
{
	static const struct origin_kind kind = {
		.fetch = fetch_as_told, .stop = stop_nothing, .close = stop_nothing};
	struct store_reader *reader = reader_of_two(&kind);

	stage = 0;
	alarm(60); /* not for ever, if nobody fetches it */
	CU_ASSERT_EQUAL_FATAL(pthread_create(&reader->threads[0], NULL, fetchers_work, reader), 0);
	reader->n_threads = 1;
	await_stage(1);
	store_reader_seek(reader, RANGE_SIZE, 2 * RANGE_SIZE);
	stage = 2;
	await_stage(3);
	store_reader_seek(reader, 0, 2 * RANGE_SIZE);
	stage = 4;
	read_at(reader, 0, 5000);
	alarm(0);
	store_reader_close(reader);
}

/* ---- what stores say ---- */

static void references_in_answers_are_read(void)
{
	static const struct {
		const char *xml, *text;
	} cases[] = {
		{"<Key>a&amp;b&lt;&gt;&quot;&apos;</Key>", "a&b<>\"'"},
		{"<Key>&#34;&#x27;&#13;&#xd;&#xE9;&#8364;&#x1f600;</Key>",
		 "\"'\r\r\u00e9\u20ac\U0001f600"},
		/* None, or of no character. */
		{"<Key>&&#;&#x;&#0;&#xd800;&#x110000;&#99999999999999999999;&#-1;&nbsp;</Key>",
		 "&&#;&#x;&#0;&#xd800;&#x110000;&#99999999999999999999;&#-1;&nbsp;"},
		{"<Key></Key>", ""},
	};
	char text[100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT(s3_pick((const uint8_t *)cases[i].xml, strlen(cases[i].xml), "Key", text,
				  sizeof(text)));
		CU_ASSERT_STRING_EQUAL(text, cases[i].text);
	}
	/* What does not fit is not cut within a character. */
	CU_ASSERT(!s3_pick((const uint8_t *)"<Key>ab&#8364;</Key>", 20, "Key", text, 5));
	CU_ASSERT(s3_pick((const uint8_t *)"<Key>ab&#8364;</Key>", 20, "Key", text, 6));
}

/* ---- notes of uploads ---- */

static _Atomic bool looking;

static int keep_all(void *context, const char *url, const char *id)
{
	(void)context, (void)url, (void)id;
	return -1;
}

static void *look_for_dead(void *unused)
{
	while (looking)
		upload_each_dead("", "", keep_all, NULL);
	return unused;
}

/* Another run that looks for what dead ones have left opens a note before it is locked. */
static void notes_are_made_while_others_look(void)
{
	char folder[] = "/tmp/vmabak-notes.XXXXXX", command[80];
	struct upload_note *note;
	pthread_t thread;
	unsigned n_lost = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	setenv("XDG_STATE_HOME", folder, 1);
	looking = true;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, look_for_dead, NULL), 0);
	for (unsigned i = 0; i < 500; i++) {
		note = upload_note("http://host/bucket/key", "id", NULL);
		n_lost += note == NULL;
		upload_forget(note);
	}
	looking = false;
	pthread_join(thread, NULL);
	unsetenv("XDG_STATE_HOME");
	CU_ASSERT_EQUAL(n_lost, 0);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* The examples of Amazon's "Authenticating Requests", of 24 May 2013. */
static void signatures_are_as_published(void)
{
	static const struct {
		const char *url, *signature;
	} cases[] = {
		{"https://examplebucket.s3.amazonaws.com/?lifecycle=",
		 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
		 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};
	struct account account = {.region = "us-east-1",
				  .user = "AKIAIOSFODNN7EXAMPLE",
				  .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
	char hash[SIGN_HASH_SIZE], line[100];
	const char *const headers[] = {line, "Range: bytes=0-9", NULL};

	sign_hash(hash, "", 0);
	snprintf(line, sizeof(line), "x-amz-content-sha256: %s", hash);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct sign_request request = {.account = &account,
						     .method = "GET",
						     .url = cases[i].url,
						     .hash = hash,
						     .headers = headers,
						     .now = 1369353600};
		struct signature signature;
		struct error err = {0};

		CU_ASSERT_EQUAL(sign(&signature, &request, &err), 0);
		CU_ASSERT_STRING_EQUAL(signature.host, "host: examplebucket.s3.amazonaws.com");
		CU_ASSERT_STRING_EQUAL(signature.date, "x-amz-date: 20130524T000000Z");
		CU_ASSERT_PTR_NOT_NULL(strstr(signature.authorization, cases[i].signature));
		signature_free(&signature);
	}
}

void test_store(void)
{
	CU_pSuite suite = CU_add_suite("store", begin, end);

	CU_ADD_TEST(suite, signatures_are_as_published);
	CU_ADD_TEST(suite, what_was_passed_by_is_read);
	CU_ADD_TEST(suite, seeks_of_any_kind);
	CU_ADD_TEST(suite, what_was_given_up_is_read);
	CU_ADD_TEST(suite, references_in_answers_are_read);
	CU_ADD_TEST(suite, notes_are_made_while_others_look);
}
