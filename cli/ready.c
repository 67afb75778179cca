#include "cli/ready.h"

#include "base/socket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void ready_notify(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	struct error err;
	socklen_t length;
	int fd;

	if (name == NULL || socket_address(&address, name, &err) != 0)
		return;
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&address, length);
	close(fd);
}
