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
# A night is whenever we say.
printf '#!/bin/sh\n[ "$1" != +%%F ] || { cat "%s/night"; exit; }\nexec /bin/date "$@"\n' "$PWD" >bin/date
chmod +x bin/date
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

night()
{
	echo "$1" >night
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
	expect_code 0 "$VMABAK" restore -q archives/$machine-2026-11-29.vmab --no-configs -C back-$machine
	cmp $machine.raw back-$machine/root.raw || fail "$machine is not what was backed up"
done
[ -z "$(find archives -type f ! -perm 600)" ] || fail "others can read the archives"

# Two weeks are kept, each machine's own: also of one whose name begins with that of another.
for day in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do
	for machine in web web-db build; do cp archives/$machine-2026-11-29.vmab archives/$machine-2026-11-$day.vmab; done
done
touch archives/web-notes.vmab archives/web-2026-11-09.vmab.old
# Killed runs: two of this machine, one of them a minute ago, and one of another.
old=.web-2026-11-27.vmab.abcdef.part recent=.web-2026-11-28.vmab.abcdef.part other=.web-db-2026-11-27.vmab.abcdef.part
touch archives/$recent
touch -d '2 days ago' archives/$old archives/$other
night 2026-11-30
silently cron 1
[ "$(ls archives/web-2026-*.vmab | wc -l)" = 14 ] || fail "$(ls archives)"
[ "$(ls archives/web-db-2026-*.vmab | wc -l)" = 16 ] || fail "archives of another machine were removed"
[ ! -e archives/web-2026-11-12.vmab ] && [ -e archives/web-2026-11-13.vmab ] || fail "not the oldest were removed"
[ -e archives/web-notes.vmab ] && [ -e archives/web-2026-11-09.vmab.old ] || fail "other files were removed"

[ ! -e archives/$old ] || fail "an old leftover of this machine stays"
[ -e archives/$recent ] && [ -e archives/$other ] || fail "leftovers of a run that may live, or of another machine, were removed"
rm archives/$recent archives/$other

# A machine that fails, night after night, keeps what it has.
qemu-io -f qcow2 -c 'sleep 100000' images/build.qcow2 >/dev/null &
machine=$!
on_exit "kill $machine 2>/dev/null"
wait_until eval 'readlink /proc/$machine/fd/* | grep -q /build.qcow2'
for day in 01 02 03; do
	night 2026-12-$day
	expect_code 7 cron 3
	expect_text "$err" build.qcow2
done
kill $machine
[ "$(ls archives/build-2026-*.vmab | wc -l)" = 16 ] || fail "a failing backup removed archives"
# So does one whose new archive proves bad, or comes with a warning.
rm bin/vmabak
cat >bin/vmabak <<-END
	#!/bin/sh
	"$VMABAK" "\$@" || exit
	[ \$1 != backup ] || printf x | dd of=archives/web-db-2026-12-04.vmab bs=1 seek=100000 conv=notrunc status=none
END
chmod +x bin/vmabak
night 2026-12-04
expect_code 4 cron 2
[ "$(ls archives/web-db-2026-*.vmab | wc -l)" = 17 ] || fail "a bad archive displaced good ones"
printf '#!/bin/sh\n"%s" "$@"\ncode=$?\n[ $1 != backup ] || exit 3\nexit $code\n' "$VMABAK" >bin/vmabak
night 2026-12-05
expect_code 3 cron 2
[ "$(ls archives/web-db-2026-*.vmab | wc -l)" = 18 ] || fail "a warning removed archives"

# On Sunday the damaged one is named, and no other.
rm archives/web-notes.vmab
ln -sf "$VMABAK" bin/vmabak
expect_code 4 cron 4
[ "$(wc -l <"$err")" = 1 ] || fail "$(cat "$err")"
expect_text "$err" 'web-db-2026-12-04.vmab: damaged at byte'

# Words that would lead elsewhere.
expect_code 2 vmabak-nightly '../web' 14 root=web.raw
expect_code 2 vmabak-nightly web 0 root=web.raw
expect_code 2 vmabak-nightly web
# Parents are not to be counted away.
newest=$(ls archives/web-2026-*.vmab | tail -n 1)
ls archives >before
night 2026-12-06
for words in "--parent $newest" "--parent=$newest" "--paren $newest"; do
	# shellcheck disable=SC2086 # words
	expect_code 2 vmabak-nightly web 1 $words root=web.raw
	expect_text "$err" 'nightly.sh: --parent: '
done
ls archives | cmp -s - before || fail "archives were made or removed with --parent"
