# What the tests of export have in common, after lib.sh and serve.sh.

# start_export [OPTION]... ARCHIVE...: in the background, until it can be reached. $export is its pid.
start_export()
{
	rm -f export.err
	"$VMABAK" export --control c.sock --nbd unix:n.sock "$@" 2>export.err &
	export=$!
	on_exit "kill -9 $export 2>/dev/null"
	wait_until export_began
}

export_began()
{
	"$VMABAK" status c.sock >/dev/null 2>&1 && return
	kill -0 $export 2>/dev/null || fail "export has ended: $(cat export.err)"
	return 1
}

# stop_export [CODE]
stop_export()
{
	wait_until "$VMABAK" stop c.sock
	lib_code=0
	wait $export || lib_code=$?
	[ $lib_code = "${1:-0}" ] || fail "export ended with code $lib_code: $(cat export.err)"
}

# same_bytes DRIVE FILE N [SEED]: N reads of any length at any place are what FILE has, several in flight.
same_bytes()
{
	need nbdsh
	"$PYTHON" "$CLI/random_reads.py" "$@" || fail "export of $1 differs from $2"
}
