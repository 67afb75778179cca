#include "base/patience.h"

#include <sys/socket.h>
#include <sys/time.h>

int patience_for_sending(int fd, int seconds)
{
	const struct timeval limit = {.tv_sec = seconds};

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}
