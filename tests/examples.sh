#!/bin/sh
# Tries what is in examples/, and the jobs in tests/jobs/, as far as this machine allows.
#
#   tests/examples.sh VMABAK
#
# Paths of the system are moved into a scratch folder. The last line is "N passed, N failed, N skipped".
set -u
vmabak=$(realpath "${1:?usage: tests/examples.sh VMABAK}")
tests=$(realpath "$(dirname "$0")")
examples=$(realpath "$tests/../examples")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/sbin:/sbin
. "$(dirname "$0")/counts.sh"

# check NAME COMMAND...: it has to succeed.
check()
{
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name"
		sed 's/^/    | /' "$work/log"
	fi
}

# check_not NAME COMMAND...: it has to fail.
check_not()
{
	name=$1
	shift
	check "$name" not "$@"
}

not()
{
	! "$@"
}

have()
{
	command -v "$1" >/dev/null
}

# is_private FILE...: for the owner alone.
is_private()
{
	[ -z "$(find "$@" -type f ! -perm 600)" ]
}

no_file()
{
	[ ! -e "$1" ]
}

# Another drive in each folder that asks for one.
make_drive()
{
	head -c 3000000 /dev/urandom >"$1"
	truncate -s 8M "$1"
}

mkdir "$work/bin"
ln -s "$vmabak" "$work/bin/vmabak"
PATH=$work/bin:$PATH

# The folders of a host, below $work/root.
make_host()
{
	root=$work/root
	mkdir -p "$root/var/backups/vmabak" "$root/var/lib/libvirt/images" "$root/etc/libvirt/qemu"
	echo '<domain/>' >"$root/etc/libvirt/qemu/web.xml"
	make_drive "$work/web.raw"
	qemu-img convert -O qcow2 "$work/web.raw" "$root/var/lib/libvirt/images/web.qcow2"
	archives=$root/var/backups/vmabak
}

moved()
{
	sed -E "s,/(var/backups|var/lib|etc/libvirt|etc/vmabak)/,$root/\1/,g"
}

