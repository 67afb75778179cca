# What the tests of the command line have in common. Each begins with
#
#	. "$(dirname "$0")/lib.sh"
#
# and is then in an empty folder of its own. run.sh sets VMABAK; a test run by hand takes the
# program of the build. Variables that begin with lib_ are used here alone.
set -eu

CLI=${CLI_FOLDER:-$(cd "$(dirname "$0")" && pwd)}
SRC=$(cd "$CLI/../.." && pwd)
: "${VMABAK:=$SRC/build/release/vmabak}"
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export CLI SRC VMABAK PATH LC_ALL
unset SOURCE_DATE_EPOCH NO_COLOR MAKEFLAGS MFLAGS MAKELEVEL VARIANT 2>/dev/null || true

# Another python may come first in the path, without the modules of the system's packages.
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
PYTHONDONTWRITEBYTECODE=1
export PYTHON PYTHONDONTWRITEBYTECODE

base=${CLI_TEST_FOLDER:-$(mktemp -d "${TMPDIR:-/tmp}/vmabak test.XXXXXX")}
TMPDIR=$base/tmp
out=$base/out err=$base/err	# of the last expect_code; not in the folder that tests look at
export TMPDIR out err
mkdir "$base/tmp" "$base/work"
cd "$base/work"

# ---- the end of a test ----

at_exit=:

# on_exit COMMAND: run at the end, the last first.
on_exit()
{
	at_exit="$1
$at_exit"
}

