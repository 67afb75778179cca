#include "nbd/client.h"
#include "nbd/protocol.h"

#include <errno.h>
#include <sys/socket.h>

#define N_REQUESTS 64u /* more than what an option's data could swallow */

/* Requests that read one byte. In a handshake they are options without their magic number. */
void nbdclient_spoil(int fd)
{
	uint8_t requests[N_REQUESTS * REQUEST_BYTES] = {0};
	ssize_t sent;

	for (unsigned i = 0; i < N_REQUESTS; i++) {
		uint8_t *request = requests + i * REQUEST_BYTES;

		put_be(request, 4, MAGIC_REQUEST);
		put_be(request + 8, 8, i);
		put_be(request + 24, 4, 1);
	}
	do
		sent = send(fd, requests, sizeof(requests), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
}
