#!/bin/sh
# Commonly believed: when the time is up, timeout(1) sends its command one signal. --verbose reports one, and the
# manual mentions another only for -k.
#
# True: it sends the signal twice: to the command, and then to the process group, to which the command belongs.
# This usually goes unnoticed, since an ordinary signal that is still pending is not queued again. But a realtime
# signal always arrives twice, and SIGTERM does if the command handles the first one before timeout makes its next
# system call, for instance because timeout runs at a lower priority. A program that cleans up on the first SIGTERM
# and gives up at once on the second then occasionally loses its clean-up. With --foreground the signal comes once.
#
# Seen with coreutils 9.1-1:
#     RTMIN: 2
#     RTMIN, --foreground: 1
#     TERM, timeout idle: 2
#     TERM, timeout idle, --foreground: 1
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "timeout-signals-twice: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download coreutils=9.1-1 2>apt.log || stop 2 "cannot download the package: $(cat apt.log)"
dpkg -x coreutils_*.deb root || stop 2 "cannot unpack the package"
timeout=$folder/root/usr/bin/timeout

# Prints how often a signal came, one second after the first.
cat >count.c <<'END_OF_C'
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t n_signals;

static void count(int signal_number)
{
	(void)signal_number;
	n_signals++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = count };
	struct timespec left = { .tv_sec = 1 };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGRTMIN, &action, NULL);
	sleep(30);
	while (nanosleep(&left, &left) != 0)
		;
	printf("%d\n", (int)n_signals);
	return 0;
}
END_OF_C
cc -o count count.c || stop 2 "cannot compile"

# try SIGNALS WHAT COMMAND...
try()
{
	expected=$1
	what=$2
	shift 2
	seen=$("$@") || [ $? -eq 124 ] || stop 2 "$what: cannot be tried"
	echo "$what: $seen"
	[ "$seen" = "$expected" ] || stop 1 "$what: $seen signals instead of $expected"
}

try 2 'RTMIN' "$timeout" -s RTMIN 1 ./count
try 1 'RTMIN, --foreground' "$timeout" --foreground -s RTMIN 1 ./count

# On one processor a command of normal priority runs as soon as a signal wakes it, and timeout, now idle, waits.
with_idle_timeout()
{
	rm -f started
	taskset -c "$cpu" "$timeout" "$@" sh -c ': >started; exec ./count' &
	until [ -e started ]; do
		sleep 0.1
	done
	chrt -i -p 0 $! || return 1
	wait $!
}

cpu=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
try 2 'TERM, timeout idle' with_idle_timeout 2
try 1 'TERM, timeout idle, --foreground' with_idle_timeout --foreground 2
