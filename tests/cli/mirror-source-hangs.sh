# The storage that a drive is on gives no answer any more, to a sync or to a read: an abort of its mirror ends all the same, status
# answers, and what is known of the target stays right.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
cc=$(command -v cc || command -v gcc) || skip "no C compiler here"
folder=$(mktemp -d /tmp/vmabak.XXXXXX) # LD_PRELOAD takes no blanks
on_exit "rm -rf $folder"
# Calls for a.raw hang as long as there is a file of their name in the folder.
cat >hang.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static void hang(const char *call, int fd)
{
	char link[64], path[4096] = "", flag[256];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	snprintf(flag, sizeof(flag), FOLDER "/%s", call);
	if (access(flag, F_OK) != 0 || readlink(link, path, sizeof(path) - 1) < 6 || strcmp(path + strlen(path) - 6, "/a.raw") != 0)
		return;
	while (access(flag, F_OK) == 0)
		usleep(5000);
}
#define HANG(name, call, ...) hang(call, fd); return ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))(fd, ##__VA_ARGS__)
int fsync(int fd) { HANG(fsync, "sync"); }
int fdatasync(int fd) { HANG(fdatasync, "sync"); }
ssize_t pread(int fd, void *to, size_t n, off_t at) { HANG(pread, "read", to, n, at); }
ssize_t pread64(int fd, void *to, size_t n, off64_t at) { HANG(pread64, "read", to, n, at); }
END
"$cc" -shared -fPIC -O1 -DFOLDER="\"$folder\"" -o $folder/hang.so hang.c -ldl
[ -z "$(LD_PRELOAD=$folder/hang.so "$VMABAK" --version 2>&1 >/dev/null)" ] || skip "nothing can be preloaded here"

mirror() { timeout 100 "$VMABAK" mirror "$@"; }
state_is() { mirror status serve:c.sock --json >"$out" && grep -q "$1" "$out"; }
make_random a.raw 8000001 1
LD_PRELOAD=$folder/hang.so
export LD_PRELOAD
start_serve --map a.map a=a.raw
unset LD_PRELOAD

# A sync: while the mirror is in sync, and once more at the abort.
expect_code 0 mirror start serve:c.sock -d a=t.raw --state s.json
expect_code 0 mirror wait serve:c.sock
wait_until grep -q '"n_clusters":1[0-9]*' s.json
guest a 'h.pwrite(b"x" * 4096, 65536 * 9)'
: >$folder/sync
wait_until state_is '"left_bytes": 0,'
expect_code 0 mirror abort serve:c.sock
expect_code 0 state_is '"phase": "aborted"'
grep -q '"phase":"aborted"' s.json || fail "the state: $(cat s.json)"
guest a 'h.pwrite(b"y" * 4096, 65536 * 10)'
rm $folder/sync
expect_code 0 mirror start serve:c.sock -d a=t.raw --state s.json --json
expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] <= 2 * 65536"
wait_until state_is '"left_bytes": 0,'
same_file a.raw t.raw
expect_code 0 mirror abort serve:c.sock

# A read.
: >$folder/read
expect_code 0 mirror start serve:c.sock -d a=u.raw --state u.json
wait_until state_is '"stalled": true'
expect_code 0 mirror abort serve:c.sock
expect_code 0 state_is '"phase": "aborted"'
expect_error 7 'has not answered' mirror start serve:c.sock -d a=u.raw --state u.json
rm $folder/read
wait_until mirror start serve:c.sock -d a=u.raw --state u.json --force
expect_code 0 mirror wait serve:c.sock
wait_until state_is '"left_bytes": 0,'
same_file a.raw u.raw
stop_serve
