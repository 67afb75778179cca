# What the tests of serve have in common, after lib.sh. The sockets have short names: the path of a
# socket may have 107 characters.

# start_serve [OPTION]... DRIVE...: in the background, until it can be reached. $serve is its pid.
start_serve()
{
	rm -f serve.err
	"$VMABAK" serve --control c.sock --nbd unix:n.sock "$@" 2>serve.err &
	serve=$!
	on_exit "kill -9 $serve 2>/dev/null"
	wait_until serve_began
}

serve_began()
{
	"$VMABAK" status c.sock >/dev/null 2>&1 && return
	kill -0 $serve 2>/dev/null || fail "serve has ended: $(cat serve.err)"
	return 1
}

# stop_serve [OPTION]...: in order.
# A client that has just gone may be counted for a moment.
stop_serve()
{
	wait_until "$VMABAK" stop "$@" c.sock
	lib_code=0
	wait $serve || lib_code=$?
	[ $lib_code = 0 ] || fail "serve ended with code $lib_code: $(cat serve.err)"
}

kill_serve()
{
	kill -9 $serve
	wait $serve 2>/dev/null || true
}

# guest DRIVE PYTHON: with h, a connection of libnbd to that drive.
guest()
{
	need nbdsh
	"$PYTHON" -c 'import nbd, sys, time
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_uri("nbd+unix:///" + sys.argv[1] + "?socket=n.sock")
exec(sys.argv[2])
h.shutdown()' "$@" || fail "the guest failed: $2"
}

# live ARCHIVE [OPTION]...: a backup of what is served.
live()
{
	lib_archive=$1
	shift
	"$VMABAK" backup serve:c.sock -o "$lib_archive" "$@"
}

# stalled_backup [OPTION]...: in the background, into a pipe that nobody reads until "cat <&5"; its
# messages in said. $backup is its pid.
stalled_backup()
{
	[ -p pipe ] || mkfifo pipe
	"$VMABAK" backup serve:c.sock -o - --compress none "$@" >pipe 2>said &
	backup=$!
	exec 5<pipe
	wait_until backup_runs
}

# restored_is ARCHIVE DRIVE FILE: what the archive has of the drive is the file.
restored_is()
{
	rm -rf restored
	"$VMABAK" restore -q "$1" -d "$2=restored.raw" || fail "$1 cannot be restored"
	cmp "$3" restored.raw || fail "$1 does not hold $3"
	rm restored.raw
}

# status EXPRESSION...: of the server's status s.
status()
{
	"$VMABAK" status --json c.sock >"$out" || fail "no status"
	"$PYTHON" -S -c 'import json, sys
s = json.load(open(sys.argv[1]))["serve"]
for text in sys.argv[2:]:
    if not eval(text):
        print(json.dumps(s, indent=1))
        sys.exit("not so: " + text)' "$out" "$@"
}

backup_runs()
{
	"$VMABAK" status --json c.sock >"$out" 2>/dev/null && ! grep -qF '"backup": null' "$out"
}

# Until the server knows of no backup.
no_backup()
{
	"$VMABAK" status --json c.sock >"$out" 2>/dev/null && grep -qF '"backup": null' "$out"
}

# start_other DRIVE...: a second serve, on d.sock and m.sock. $other is its pid.
start_other()
{
	"$VMABAK" serve --control d.sock --nbd unix:m.sock "$@" 2>other.err &
	other=$!
	on_exit "kill -9 $other 2>/dev/null"
	wait_until sh -c '"$VMABAK" status d.sock >/dev/null 2>&1'
}
stop_other()
{
	wait_until "$VMABAK" stop --force d.sock
	wait $other || fail "the other serve: $(cat other.err)"
}
# guest_there PYTHON: as guest, of its drive a.
guest_there()
{
	"$PYTHON" -c 'import nbd, sys
h = nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=m.sock")
exec(sys.argv[1])
h.shutdown()' "$1"
}