# Whether the only archive in a folder holds the drive.
holds_drive()
{
	[ "$(find "$1" -name '*.vmab' | wc -l)" = 1 ] &&
		vmabak restore -q "$1"/*.vmab -C "$work/restored" --no-configs &&
		cmp "$work/web.raw" "$work/restored/root.raw"
	result=$?
	rm -rf "$work/restored"
	return $result
}

silent()
{
	[ -z "$("$@" 2>&1)" ]
}

# ---- the jobs of an administrator's first week, each a script; cron is one of them ----

try_jobs()
{
	for job in "$tests"/jobs/*.sh; do
		CLI_FOLDER=$tests/cli VMABAK=$vmabak sh "$job" >"$work/log" 2>&1
		case $? in
		0) passed=$((passed + 1)) ;;
		77) skip "job $(basename "$job" .sh): $(tail -n 1 "$work/log")" ;;
		*)
			failed=$((failed + 1))
			echo "FAILED: job $(basename "$job" .sh)"
			sed 's/^/    | /' "$work/log"
			;;
		esac
	done
}

# ---- systemd ----

# ExecStart as systemd hands it on.
service_command()
{
	sed -n 's/^ExecStart=//p' "$examples/vmabak@.service" | sed 's/%i/web/g; s/%%/%/g; s/\$\$/$/g' | moved
}

# What the unit may write to, and its TMPDIR, below $root.
writable_paths()
{
	sed -n 's/^ReadWritePaths=//p; s,^RuntimeDirectory=,/run/,p' "$examples/vmabak@.service" |
		sed 's/%i/web/g' | tr ' ' '\n' | sed "s,^,$root,"
}

# The command as the unit's settings confine it: all else is read-only, and /tmp its own if it says so.
confined()
{
	TMPDIR=$(sed -n 's/^Environment=TMPDIR=//p' "$examples/vmabak@.service" | sed "s/%i/web/g; s,^,$root,")
	: "${TMPDIR:=$root/tmp}"
	private=$(grep -c '^PrivateTmp=yes' "$examples/vmabak@.service")
	mkdir -p "$TMPDIR" $(writable_paths)
	export TMPDIR
	# shellcheck disable=SC2016 # for the shell inside
	unshare -m sh -ec 'for path in $1; do mount --bind "$path" "$path"; done
		mount --bind "$2" "$2"
		for path in $1; do mount --bind "$path" "$path"; done
		mount -o remount,bind,ro "$2"
		[ "$3" = 0 ] || mount -t tmpfs none "$TMPDIR"
		eval "$4"' - "$(writable_paths)" "$root" "$private" "$1"
}

# run_service SOURCE OPTIONS
run_service()
{
	mkdir -p "$root/etc/vmabak"
	printf 'SOURCE="%s"\nOPTIONS="%s"\n' "$1" "$2" >"$root/etc/vmabak/web.conf"
	(
		set -a
		eval "$(sed -nE 's/^Environment="KEEP=(.*)"$/KEEP="\1"/p' "$examples/vmabak@.service")"
		# shellcheck disable=SC1091 # made above
		. "$root/etc/vmabak/web.conf"
		if unshare -m true 2>/dev/null; then
			confined "$(service_command)"
		else
			eval "$(service_command)"
		fi
	)
}

# A running QEMU, which connects to the sockets of the unit.
try_unit_with_qemu()
{
	cp "$work/web.raw" "$work/running.raw"
	qemu-storage-daemon --daemonize --pidfile "$work/qemu.pid" \
		--chardev "socket,path=$work/web.qmp,server=on,wait=off,id=c" --monitor chardev=c \
		--blockdev driver=file,filename="$work/running.raw",node-name=root \
		--nbd-server addr.type=unix,addr.path="$work/qemu.nbd" \
		--export type=nbd,id=root,node-name=root,writable=on
	check "systemd: a running QEMU from the unit" run_service "qemu:$work/web.qmp" ""
	check "systemd: the archive holds its drive" holds_drive "$archives"
	rm -f "$archives"/*
	check "systemd: and by --pull" run_service "qemu:$work/web.qmp" \
		"--pull --nbd-server $work/qemu.nbd --scratch $root/var/tmp"
	check "systemd: the archive holds its drive" holds_drive "$archives"
	rm -f "$archives"/*
	kill "$(cat "$work/qemu.pid")"
}

try_systemd()
{
	check "systemd: the command of the service" run_service "root=$root/var/lib/libvirt/images/web.qcow2" \
		"-c $root/etc/libvirt/qemu/web.xml --rate 200M"
	check "systemd: the archive holds the drive" holds_drive "$archives"
	check "systemd: the archive is private" is_private "$archives"
	check "systemd: so is what the units make" [ "$(grep -c '^UMask=0077$' "$examples"/*.service | grep -c ':1$')" = 2 ]
	touch "$archives/.web-2026-11-28T011500Z.vmab.abcdef.part" "$archives/.web-db-2026-11-27T011500Z.vmab.abcdef.part"
	check "systemd: a night after a killed run" run_service "root=$root/var/lib/libvirt/images/web.qcow2" ""
	check "systemd: its leftover is removed, no other" [ "$(ls -d "$archives"/.web*)" = \
		"$archives/.web-db-2026-11-27T011500Z.vmab.abcdef.part" ]
	check "systemd: that is an increment, and the day before is merged into it" holds_drive "$archives"
	check "systemd: a third night keeps both" run_service "root=$root/var/lib/libvirt/images/web.qcow2\"
		KEEP=\"--keep-last 2" ""
	check "systemd: there are two archives" [ "$(find "$archives" -name '*.vmab' | wc -l)" = 2 ]
	check_not "systemd: a night that fails" run_service "root=$root/var/lib/libvirt/images/missing" ""
	check "systemd: nothing is removed then" [ "$(find "$archives" -name '*.vmab' | wc -l)" = 2 ]
	rm -f "$archives"/* "$archives"/.web*
	try_unit_with_qemu
	if ! have systemd-analyze; then
		lacks "no systemd-analyze here: the units were not checked by it"
		return
	fi
	mkdir "$work/units"
	cp "$examples"/vmabak@.* "$work/units"
	mv "$work/units/vmabak@.service" "$work/units/vmabak@web.service"
	mv "$work/units/vmabak@.timer" "$work/units/vmabak@web.timer"
	check "systemd: the units are silently taken" silent systemd-analyze verify --man=no \
		"$work/units/vmabak@web.service" "$work/units/vmabak@web.timer"
	check "systemd: the calendar is understood" systemd-analyze calendar \
		"$(sed -n 's/^OnCalendar=//p' "$examples/vmabak@.timer")"
}

# ---- serve ----

# The command of the unit, as systemd hands it on. $1: ExecStart or ExecStop
serve_command()
{
	sed -n "s/^$1=-*//p" "$examples/vmabak-serve@.service" |
		sed -e 's/%i/web/g; s/\$\$/$/g' -e "s,/run/vmabak,$work/run,g; s,/etc/vmabak,$root/etc/vmabak,g"
}

