# Nightly backups of three machines by the lines of examples/vmabak.cron: a domain, a QEMU, and one that is off.
. "$(dirname "$0")/../cli/lib.sh"
need_images
need qemu-storage-daemon ionice

# Lines of a crontab have no quotes.
work=$(mktemp -d /tmp/vmabak-cron.XXXXXX)
on_exit "rm -rf $work"
cd "$work"
EXAMPLES=$SRC/examples
mkdir bin archives run etc images
ln -s "$VMABAK" bin/vmabak
ln -s "$EXAMPLES/nightly.sh" bin/vmabak-nightly
PATH=$PWD/bin:$PATH
VMABAK_FOLDER=$PWD/archives
export VMABAK_FOLDER

# Another QEMU stands for the domain; tests/jobs/domain.sh has a real one.
for machine in web web-db build; do
	make_random $machine.raw 3000000 ${#machine}
	truncate -s 8M $machine.raw
done
for machine in web web-db; do
	qemu-storage-daemon --daemonize --pidfile $machine.pid \
		--chardev "socket,path=$PWD/run/$machine.qmp,server=on,wait=off,id=c" --monitor chardev=c \
		--nbd-server addr.type=unix,addr.path="$PWD/$machine.nbd" \
		--blockdev driver=file,filename=$machine.raw,node-name=root \
		--export type=nbd,id=root,node-name=root,writable=on
	on_exit "kill $(cat $machine.pid)"
done
echo '<domain/>' >etc/build.xml
qemu-img convert -O qcow2 build.raw images/build.qcow2

# The n-th line with a time, as cron hands it to a shell.
cron()
{
	grep -E '^[0-9*]' "$EXAMPLES/vmabak.cron" | sed -n "${1}p" |
		sed -E 's/^([0-9*\/,-]+ +){5}root +//; s/\\%/%/g' | sed -e "s,libvirt:web,qemu:$PWD/run/web.qmp," \
		-e "s,/run/vmabak/,$PWD/run/,g; s,/etc/libvirt/qemu/,$PWD/etc/,g" \
		-e "s,/var/lib/libvirt/images/,$PWD/images/,g; s,/var/backups/vmabak/,$PWD/archives/,g" >line
	sh line
}

# A night is whenever we say.
night()
{
	SOURCE_DATE_EPOCH=$(TZ=UTC date -d "$1 01:15" +%s) TZ=UTC
	export SOURCE_DATE_EPOCH TZ
}

# archives_of MACHINE: how many.
archives_of()
{
	ls archives/$1-????-??-??T011500Z.vmab | wc -l
}

silently()
{
	expect_code 0 "$@"
	[ ! -s "$out" ] && [ ! -s "$err" ] || fail "cron would mail: $(cat "$out" "$err")"
}

! grep -E '^[0-9*]' "$EXAMPLES/vmabak.cron" | sed 's/\\%//g' | grep '%' || fail "cron takes a % for a line break"
night 2026-11-29
for n in 1 2 3; do silently cron $n; done
for machine in web web-db build; do
	expect_code 0 "$VMABAK" restore -q archives/$machine-2026-11-29T011500Z.vmab --no-configs -C back-$machine
	cmp $machine.raw back-$machine/root.raw || fail "$machine is not what was backed up"
done
[ -z "$(find archives -type f ! -perm 600)" ] || fail "others can read the archives"

# Two weeks are kept, each machine's own: also of one whose name begins with that of another. All but the first are
# increments, and what goes is merged into the oldest that stays.
night 2026-11-30
silently cron 2
for day in 01 02 03 04 05 06 07 08 09 10 11 12 13 14; do
	night 2026-12-$day
	put web.raw ${day#0}00000 "night $day"
	silently cron 1
	cp web.raw web-$day.raw
done
[ "$(archives_of web)" = 14 ] || fail "$(ls archives)"
[ "$(archives_of web-db)" = 2 ] || fail "archives of another machine were removed"
[ ! -e archives/web-2026-11-29T011500Z.vmab ] && [ -e archives/web-2026-12-01T011500Z.vmab ] ||
	fail "not the oldest were removed"
[ "$(size_of archives/web-2026-12-14T011500Z.vmab)" -lt 200000 ] || fail "the last one is no increment"
for day in 01 07 14; do
	expect_code 0 "$VMABAK" restore -q archives/web-2026-12-${day}T011500Z.vmab --no-configs -d root=back.raw --force
	same_file web-$day.raw back.raw
done

# A machine that fails, night after night, keeps what it has.
qemu-io -f qcow2 -c 'sleep 100000' images/build.qcow2 >/dev/null &
machine=$!
on_exit "kill $machine 2>/dev/null"
wait_until eval 'readlink /proc/$machine/fd/* | grep -q /build.qcow2'
for day in 15 16 17; do
	night 2026-12-$day
	expect_code 7 cron 3
	expect_text "$err" build.qcow2
done
kill $machine
[ "$(archives_of build)" = 1 ] || fail "a failing backup removed archives"
# So does one whose new archive proves bad, or comes with a warning.
rm bin/vmabak
cat >bin/vmabak <<-END
	#!/bin/sh
	"$VMABAK" "\$@" || exit
	[ \$1 != backup ] || printf x | dd of=archives/web-db-2026-12-18T011500Z.vmab bs=1 seek=2000 conv=notrunc status=none
END
chmod +x bin/vmabak
night 2026-12-18
expect_code 4 cron 2
[ "$(archives_of web-db)" = 3 ] || fail "a bad archive displaced good ones"
printf '#!/bin/sh\n"%s" "$@"\ncode=$?\n[ $1 != backup ] || exit 3\nexit $code\n' "$VMABAK" >bin/vmabak
night 2026-12-19
expect_code 3 cron 2
[ "$(archives_of web-db)" = 4 ] || fail "a warning removed archives"

# On Sunday the damaged one is named, and no other.
ln -sf "$VMABAK" bin/vmabak
expect_code 4 cron 4
[ "$(wc -l <"$err")" = 1 ] || fail "$(cat "$err")"
expect_text "$err" 'web-db-2026-12-18T011500Z.vmab: damaged at byte'

# Words that would lead elsewhere.
expect_code 2 vmabak-nightly '../web' 14 root=web.raw
expect_code 2 vmabak-nightly web 0 root=web.raw
expect_code 2 vmabak-nightly web
