#include "machine/message.h"

#include "base/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void message_make_room(int fd)
{
	int size = 2 * MESSAGE_MAX;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int send_text(int fd, const char *text, int pass, struct error *err)
{
	size_t n = strlen(text);
	int sys;

	if (n > MESSAGE_MAX)
		return fail(err, ERR_SYSTEM, "a message of %zu bytes is too long", n);
	sys = socket_send(fd, text, n, pass);
	return sys == 0 ? 0 : fail_system(err, sys, "the control socket");
}

int message_send(int fd, struct json_t *message, int pass, struct error *err)
{
	char *text = json_line(message);
	int code;

	json_free(message);
	if (text == NULL)
		return fail_memory(err);
	code = send_text(fd, text, pass, err);
	free(text);
	return code;
}

/* That there is no memory must be told without any. */
int message_send_error(int fd, const struct error *what, struct error *err)
{
	static const char no_memory[] =
		"{\"error\":{\"code\":\"system\",\"message\":\"the server is out of memory\"}}";
	struct json_t *message = json_new(), *error = json_put_object(message, "error");
	int code;

	/* A text may hold what is not UTF-8. */
	json_put_text(error, "code", error_code_name(what->code));
	json_put_text(error, "message", what->text);
	code = message_send(fd, message, -1, err);
	return code < 0 && err->sys == ENOMEM ? send_text(fd, no_memory, -1, err) : code;
}

static ssize_t peek_size(int fd)
{
	ssize_t n;

	do {
		n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* The size of the next message; 0: the other side has closed. */
static ssize_t next_size(int fd, struct error *err)
{
	ssize_t n = peek_size(fd);
	char byte;

	/* The other side closed before it had read everything. What it sent before that can still
	 * be read, and says why. */
	if (n < 0 && errno == ECONNRESET)
		n = peek_size(fd);
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return fail_system(err, errno, "the control socket");
	if (n > (ssize_t)MESSAGE_MAX) {
		/* Reading one byte drops the whole message. */
		recv(fd, &byte, 1, 0);
		return fail(err, ERR_USAGE, "a message of %zd bytes is too long", n);
	}
	return n;
}

/* The other side may close just now, which is told before what it sent. */
static ssize_t receive_whole(int fd, void *to, size_t size, int *passed)
{
	ssize_t got = socket_receive(fd, to, size, passed);

	return got < 0 && errno == ECONNRESET ? socket_receive(fd, to, size, passed) : got;
}

int message_receive(int fd, struct json_t **out, int *passed, struct error *err)
{
	ssize_t size = next_size(fd, err);
	char *text;
	int sys;

	if (passed != NULL)
		*passed = -1;
	if (size <= 0)
		return (int)size;
	text = malloc((size_t)size);
	if (text == NULL)
		return fail_memory(err);
	size = receive_whole(fd, text, (size_t)size, passed);
	*out = size > 0 ? json_parse(text, (size_t)size) : NULL;
	sys = errno;
	free(text);
	if (*out != NULL)
		return 1;
	if (passed != NULL && *passed >= 0)
		close(*passed);
	if (size < 0)
		return fail_system(err, sys, "the control socket");
	if (sys == ENOMEM)
		return fail_memory(err);
	return fail(err, ERR_USAGE, "a message that is not a JSON object");
}

int message_error(const struct json_t *message, struct error *err)
{
	const struct json_t *error = json_member(message, "error");
	const char *code = json_member_text(error, "code");
	const char *text = json_member_text(error, "message");

	if (code == NULL || text == NULL)
		return message_unexpected(err);
	return fail(err, error_code_of(code), "%s", text);
}

int message_unexpected(struct error *err)
{
	return fail(err, ERR_SYSTEM, "unexpected reply from vmabak serve");
}
