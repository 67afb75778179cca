/*
 * What a server says to the client of a live backup: messages, one to a line. In a line
 *   0x02 first   it waits until the client has said something, or a moment
 *   0x04 first   a channel goes with it
 *   0x05 first   memory for 4 chunks goes with it, as the client wants it
 *   0x06 first   so it does, but it could shrink; 0x07: but it is too small
 *   0x08 first   it goes over the channel
 *   0x03         is more than a message may have
 * Byte 0: how large the client's pieces are. In place of a writer all that it would be given is
 * held against the drives that there are, and read. The server hangs up in the end.
 */
#include "machine/serve/message.h"
#include "machine/serve/client.h"
#include "cow/buffer.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_CHUNKS  4u
#define TOO_LONG  (MESSAGE_MAX + 1000)
#define LINES_MAX 64u
#define MOMENT_MS 20
#define LOANS_MAX 3u

int __real_connect(int fd, const struct sockaddr *address, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n);
void __wrap_batch_borrow(struct batch *batch, uint8_t *bytes,
			 void (*give_back)(void *context, void *loan), void *context, void *loan);
void __wrap_batch_cluster(struct batch *batch, uint32_t drive, uint64_t cluster,
			  const uint8_t *bytes);
void __wrap_batch_zeros(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters);

/* ---- the server ---- */

static struct server {
	const uint8_t *lines;
	size_t size;
	int fd, channel;   /* owned by its thread; -1: not yet */
	bool channel_over; /* the client has hung up there */
	pthread_t thread;
	bool started;
} server;

static int memories[3]; /* by 0x05 to 0x07 */
static uint8_t message[TOO_LONG], heard[MESSAGE_MAX];