# Its socket for what it tells systemd; prints what came.
listen_for_ready()
{
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(20)
print(s.recv(100).decode())' "$work/run/notify"
}

try_serve()
{
	mkdir -p "$work/run" "$root/etc/vmabak"
	cp "$work/web.raw" "$work/served.raw"
	DRIVES="root=$work/served.raw" MAPS="--map root=$work/run/root.map"
	export DRIVES MAPS
	listen_for_ready >"$work/ready" &
	listener=$!
	while [ ! -S "$work/run/notify" ]; do sleep 0.05; done
	NOTIFY_SOCKET=$work/run/notify sh -c "$(serve_command ExecStart)" 2>"$work/serve.log" &
	wait $listener
	check "serve: it tells systemd when it is ready" grep -qx READY=1 "$work/ready"
	check "serve: a backup then works at once" vmabak backup -q "serve:$work/run/web.sock" -o "$work/frozen/served.vmab"
	check "serve: the archive holds the drive" holds_drive "$work/frozen"
	check "serve: its end" sh -c "$(serve_command ExecStop)"
	check "serve: no socket is left" no_file "$work/run/web.sock"
	rm -f "$work/frozen"/*
	unset DRIVES MAPS
	have systemd-analyze || return
	cp "$examples/vmabak-serve@.service" "$work/units/vmabak-serve@web.service"
	check "serve: the unit is silently taken" silent systemd-analyze verify --man=no "$work/units/vmabak-serve@web.service"
}

# ---- tape ----

whole_records()
{
	size=$(wc -c <"$1")
	[ "$size" -gt 0 ] && [ $((size % 262144)) = 0 ]
}

# $1: what it is called
try_tape()
{
	export TAPE="$work/tape" TAPE_MEMORY=4M
	rm -rf "$TAPE" "$work/restored"
	check "tape, $1: written and verified" "$examples/tape.sh" write root="$work/web.raw"
	check "tape, $1: in whole records" whole_records "$TAPE"
	check "tape, $1: verified again" "$examples/tape.sh" verify
	check "tape, $1: restored" "$examples/tape.sh" restore -C "$work/restored"
	check "tape, $1: the same" cmp "$work/web.raw" "$work/restored/root.raw"
	truncate -s 1M "$TAPE"
	check_not "tape, $1: a cut one is noticed" "$examples/tape.sh" verify
	check_not "tape, $1: a failing backup is noticed" "$examples/tape.sh" write root="$work/nothing"
}

# Two tapes, by the library that makes a file behave like one.
try_two_tapes()
{
	mkdir "$work/tapes"
	: >"$work/tapes/t1"
	: >"$work/tapes/t2"
	cat >"$work/tapes/next" <<'END'
cd "$(dirname "$VMABAK_TAPE")"
[ ! -e tape ] || mv tape "t$(cat in)"
mv "t$VMABAK_VOLUME" tape
: >tape.at
echo "$VMABAK_VOLUME" >in
END
	printf '#!/bin/sh\n: >"$2.at"\n' >"$work/tapes/mt"
	chmod 755 "$work/tapes/mt"
	set -- env PATH="$work/tapes:$PATH" LD_PRELOAD="$(dirname "$vmabak")/tape.so" TAPE_ROOM="$1" TAPE="$work/tapes/tape" \
		TAPE_NEXT="sh '$work/tapes/next'" "$examples/tape.sh"
	check "two tapes: written and verified" "$@" write root="$work/web.raw"
	check "two tapes: they are two" test "$(cat "$work/tapes/in")" = 2
	check "two tapes: restored" "$@" restore -C "$work/restored2"
	check "two tapes: the same" cmp "$work/web.raw" "$work/restored2/root.raw"
}

# With nothing but what it needs in the PATH.
try_tape_alone()
{
	before=$PATH
	mkdir "$work/few"
	for tool in sh cat cmp dd env rm sed test truncate wc; do
		ln -s "$(command -v $tool)" "$work/few/$tool" 2>/dev/null
	done
	ln -s "$vmabak" "$work/few/vmabak"
	# shellcheck disable=SC2123 # that is the point
	PATH=$work/few
	try_tape "without mbuffer"
	PATH=$before
}

# ---- object store ----

stored()
{
	rclone -q cat ":local:$work/store/$1.vmab" | vmabak verify -
}

nothing_stored()
{
	[ -z "$(find "$work/store" -type f)" ]
}

try_object_store()
{
	export RCLONE_CONFIG=/dev/null
	mkdir "$work/store"
	check "object store: stored" "$examples/object-store.sh" ":local:$work/store" monday root="$work/web.raw"
	check "object store: whole, under its name" stored monday
	check_not "object store: a name that is taken is refused" \
		"$examples/object-store.sh" ":local:$work/store" monday root="$work/web.raw"
	rm -f "$work/store"/*
	check_not "object store: a backup that fails" \
		"$examples/object-store.sh" ":local:$work/store" tuesday root="$work/nothing"
	check "object store: leaves nothing" nothing_stored

	# A backup that is killed half-way: the upload tool by itself takes what came for all.
	head -c 1000000 "$work/web.raw" | rclone -q rcat ":local:$work/store/cut.vmab"
	check "object store: a cut stream is stored without complaint" test -s "$work/store/cut.vmab"
	rm -f "$work/store"/*
	mkdir "$work/dying"
	cat >"$work/dying/vmabak" <<-END
		#!/bin/sh
		[ "\$1" = backup ] || exec "$vmabak" "\$@"
		exec timeout -s KILL 1 "$vmabak" "\$@" --rate 500K
	END
	chmod +x "$work/dying/vmabak"
	check_not "object store: a backup that is killed" env PATH="$work/dying:$PATH" \
		"$examples/object-store.sh" ":local:$work/store" wednesday root="$work/web.raw"
	check_not "object store: is not stored" stored wednesday
}

# ---- snapshot ----

# $1: qcow2 or raw
try_snapshot()
{
	image=$work/machine.$1 overlay=$work/machine.$1.overlay.qcow2
	qemu-img convert -O "$1" "$work/web.raw" "$image"
	chmod 600 "$image"
	check "snapshot of $1: begin" "$examples/snapshot.sh" begin "$image"
	check "snapshot of $1: the overlay is as private as the image" is_private "$overlay"
	check_not "snapshot of $1: not twice" "$examples/snapshot.sh" begin "$image"
	check "snapshot of $1: the machine writes" qemu-io -f qcow2 -c 'write -P 7 0 1M' "$overlay"
	# The machine has it open while the backup runs.
	mkfifo "$work/machine"
	qemu-io -f qcow2 "$overlay" <"$work/machine" >/dev/null &
	machine=$!
	exec 7>"$work/machine"
	echo 'write -P 8 1M 1M' >&7
	until readlink /proc/$machine/fd/* | grep -qF "$overlay"; do sleep 0.1; done
	check "snapshot of $1: backup" "$examples/snapshot.sh" backup "$image" "$work/frozen/$1.vmab"
	check "snapshot of $1: the machine ran on meanwhile" kill -0 $machine
	check_not "snapshot of $1: no end while the machine runs" "$examples/snapshot.sh" end "$image"
	exec 7>&-
	wait $machine
	rm "$work/machine"
	check "snapshot of $1: the archive shows the moment of begin" holds_drive "$work/frozen"
	check "snapshot of $1: end" "$examples/snapshot.sh" end "$image"
	check "snapshot of $1: what the machine wrote is in the image" \
		qemu-io -f "$1" -c 'read -P 7 0 1M' -c 'read -P 8 1M 1M' "$image"
	check "snapshot of $1: the overlay is gone" no_file "$overlay"
	rm -f "$work/frozen"/*
}

if have qemu-img; then
	make_host
	try_systemd
	mkdir "$work/frozen"
	try_serve
	try_snapshot qcow2
	try_snapshot raw
else
	make_drive "$work/web.raw"
	lacks "no qemu-img here: cron, systemd and snapshot were not tried"
fi
try_tape_alone
try_two_tapes 2000000
if have mbuffer; then try_tape "with mbuffer"; else lacks "no mbuffer here: tape.sh was tried without it"; fi
if have rclone; then try_object_store; else lacks "no rclone here: object-store.sh was not tried"; fi

try_jobs

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