clean_up()
{
	code=$?
	trap - EXIT
	set +e
	cd /
	eval "$at_exit"
	rm -rf "$base"
	exit $code
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail()
{
	echo "FAILED: $*"
	exit 1
}

# The reason also goes where run.sh finds it: standard output may be that of a command just now.
skip()
{
	echo "skipped: $*"
	[ -z "${CLI_TEST_FOLDER:-}" ] || echo "$*" >"$CLI_TEST_FOLDER.reason"
	exit 77
}

# ---- what a test needs ----

# lacks THING: skips for want of something that tests/install-dependencies.sh installs. Where it was run that is a
# failure: a package is missing from its list.
lacks()
{
	[ -z "${VMABAK_INSTALLED:-}" ] || fail "tests/install-dependencies.sh should have installed what is missing: $*"
	skip "$* is missing"
}

need()
{
	for lib_program; do
		command -v "$lib_program" >/dev/null || lacks "$lib_program"
	done
}

# need_python MODULE...
need_python()
{
	for lib_program; do
		"$PYTHON" -c "import $lib_program" 2>/dev/null || lacks "Python's module $lib_program"
	done
}

# need_feature NAME: a library that vmabak was built with.
need_feature()
{
	"$VMABAK" --version | grep -q "$1=yes" || lacks "$1 in this build of vmabak"
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need_strace()
{
	need strace
	strace -f -o /dev/null true 2>/dev/null || skip "strace may not trace here"
}

# The program gives up access to other files: builds with a sanitizer or for coverage do not.
need_sandbox()
{
	[ -z "${VMABAK_WITHOUT_SANDBOX:-}" ] || skip "built without it"
	"$PYTHON" -S -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)' || skip "no Landlock here"
}

# script(1) runs a command at a terminal.
need_terminal()
{
	need script
	script -qec true /dev/null >/dev/null 2>&1 || skip "no terminals here (/dev/pts)"
}

# encrypted COMMAND...: qemu-img, which measures the processor for LUKS, and may fail where that is busy.
encrypted()
{
	lib_tries=0
	until "$@" 2>"$TMPDIR/encrypted"; do
		grep -q 'accurate CPU usage' "$TMPDIR/encrypted" || fail "$(cat "$TMPDIR/encrypted"): $*"
		lib_tries=$((lib_tries + 1))
		[ $lib_tries -lt 100 ] || fail "no such image within 100 times: $*"
	done
}

need_images()
{
	need qemu-img qemu-nbd
	need_feature libnbd
}

# loop_device FILE [OPTION]...: $loop is a device over it until the test ends.
loop_device()
{
	need_root
	need losetup
	lib_file=$1
	shift
	loop=$(losetup --show -f "$@" "$lib_file" 2>/dev/null) || skip "no loop devices here"
	on_exit "losetup -d $loop"
}

# in_private_mounts COMMAND...: it may mount; nobody else sees that.
in_private_mounts()
{
	need unshare mount
	if unshare -m true 2>/dev/null; then
		unshare -m "$@"
	elif unshare -rm true 2>/dev/null; then
		unshare -rm "$@"
	else
		skip "may not make a mount namespace here"
	fi
}

# begin_in_private_mounts: what follows in the test runs there.
begin_in_private_mounts()
{
	[ -z "${IN_MOUNTS:-}" ] || return 0
	trap - EXIT
	IN_MOUNTS=yes CLI_TEST_FOLDER=$base/inner
	export IN_MOUNTS CLI_TEST_FOLDER
	mkdir "$CLI_TEST_FOLDER"
	lib_code=0
	in_private_mounts sh "$CLI/${0##*/}" || lib_code=$?
	rm -rf "$base"
	exit $lib_code
}

# ---- running the program ----

# expect_code N COMMAND...: it must exit with N. Its output is in $out and $err.
expect_code()
{
	lib_wanted=$1 lib_code=0
	shift
	"$@" >"$out" 2>"$err" || lib_code=$?
	[ "$lib_code" = "$lib_wanted" ] || {
		echo "standard output:"
		head -c 4000 "$out" | cat -v
		echo "standard error:"
		head -c 4000 "$err" | cat -v
		fail "exit code $lib_code, expected $lib_wanted, of: $*"
	}
}

# expect_text FILE TEXT...: each must be in it.
expect_text()
{
	lib_file=$1
	shift
	for lib_text; do
		grep -qF -e "$lib_text" "$lib_file" || {
			head -n 50 "$lib_file"
			fail "does not say '$lib_text'"
		}
	done
}

expect_no_text()
{
	lib_file=$1
	shift
	for lib_text; do
		! grep -qF -e "$lib_text" "$lib_file" || {
			head -n 50 "$lib_file"
			fail "says '$lib_text'"
		}
	done
}

# expect_error N TEXT COMMAND...: exit code N, nothing on standard output, one line that holds
# TEXT on standard error; for usage also where to read more.
expect_error()
{
	lib_number=$1 lib_words=$2
	shift 2
	expect_code "$lib_number" "$@"
	expect_text "$err" "$lib_words"
	[ ! -s "$out" ] || fail "standard output is not empty: $*"
	[ "$lib_number" != 2 ] || sed -i "/^try 'vmabak help/d" "$err"
	[ "$(wc -l <"$err")" = 1 ] || fail "not one line, but: $(cat "$err")"
	grep -q '^vmabak: ' "$err" || fail "does not begin with vmabak: $(cat "$err")"
}

# wait_until COMMAND...: until it succeeds, for two minutes. It is asked less often after a second: it may be costly.
wait_until()
{
	lib_tries=0
	until "$@"; do
		lib_tries=$((lib_tries + 1))
		[ $lib_tries -lt 620 ] || fail "not within two minutes: $*"
		[ $lib_tries -lt 20 ] && sleep 0.05 || sleep 0.2
	done
}

# ended_with CODE PID: waits for it; it must have ended with that code.
ended_with()
{
	lib_code=0
	wait "$2" || lib_code=$?
	[ "$lib_code" = "$1" ] || fail "exit code $lib_code, expected $1: $(cat "$err")"
}

# dead PID: nobody may have waited for it yet.
dead()
{
	! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"
}

# Whether a file that an archive or drive is written to under a temporary name has N bytes.
has_part()
{
	for lib_part in "$1"/.*.part; do
		[ -f "$lib_part" ] && [ "$(size_of "$lib_part")" -ge "$2" ] && return 0
	done
	return 1
}

# in_background COMMAND...: $pid; its output as with expect_code. A shell has background jobs
# ignore ^C; here the signals are as they are for a job in the foreground.
in_background()
{
	env --default-signal=INT,QUIT,PIPE "$@" >"$out" 2>"$err" &
	pid=$!
	on_exit "kill -9 $pid 2>/dev/null"
}

# paused PID COMMAND...: while that process stands still, so that it does not end meanwhile.
paused()
{
	lib_paused=$1
	shift
	kill -STOP "$lib_paused"
	on_exit "kill -CONT $lib_paused 2>/dev/null"
	"$@"
	kill -CONT "$lib_paused"
}

# slower_until WANTED SIZE COMMAND...: runs the command with a --rate at which SIZE MB take a second, and again with smaller
# ones, until WANTED succeeds: what is to be seen while it runs may be missed on a busy machine.
slower_until()
{
	lib_seen=$1 lib_mb=$2
	shift 2
	for lib_seconds in 1 4 20; do
		"$@" --rate $((lib_mb * 1000000 / lib_seconds))
		! "$lib_seen" || return 0
	done
	fail "never at any rate: $lib_seen: $*"
}

# free_port [ADDRESS]: of TCP, on this host.
free_port()
{
	"$PYTHON" -S -c 'import socket, sys
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET) as one:
    one.bind((sys.argv[1], 0))
    print(one.getsockname()[1])' "${1:-127.0.0.1}"
}