static void make_memories(void)
{
	for (unsigned i = 0; i < 3; i++) {
		off_t size = (off_t)N_CHUNKS * CHUNK_SIZE - (i == 2);
		memories[i] = memfd_create("chunks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		MUST(memories[i] >= 0 && ftruncate(memories[i], size) == 0);
		MUST(i == 1 || fcntl(memories[i], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	}
}

/* The fuzzer's alarm may come at any time. */
static int wait_for(struct pollfd *fds, unsigned n, int timeout_ms)
{
	int ready;
	do
		ready = poll(fds, n, timeout_ms);
	while (ready < 0 && errno == EINTR);
	return ready;
}

/* False: it has hung up. */
static bool take_in(int fd)
{
	ssize_t n = recv(fd, heard, sizeof heard, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	struct json_t *said = json_parse((const char *)heard, (size_t)n);
	MUST(said != NULL && json_member_text(said, "execute") != NULL);
	json_free(said);
	return true;
}

/* Takes in what the client says; false when it has hung up. */
static bool hear(int timeout_ms)
{
	struct pollfd ends[2] = {
		{.fd = server.fd, .events = POLLIN},
		{.fd = server.channel_over ? -1 : server.channel, .events = POLLIN}};
	if (wait_for(ends, 2, timeout_ms) == 0)
		return true;
	if (ends[1].revents != 0)
		server.channel_over = !take_in(server.channel);
	return ends[0].revents == 0 || take_in(server.fd);
}

/* Another one takes its place. */
static int open_channel(void)
{
	int ends[2];
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	if (server.channel >= 0)
		close(server.channel);
	server.channel = ends[0];
	server.channel_over = false;
	return ends[1];
}

static bool say(int fd, const uint8_t *bytes, size_t n, int pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} passing = {0};
	struct iovec part = {(void *)(uintptr_t)bytes, n};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	if (pass >= 0) {
		header.msg_control = passing.bytes;
		header.msg_controllen = sizeof passing.bytes;
		struct cmsghdr *first = CMSG_FIRSTHDR(&header);
		first->cmsg_level = SOL_SOCKET;
		first->cmsg_type = SCM_RIGHTS;
		first->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(first), &pass, sizeof pass);
	}
	while (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLOUT};
		wait_for(&poll_fd, 1, -1);
		if ((poll_fd.revents & (POLLHUP | POLLERR)) != 0 ||
		    ((poll_fd.revents & POLLIN) != 0 && !hear(0)))
			return false;
	}
	return true;
}

static bool say_line(const uint8_t *line, size_t n)
{
	bool over_channel = false;
	int pass = -1, end = -1;
	for (; n > 0 && (*line == 2 || (*line >= 4 && *line <= 8)); line++, n--) {
		if (*line == 2 && !hear(MOMENT_MS))
			return false;
		if (*line == 4 && end < 0)
			pass = end = open_channel();
		if (*line >= 5 && *line <= 7)
			pass = memories[*line - 5];
		over_channel |= *line == 8;
	}
	size_t size = n < sizeof message ? n : sizeof message;
	memcpy(message, line, size);
	if (memchr(message, 3, size) != NULL) {
		memset(message + size, 'a', sizeof message - size);
		size = sizeof message;
	}
	over_channel &= server.channel >= 0;
	bool said = say(over_channel ? server.channel : server.fd, message, size, pass);
	if (end >= 0)
		close(end);
	/* A channel that has ended says nothing about the client. */
	return said || over_channel;
}

static void *serve(void *context)
{
	const uint8_t *at = server.lines;
	unsigned n_lines = 0;
	(void)context;
	for (size_t n, left = server.size; left > 0 && n_lines++ < LINES_MAX; left -= n) {
		const uint8_t *end = memchr(at, '\n', left);
		n = end == NULL ? left : (size_t)(end - at);
		if (!say_line(at, n))
			break;
		n += end != NULL;
		at += n;
	}
	shutdown(server.fd, SHUT_WR);
	if (server.channel >= 0)
		shutdown(server.channel, SHUT_WR);
	while (hear(-1))
		;
	close(server.fd);
	if (server.channel >= 0)
		close(server.channel);
	return NULL;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n)
{
	int sockets[2];
	(void)address, (void)n;
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	MUST(dup3(sockets[0], fd, O_CLOEXEC) == fd);
	close(sockets[0]);
	server.fd = sockets[1];
	server.started = pthread_create(&server.thread, NULL, serve, NULL) == 0;
	MUST(server.started);
	return 0;
}

/* ---- in place of the writer ---- */

struct batch {
	const struct live *live;
	uint8_t *bytes;
	uint32_t n_clusters;
	void (*give_back)(void *context, void *loan);
	void *context, *loan;
};

void __wrap_batch_borrow(struct batch *batch, uint8_t *bytes,
			 void (*give_back)(void *context, void *loan), void *context, void *loan)
{
	MUST((uintptr_t)loan < N_CHUNKS);
	batch->bytes = bytes;
	batch->give_back = give_back;
	batch->context = context;
	batch->loan = loan;
}

static void check_range(const struct live *live, uint32_t drive, uint64_t cluster, uint64_t n)
{
	MUST(drive < live_n_drives(live));
	uint64_t n_all = clusters_of(live_drive_size(live, drive));
	MUST(n > 0 && cluster < n_all && n <= n_all - cluster);
}

/* Bytes are read and written, as a writer packs them in place. */
void __wrap_batch_cluster(struct batch *batch, uint32_t drive, uint64_t cluster,
			  const uint8_t *bytes)
{
	check_range(batch->live, drive, cluster, 1);
	MUST(bytes == batch->bytes + (size_t)batch->n_clusters * CLUSTER_SIZE);
	MUST(++batch->n_clusters <= CHUNK_CLUSTERS);
	batch->bytes[(batch->n_clusters - 1) * CLUSTER_SIZE] = bytes[CLUSTER_SIZE - 1];
}

void __wrap_batch_zeros(struct batch *batch, uint32_t drive, uint64_t cluster, uint64_t n_clusters)
{
	check_range(batch->live, drive, cluster, n_clusters);
}

static void give_back(struct batch *batch)
{
	if (batch->give_back != NULL)
		batch->give_back(batch->context, batch->loan);
	*batch = (struct batch){0};
}

/* Up to three loans at once, given back in turn. */
static int take_all(struct live *live, uint32_t piece_clusters, struct error *err)
{
	struct feed feed = live_feed(live, piece_clusters);
	struct batch loans[LOANS_MAX] = {0};
	void *piece = calloc(1, feed.piece_size);
	unsigned at = 0;
	int got;
	MUST(piece != NULL);
	while ((got = feed.next(feed.context, piece, err)) > 0) {
		struct batch *batch = &loans[at++ % LOANS_MAX];
		give_back(batch);
		batch->live = live;
		MUST(feed.fill(feed.context, piece, batch, err) == 0);
		MUST(batch->n_clusters <= piece_clusters);
	}
	for (unsigned i = 0; i < LOANS_MAX; i++)
		give_back(&loans[i]);
	free(piece);
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct machine_options options = {.place = "server",
						.buffer = MACHINE_BUFFER,
						.spill = MACHINE_SPILL,
					.spill_dir = "/",
					.threads = 1};
	struct error err = {0};
	struct live *live = NULL;
	if (size == 0)
		return 0;
	if (memories[0] == 0)
		make_memories();
	server = (struct server){.lines = data + 1, .size = size - 1, .fd = -1, .channel = -1};
	int code = live_open(&live, &options, &err);
	if (code == 0) {
		for (uint32_t i = 0; i < live_n_drives(live); i++)
			MUST(live_drive_name(live, i) != NULL);
		code = live_begin(live, NULL, &err);
		if (code == 0)
			code = take_all(live, 1u << data[0] % 7, &err);
		MUST(code != 0 || live_counts(live) != NULL);
		live_close(live);
	}
	MUST(code == 0 || (code == err.code && err.text[0] != '\0'));
	pthread_join(server.thread, NULL);
	return 0;
}
