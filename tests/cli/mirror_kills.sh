# The process that mirrors drives of a QEMU is killed. For tests that have lib.sh already.
. "$CLI/mirror.sh"
. "$SRC/tests/live/lib.sh"

need_images
need_live_tools
need pgrep

# start_killing FORMAT: dependent writers go at two drives, near/a.FORMAT and near/b.FORMAT.
start_killing()
{
	format=$1
	make_drives 8388608 4194304
	mkdir near far
	qemu-img convert -f raw -O "$format" A.raw "near/a.$format"
	qemu-img convert -f raw -O "$format" B.raw "near/b.$format"
	start_daemon two --blockdev "driver=$format,file.driver=file,file.filename=$PWD/near/a.$format,node-name=A" \
		--blockdev "driver=$format,file.driver=file,file.filename=$PWD/near/b.$format,node-name=B" \
		--export type=nbd,id=a,node-name=A,name=A,writable=on --export type=nbd,id=b,node-name=B,name=B,writable=on
	uri_A=$(export_uri A) uri_B=$(export_uri B)
	start_writers --chains 2 --align 512 --longest 65536 --rate 300
	here=near there=far A=A B=B
}

keeper() { pgrep -f "^vmabak mirror keep qemu:$qmp"; }
kill_keeper()
{
	lib_keeper=$(keeper) || return 0
	kill -9 $lib_keeper 2>/dev/null || : # it may end just now
	wait_until gone $lib_keeper
	wait_until no_guard
}
# A drive of a daemon is called as its node, and so otherwise after a pivot, which the state was not told of if it was killed.
begin()
{
	! [ -e s.json ] || grep -q "\"name\":\"$A\"" s.json || rm s.json
	mirror_start -d $A=$there/a.$format -d $B=$there/b.$format --state s.json --force "$@"
}
# Where the guest is: QEMU says so.
find_guest()
{
	ask_qmp query-block-exports >"$TMPDIR/exports"
	set -- $("$PYTHON" -S -c 'import json, sys
print(*[e["node-name"] for e in sorted(json.load(open(sys.argv[1])), key=lambda e: e["id"]) if len(e["id"]) == 1])' "$TMPDIR/exports")
	[ "$1 $2" = "$A $B" ] && return 0
	case "$1 $2" in
	'#block'*\ '#block'*) return 0 ;; # below the job, at its source
	vmabak-*-0\ vmabak-*-1) swap=$here here=$there there=$swap ;;
	*) fail "one drive is at its target alone: $1 $2" ;;
	esac
	# The one that was killed may not have got as far as to close them; an image is in use until then.
	for lib_node in $A $B; do
		ask_qmp blockdev-del "{\"node-name\": \"$lib_node\"}" >"$TMPDIR/closed" 2>&1 || :
	done
	A=$1 B=$2
}

# kill_rounds N: at random moments, also in the midst of a pivot.
kill_rounds()
{
	round=0
	while [ $round -lt "$1" ]; do
		round=$((round + 1))
		expect_code 0 begin
		case $((round % 4)) in
		1) kill_keeper ;;
		2)
			expect_code 0 mirror wait
			kill_keeper
			;;
		*)
			expect_code 0 mirror wait
			mirror pivot -q 2>/dev/null >&2 &
			pivot=$!
			sleep "0.0$((round * 7919 % 90 + 5))"
			kill_keeper
			wait $pivot || :
			;;
		esac
		! keeper || fail "it lives"
		find_guest
		if [ $((round % 4)) = 1 ]; then
			expect_code 0 mirror status
			expect_text "$out" 'mirror: killed'
			expect_error 1 'has ended' mirror pivot
		fi
		if [ $((round % 4)) = 2 ]; then
			expect_code 0 mirror abort
			nothing_of_mirrors
		fi
	done
}

# The guest's last writes are at both, and of one instant.
end_killing()
{
	expect_code 0 begin
	expect_code 0 mirror wait
	stop_writers
	wait_until nothing_left
	expect_code 0 mirror abort -q
	nothing_of_mirrors
	for lib_drive in a b; do
		lib_code=0
		# What a qemu-nbd that was killed had allocated may be lost to the image: 3.
		[ $format = raw ] || qemu-img check -q $there/$lib_drive.$format >check 2>&1 || lib_code=$?
		[ $lib_code = 0 ] || [ $lib_code = 3 ] || fail "$there/$lib_drive is damaged: $(cat check)"
		qemu-img convert -f $format -O raw $there/$lib_drive.$format then.$lib_drive
	done
	qemu-img convert -f raw -O raw "$uri_A" now.A
	same_file now.A then.a
	qemu-img convert -f raw -O raw "$uri_B" now.B
	same_file now.B then.b
	judge then.a then.b || fail "$(cat judgement)"
}