# ---- files ----

size_of()
{
	stat -c %s "$1"
}

# KiB that it takes on disk.
allocated()
{
	echo $(($(stat -c '%b * %B' "$1") / 1024))
}

same_file()
{
	cmp "$1" "$2" || fail "$1 and $2 differ"
}

# nothing_but NAME...: the folder holds just these, given in order.
nothing_but()
{
	lib_found=$(ls -A . | tr '\n' ' ')
	[ "$lib_found" = "${*}${*:+ }" ] || fail "the folder holds '$lib_found', not '$* '"
}

# make_random FILE BYTES [SEED]: which no compressor makes smaller; the same for the same seed.
make_random()
{
	"$PYTHON" -S -c 'import sys, _random # which starts sooner than random
source, left = _random.Random(int.from_bytes(sys.argv[3].encode(), "big")), int(sys.argv[2])
with open(sys.argv[1], "wb") as file:
    while left > 0:
        n = min(left, 1 << 20)
        left -= file.write(source.getrandbits(8 * n).to_bytes(n, "little"))' "$1" "$2" "${3:-1}"
}

# make_full FILE BYTES: of ff, so that bytes that stay of it are seen.
make_full()
{
	head -c "$2" /dev/zero | tr '\0' '\377' >"$1"
}

# put FILE OFFSET TEXT: overwrites in place.
put()
{
	printf %s "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# flip FILE OFFSET: changes a bit of that byte; -N counts from the end.
flip()
{
	lib_at=$(($2))
	[ $lib_at -ge 0 ] || lib_at=$(($(size_of "$1") + lib_at))
	lib_byte=$(od -An -tu1 -j $lib_at -N 1 "$1")
	# shellcheck disable=SC2059 # an escape
	printf "\\$(printf %o $((lib_byte ^ 1)))" | dd of="$1" bs=1 seek=$lib_at conv=notrunc status=none
}

# make_image FILE MIB: a file system with files that do and do not compress, and much room.
make_image()
{
	need mkfs.ext4 e2fsck
	mkdir "$base/files" "$base/files/folder"
	make_random "$base/files/random" $(($2 * 262144)) 3
	seq 1 200000 >"$base/files/folder/numbers"
	truncate -s 10M "$base/files/hole"
	truncate -s "$2M" "$1"
	mkfs.ext4 -q -F -d "$base/files" "$1"
	rm -r "$base/files"
}

# compile TEXT OUT: an archive from a description; a name of one in tests/images, or - for
# standard input.
compile()
{
	if [ "$1" = - ]; then
		{ echo '# expect: ok' && cat; } >"$base/description.txt"
		set -- "$base/description.txt" "$2"
	else
		set -- "$SRC/tests/images/$1.txt" "$2"
	fi
	need_python xxhash zstandard
	"$PYTHON" "$SRC/tests/images/compile.py" "$1" "$2"
}

# expect_json FILE EXPRESSION...: it holds one JSON object d, of which all are true, in Python.
expect_json()
{
	"$PYTHON" -S -c 'import json, sys
d = json.load(open(sys.argv[1]))
for text in sys.argv[2:]:
    if not eval(text):
        print(json.dumps(d, indent=1))
        sys.exit("not so: " + text)' "$@" || fail "$1 is not the JSON expected"
}
