/*
 *	this program                                    qemu-nbd --shared=4 (--read-only)
 *	  connect() x 4 ---- socket in a private folder ---- its listening end, as fd 3
 *	  stderr of the child, non-blocking pipe <---------- its complaints
 *
 * The socket listens before qemu-nbd starts (qemu-nbd takes it over by systemd's socket
 *activation), so there is nothing to wait for or to retry: all connections are made first, and then
 *socket and folder are removed. No other program can connect, and no name is left behind unless
 *this program is killed at that very moment. But where the caller has one that shall, the socket is
 *where it wants it, and stays.
 *
 * Two mechanisms end qemu-nbd together with this program. It is not --persistent, so it ends when
 *its last connection closes, which happens even if this program is killed. And until the
 *connections are in use, PR_SET_PDEATHSIG has the kernel kill it. The latter considers the *thread*
 *that opened the image as the parent, so that thread has to outlive it. A qemu-nbd that writes is
 *left to end by itself, because it completes the image after its last client has disconnected.
 *
 * What qemu-nbd writes to stderr becomes part of our message. The pipe is non-blocking on its side,
 * too: if it writes too much, text is lost, and it does not hang.
 *
 * Security: QEMU never probes the format, and never takes the file for a URL or an option string.
 * But an image may itself name other files, a backing file or an external data file, and qemu-nbd
 * follows these names with the rights of this program: for a backing chain that is what the user
 * wants. So images must come from someone who is trusted not to name other people's files; a guest
 * cannot write to the part of the image that has these names.
 */
#include "drive/qemu.h"

#if HAVE_LIBNBD

#include "base/child.h"
#include "base/socket.h"
#include "nbd/client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_SOCKETS     NBDCLIENT_CONNECTIONS_MAX
#define LAST_WORDS_MS 3000 /* for a qemu-nbd that failed, to end */
#define END_S	      1800 /* for one that wrote: as long as a flush may take */
#define SOCKET_NAME   "/nbd"

struct qemu_nbd {
	char *name; /* owned; for messages */
	struct nbdclient *client;
	struct child child;
	bool writable;
};

static int start(struct qemu_nbd *server, const struct qemu_image *image, int listener,
		 struct error *err)
{
	char *options = qemu_image_options(image);
	char *object = image->secret == NULL ? NULL : qemu_secret_object(image);
	char *internal = image->internal == NULL
				 ? NULL
				 : text_make("--load-snapshot=snapshot.id=%s", image->internal);
	char shared[20];
	const char *arguments[9] = {"qemu-nbd", shared,
				    image->writable ? "--discard=unmap" : "--read-only",
				    "--image-opts", options};
	unsigned n = 5;
	const struct child_options how = {
		.argv = arguments,
		.out = CHILD_AS_ERR,
		.err = CHILD_PIPE,
		.passed = &listener,
		.n_passed = 1,
		.activated = true,
		.dies_with_us = true,
	};

	int code = 0;

	snprintf(shared, sizeof(shared), "--shared=%u", N_SOCKETS + (image->socket != NULL));
	if (internal != NULL)
		arguments[n++] = internal;
	if (object != NULL) {
		arguments[n++] = "--object";
		arguments[n++] = object;
	}
	if (options == NULL || (object == NULL && image->secret != NULL) ||
	    (internal == NULL && image->internal != NULL))
		code = fail_memory(err);
	else if (child_start(&server->child, &how, err) != 0)
		code = qemu_not_started(server->name, "qemu-nbd", err);
	free(options);
	free(object);
	free(internal);
	return code;
}

/* ---- the sockets ---- */

static const char *folder_for_sockets(void)
{
	static const char longest[] = "/vmabak-XXXXXX" SOCKET_NAME ".12345678";
	const char *folder = getenv("TMPDIR");
	struct sockaddr_un address;
	bool fits = folder != NULL && *folder != '\0' &&
		    strlen(folder) + sizeof(longest) <= sizeof(address.sun_path);

	return fits ? folder : "/tmp";
}

/* The listening end, with all connections already made to it. */
static int make_sockets_at(int *listener, struct socket_place *place, const char *path,
			   int sockets[N_SOCKETS], struct error *err)
{
	int code = socket_listen(listener, place, path, SOCK_STREAM, err);

	for (unsigned i = 0; i < N_SOCKETS && code == 0; i++)
		code = socket_connect(&sockets[i], path, SOCK_STREAM, err);
	return code;
}

