/*
 * A snapshot that is read where its reader likes: message.h. What guests overwrite comes as chunks,
 * by "saved"; everything else is read when it is asked for.
 */
#include "machine/serve/state.h"

#include "base/bytes.h"
#include "base/socket.h"

#include <string.h>

static int where(const struct serve_backup *backup, const struct json_t *request, uint32_t *drive,
		 uint64_t *cluster, struct error *err)
{
	uint64_t i;

	if (!backup->snapshot || backup->capture == NULL ||
	    !json_member_number(request, "drive", &i) || i >= backup->n_volumes ||
	    !json_member_number(request, "cluster", cluster) ||
	    *cluster >= clusters_of(drive_size(backup->drives[i]->drive)))
		return fail(err, ERR_USAGE, "a peek at what is not there");
	*drive = (uint32_t)i;
	return 0;
}

static int answer_peek(const struct serve_backup *backup, int fd, const struct json_t *request,
		       struct error *err)
{
	uint8_t bytes[CLUSTER_SIZE];
	uint64_t cluster;
	uint32_t drive;
	int got, sys;
	bool zeros;

	TRY(where(backup, request, &drive, &cluster, err));
	got = capture_peek(backup->capture, drive, cluster, bytes, err);
	if (got < 0)
		return message_send_error(fd, err, err);
	zeros = got == 1 && all_zero(bytes, sizeof(bytes));
	TRY(message_send(
		fd, json_make("{s:{s:b, s:b}}", "return", "saved", got == 0, "zeros", (int)zeros),
		-1, err));
	if (got == 0 || zeros)
		return 0;
	sys = socket_send(fd, bytes, sizeof(bytes), -1);
	return sys == 0 ? 0 : fail_system(err, sys, "the data channel");
}

static int answer_zeros(const struct serve_backup *backup, int fd, const struct json_t *request,
			struct error *err)
{
	uint64_t cluster, n = 0;
	bool zeros = false;
	uint32_t drive;
	int got;

	TRY(where(backup, request, &drive, &cluster, err));
	got = capture_peek_zeros(backup->capture, drive, cluster, &n, &zeros, err);
	if (got < 0)
		return message_send_error(fd, err, err);
	return message_send(fd,
			    json_make("{s:{s:b, s:b, s:I}}", "return", "saved", got == 0, "zeros",
				      (int)zeros, "n", (long long)n),
			    -1, err);
}

int serve_peek(const struct serve_backup *backup, int fd, const struct json_t *request,
	       struct error *err)
{
	const char *what = json_member_text(request, "execute");
	struct error why;

	if (what == NULL)
		return 1;
	if (strcmp(what, "peek") == 0)
		return answer_peek(backup, fd, request, err);
	if (strcmp(what, "peek-zeros") == 0)
		return answer_zeros(backup, fd, request, err);
	if (strcmp(what, "changed") != 0)
		return 1;
	return serve_changed_since(backup, fd, request, &why) < 0
		       ? message_send_error(fd, &why, err)
		       : 0;
}
