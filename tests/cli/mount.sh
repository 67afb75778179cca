# For tests of mounts, sourced after lib.sh. (No hyphen: not a test.)
need fusermount3
[ -c /dev/fuse ] && [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "no /dev/fuse that can be used here"

# mounts FOLDER ARCHIVE...: $server is the process that serves it
mounts()
{
	mounts_folder=$1
	shift
	expect_code 0 "$VMABAK" mount "$@" "$mounts_folder"
	on_exit "fusermount3 -uz '$PWD/$mounts_folder' 2>/dev/null"
	server=$(server_of "$mounts_folder")
	[ -n "$server" ] || fail "no process serves $mounts_folder"
	on_exit "kill $server 2>/dev/null"
}
# The process whose last argument the folder is, in this folder.
server_of()
{
	"$PYTHON" -S -c 'import os, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open("/proc/%s/cmdline" % pid, errors="replace") as file:
            words = file.read().split("\0")
        if os.readlink("/proc/%s/cwd" % pid) == os.getcwd() and words[1:3] == ["mount", "--foreground"] and words[-2] == sys.argv[1]:
            print(pid)
    except OSError:
        pass' "$1"
}
# How many mounts are there.
n_mounts()
{
	grep -cF " $(printf %s "$PWD/$1" | sed 's/ /\\040/g') " /proc/self/mountinfo
}
