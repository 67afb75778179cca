/*
 * What a server says to the client of a live backup: messages, one to a line. In a line
 *   0x02 first   it waits until the client has said something, or a moment
 *   0x04 first   a data channel goes with it
 *   0x05 first   memory for 4 chunks goes with it, as the client wants it
 *   0x06 first   so it does, but it could shrink; 0x07: but it is too small
 *   0x08 first   it goes over the data channel
 *   0x03         is more than a message may have
 * Byte 0: how large the client's pieces are; from 128 on it wants what changed since a token of
 * each drive, and says in the end that the archive is durable. In place of a writer, everything
 * that it would be given is held against the drives, and read. The server hangs up in the end.
 */
#include "machine/message.h"
#include "base/clusterset.h"
#include "cow/chunks.h"
#include "machine/kinds.h"
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

/* A piece of a chunk whose memory is held. */
struct loan {
	const struct chunk_source *source; /* NULL: none */
	void *loan;
	uint8_t *bytes;
	uint32_t n_clusters;
};

static void check_range(const struct machine_description *machine, uint32_t drive, uint64_t cluster,
			uint64_t n)
{
	MUST(drive < machine->n_drives);
	uint64_t n_all = clusters_of(machine->drives[drive].size_bytes);
	MUST(n > 0 && cluster < n_all && n <= n_all - cluster);
}

static void check_chunk(const struct machine_description *machine, const struct chunk_piece *piece)
{
	const struct chunk *chunk = piece->chunk;
	MUST(chunk != NULL && (uintptr_t)piece->loan < N_CHUNKS);
	MUST(chunk->n_clusters <= CHUNK_CLUSTERS && chunk->n_zeros <= CHUNK_ZEROS);
	for (uint32_t i = 0; i < chunk->n_clusters; i++)
		check_range(machine, chunk->clusters[i].drive, chunk->clusters[i].cluster, 1);
	for (uint32_t i = 0; i < chunk->n_zeros; i++)
		check_range(machine, chunk->zeros[i].drive, chunk->zeros[i].cluster,
			    chunk->zeros[i].n_clusters);
}

/* Bytes are read and written, as a writer packs them in place. */
static void give_back(struct loan *loan)
{
	for (uint32_t i = 0; i < loan->n_clusters; i++)
		loan->bytes[(size_t)i * CLUSTER_SIZE] ^= 1;
	if (loan->source != NULL)
		loan->source->give_back(loan->source->context, loan->loan);
	*loan = (struct loan){0};
}

/* Up to three loans at once, given back in turn. */
static int take_all(struct machine *machine, uint32_t piece_clusters, struct error *err)
{
	struct machine_description found;
	const struct chunk_source *source;
	struct chunk_piece *piece = calloc(1, sizeof(*piece));
	struct loan loans[LOANS_MAX] = {0};
	unsigned at = 0;
	int got;
	MUST(piece != NULL);
	machine_serve.describe(machine, &found);
	MUST(machine_serve.chunks(machine, piece_clusters, &source, err) == 0);
	while ((got = source->next(source->context, piece, err)) > 0) {
		const struct chunk *chunk = piece->chunk;
		uint32_t given = 0;
		check_chunk(&found, piece);
		do {
			uint32_t left = chunk->n_clusters - given;
			struct loan *loan = &loans[at++ % LOANS_MAX];
			give_back(loan);
			*loan = (struct loan){source, piece->loan,
					      chunk->bytes + (size_t)given * CLUSTER_SIZE,
					      left < piece_clusters ? left : piece_clusters};
			given += loan->n_clusters;
		} while (given < chunk->n_clusters);
	}
	for (unsigned i = 0; i < LOANS_MAX; i++)
		give_back(&loans[i]);
	free(piece);
	return got;
}

static int ask_changes(struct machine *machine, const struct machine_description *found,
		       struct error *err)
{
	int code = 0;
	for (uint32_t i = 0; code == 0 && i < found->n_drives; i++) {
		uint64_t n = clusters_of(found->drives[i].size_bytes);
		struct machine_changes changes = {0};
		code = machine_serve.changes(machine, i, &changes, err);
		MUST(!cluster_set_has(&changes.set, n) && changes.set.n_clusters <= n);
		MUST(changes.known || changes.set.n_clusters == 0);
		cluster_set_free(&changes.set);
	}
	return code;
}

static int back_up(struct machine *machine, const struct machine_description *found,
		   const uint8_t how, struct error *err)
{
	static const uint8_t uuid[UUID_SIZE] = {1};
	static const char *tokens[256];
	const struct machine_archive archive = {.raw_bytes = 1, .written_bytes = 2};
	struct machine_since since = {0};
	if (how >= 128) {
		for (uint32_t i = 0; i < found->n_drives; i++)
			tokens[i] = "map:0123456789abcdef:1";
		since = (struct machine_since){.uuid = uuid, .tokens = tokens, .parent = uuid};
	}
	TRY(machine_serve.begin(machine, &since, err));
	if (how >= 128)
		TRY(ask_changes(machine, found, err));
	TRY(take_all(machine, 1u << how % 7, err));
	return how >= 128 ? machine_serve.commit(machine, &archive, err) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct machine_options options = {.place = "server",
						.buffer = MACHINE_BUFFER,
						.spill = MACHINE_SPILL,
						.spill_dir = "/",
						.threads = 1};
	struct machine_description found;
	struct error err = {0};
	struct machine *machine = NULL;
	if (size == 0)
		return 0;
	if (memories[0] == 0)
		make_memories();
	server = (struct server){.lines = data + 1, .size = size - 1, .fd = -1, .channel = -1};
	int code = machine_serve.open(&machine, &options, NULL, &err);
	if (code == 0) {
		machine_serve.describe(machine, &found);
		for (uint32_t i = 0; i < found.n_drives; i++)
			MUST(found.drives[i].name != NULL);
		code = back_up(machine, &found, data[0], &err);
		if (code == 0) {
			struct json_t *capture = json_new();
			machine_serve.outcome(machine, capture);
			json_free(capture);
		}
		machine_serve.end(machine);
	}
	MUST(code == 0 || (code == err.code && err.text[0] != '\0'));
	pthread_join(server.thread, NULL);
	return 0;
}