/* The folder and the name are removed again. */
static int make_sockets(int *listener, int sockets[N_SOCKETS], struct error *err)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char path[sizeof(folder) + sizeof(SOCKET_NAME)];
	struct socket_place place;

	snprintf(folder, sizeof(folder), "%s/vmabak-XXXXXX", folder_for_sockets());
	if (mkdtemp(folder) == NULL)
		return fail_system(err, errno, "%s", folder);
	snprintf(path, sizeof(path), "%s" SOCKET_NAME, folder);
	int code = make_sockets_at(listener, &place, path, sockets, err);
	socket_remove(&place);
	rmdir(folder);
	return code;
}

static void close_all(int *files, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (files[i] >= 0)
			close(files[i]);
	}
}

/* Starts qemu-nbd and leaves the connections to it in sockets, even when it fails. */
static int launch(struct qemu_nbd *server, const struct qemu_image *image, int sockets[N_SOCKETS],
		  struct error *err)
{
	struct socket_place place;
	int listener = -1;
	int code = image->socket == NULL
			   ? make_sockets(&listener, sockets, err)
			   : make_sockets_at(&listener, &place, image->socket, sockets, err);

	if (code != 0)
		error_prefix(err, "%s: a socket for qemu-nbd (TMPDIR chooses its folder)",
			     server->name);
	else
		code = start(server, image, listener, err);
	if (listener >= 0)
		close(listener); /* so that the connections break when the child ends */
	return code;
}

/* ---- its complaints ---- */

/* Adds qemu-nbd's complaints to *err. instead: they replace its text, which says no more than that
 * the connection broke. */
static int explain(const struct qemu_nbd *server, int wait_ms, bool instead, struct error *err)
{
	char text[4096], words[800];
	int sys = err->sys;

	child_words(&server->child, wait_ms, text, sizeof(text));
	qemu_words(words, sizeof(words), text, "qemu-nbd: ");
	if (*words == '\0')
		return err->code;
	if (strstr(words, "\" lock") != NULL && strstr(words, "Failed to get") != NULL)
		err->code = ERR_LOCKED;
	if (instead)
		fail(err, err->code, "%s: qemu-nbd: %s", server->name, words);
	else
		error_append(err, ": qemu-nbd: %s", words);
	qemu_add_limits(err, server->writable);
	err->sys = instead ? 0 : sys;
	return err->code;
}

int qemu_nbd_explain(const struct qemu_nbd *server, struct error *err)
{
	return explain(server, 0, false, err);
}

/* ---- opening and closing ---- */

static int open_server(struct qemu_nbd *server, const struct qemu_image *image, struct error *err)
{
	int sockets[] = {-1, -1, -1, -1};

	static_assert(sizeof(sockets) / sizeof(sockets[0]) == N_SOCKETS, "-1 for each");
	server->name = strdup(image->name);
	if (server->name == NULL)
		return fail_memory(err);
	int code = launch(server, image, sockets, err);
	if (code != 0) {
		close_all(sockets, N_SOCKETS);
		return code;
	}
	code = nbdclient_new(&server->client, server->name, sockets, N_SOCKETS, err);
	if (code == 0)
		return 0;
	explain(server, LAST_WORDS_MS, true, err);
	return qemu_explain_image(image, err);
}

int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_image *image, struct error *err)
{
	struct qemu_nbd *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return fail_memory(err);
	server->child = CHILD_NONE;
	server->writable = image->writable;
	int code = open_server(server, image, err);
	if (code != 0)
		qemu_nbd_close(server);
	else
		*out = server;
	return code;
}

struct nbdclient *qemu_nbd_client(const struct qemu_nbd *server)
{
	return server->client;
}

int qemu_nbd_finish(struct qemu_nbd *server, struct error *err)
{
	if (nbdclient_flush(server->client, err) != 0)
		return explain(server, 0, false, err);
	nbdclient_free(server->client);
	server->client = NULL;
	if (!child_wait(&server->child, END_S * 1000))
		return fail(err, ERR_SYSTEM, "%s: qemu-nbd did not end within %d s", server->name,
			    END_S);
	if (server->child.status == 0)
		return 0;
	fail(err, ERR_SYSTEM, "%s: qemu-nbd failed to close the image", server->name);
	return explain(server, LAST_WORDS_MS, false, err);
}

void qemu_nbd_close(struct qemu_nbd *server)
{
	if (server == NULL)
		return;
	nbdclient_free(server->client);
	child_close(&server->child);
	free(server->name);
	free(server);
}

#else

int qemu_nbd_open(struct qemu_nbd **out, const struct qemu_image *image, struct error *err)
{
	(void)out;
	return fail(err, ERR_USAGE,
		    "%s: %s images need libnbd, and this program was built without it: "
		    "install libnbd-dev and qemu-utils and build again",
		    image->name, image->format);
}

#endif
