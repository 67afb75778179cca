# A Linux machine under qemu that does nothing but write to its drives. After tests/cli/lib.sh.

# On a loaded host the kernel finds its timer late, and would panic.
lib_cmdline='console=ttyS0 quiet panic=1 no_timer_check'

guest_kernel()
{
	lib_folder=$("$SRC/tests/live/guest/kernel.sh" 2>"$TMPDIR/kernel.err") || lacks "$(cat "$TMPDIR/kernel.err")"
	lib_kernel=$lib_folder/vmlinuz lib_modules=$lib_folder/modules
}

# need_machine: says why there can be none.
need_machine()
{
	need qemu-system-x86_64 cpio gzip
	[ "$(uname -m)" = x86_64 ] || skip "the guest is an x86-64"
	guest_kernel
	need busybox
	lib_busybox=$(command -v busybox)
	! ldd "$lib_busybox" >/dev/null 2>&1 || lacks "a busybox that is linked statically"
}

# A machine that writes to its drives.
need_guest()
{
	need_machine
	[ -x "$LIVE_TOOLS/gwriter" ] || fail "no $LIVE_TOOLS/gwriter: run make live-tools"
}

# begin_initrd: a folder with busybox, $lib_root.
begin_initrd()
{
	lib_root=$TMPDIR/initrd
	mkdir -p "$lib_root/bin" "$lib_root/dev" "$lib_root/proc" "$lib_root/mnt" "$lib_root/modules"
	cp "$lib_busybox" "$lib_root/bin/busybox"
	ln -s busybox "$lib_root/bin/sh"
}

# begin_init: an init that has its modules and its first drive, /dev/vda; the caller appends the rest.
begin_init()
{
	cat >"$lib_root/init" <<'END'
#!/bin/sh
busybox mount -t devtmpfs none /dev
for round in 1 2 3; do # in the order that they need each other
	for module in /modules/*; do busybox insmod $module 2>/dev/null; done
done
while [ ! -b /dev/vda ]; do busybox sleep 0.1; done
END
	chmod 755 "$lib_root/init"
}

# add_modules NAME...: for insmod, which takes none that is compressed. What the kernel has built in needs no copy.
add_modules()
{
	for lib_module; do
		lib_file=$(find "$lib_modules/" -name "$lib_module.ko*" | head -n 1)
		case $lib_file in
		*.ko) cp "$lib_file" "$lib_root/modules/" ;;
		*.xz) xz -dc "$lib_file" >"$lib_root/modules/$lib_module.ko" ;;
		*.zst) zstd -dcq "$lib_file" >"$lib_root/modules/$lib_module.ko" ;;
		*.gz) gzip -dc "$lib_file" >"$lib_root/modules/$lib_module.ko" ;;
		*) grep -q "/$lib_module\.ko\$" "$lib_modules/modules.builtin" || fail "no $lib_module in $lib_modules" ;;
		esac
	done
}

# pack_initrd: to standard output.
pack_initrd()
{
	(cd "$lib_root" && find . | cpio -o -H newc --quiet)
	rm -r "$lib_root"
}

# make_initrd FILE
make_initrd()
{
	begin_initrd
	cp "$LIVE_TOOLS/gwriter" "$SRC/tests/live/guest/init" "$SRC/tests/live/guest/agent" "$lib_root/"
	chmod 755 "$lib_root/init" "$lib_root/agent"
	add_modules virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console
	pack_initrd | gzip -1 >"$1"
}

# start_guest URI...: $guest is its process, console what it says. Back when it writes.
start_guest()
{
	make_initrd "$TMPDIR/initrd.gz"
	lib_drives=
	for lib_uri; do
		lib_drives="$lib_drives -drive if=virtio,format=raw,discard=unmap,file=$lib_uri"
	done
	# shellcheck disable=SC2086 # a list of words; the URIs have no blanks
	qemu-system-x86_64 -accel "${GUEST_ACCEL:-tcg}" -m 192 -nodefaults -no-user-config -display none \
		-serial file:console -kernel "$lib_kernel" -initrd "$TMPDIR/initrd.gz" \
		-append "$lib_cmdline" -no-reboot $lib_drives >qemu.out 2>&1 &
	guest=$!
	on_exit "kill -9 $guest 2>/dev/null"
	guest_boots
}

# boot_machine FS A B FORMAT-OF-B [OPTION]...: under a QEMU with monitors at $qmp and $asking, A with an iothread.
boot_machine()
{
	[ -f "$TMPDIR/initrd.gz" ] || make_initrd "$TMPDIR/initrd.gz"
	qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
	lib_fs=$1 lib_A=$2 lib_B=$3 lib_format=$4
	shift 4
	rm -f console
	qemu-system-x86_64 -accel tcg -m 192 -nodefaults -no-user-config -display none -serial file:console \
		-kernel "$lib_kernel" -initrd "$TMPDIR/initrd.gz" -append "$lib_cmdline" -no-reboot \
		-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
		-object iothread,id=io0 \
		-drive if=none,id=fs,format=raw,discard=unmap,file="$lib_fs" -device virtio-blk-pci,drive=fs \
		-drive if=none,id=A,format=raw,discard=unmap,file="$lib_A" \
		-device virtio-blk-pci,drive=A,iothread=io0 \
		-drive if=none,id=B,format="$lib_format",discard=unmap,file="$lib_B" -device virtio-blk-pci,drive=B \
		"$@" >qemu.out 2>&1 &
	guest=$!
	on_exit "kill -9 $guest 2>/dev/null"
	guest_boots
}

# Back when it writes. It is emulated, and slow where much else runs.
guest_boots()
{
	lib_tries=0
	until guest_writes; do
		lib_tries=$((lib_tries + 1))
		[ $lib_tries -lt 400 ] || fail "the guest does not write after 400 s: $(cat qemu.out console)"
		sleep 1
	done
}

guest_writes()
{
	kill -0 $guest 2>/dev/null || fail "the guest ended: $(cat qemu.out console)"
	[ -f console ] && grep -q '^ready' console && grep -q '^guest: file 2' console
}

# How many files the guest has said to be safe.
guest_files()
{
	sed -n 's/^guest: file \([0-9]*\).*/\1/p' console | tail -n 1
}

guest_is_well()
{
	kill -0 $guest 2>/dev/null || fail "the guest ended: $(cat qemu.out)"
	! grep -qE 'I/O error|EXT4-fs error|the writer ended|no file system' console ||
		fail "the guest is not well: $(tail -n 20 console)"
}

# stop_guest: as if its plug were pulled.
stop_guest()
{
	guest_is_well
	kill -9 $guest
	wait $guest 2>/dev/null || :
}

# check_file_system IMAGE FROM: that of a machine whose plug was pulled. Its journal is replayed, then nothing may
# be wrong; and files up to FROM and those after have all their bytes if they have their name.
check_file_system()
{
	e2fsck -E journal_only -fy "$1" >fsck.out 2>&1 || [ $? = 1 ] || fail "journal: $(cat fsck.out)"
	e2fsck -fn "$1" >fsck.out 2>&1 || fail "after its journal was replayed: $(cat fsck.out)"
	rm -rf files
	mkdir files
	debugfs -R "rdump / files" "$1" >/dev/null 2>&1
	lib_last=0
	for lib_file in files/file-*; do
		lib_number=${lib_file#files/file-}
		seq "$lib_number" $((lib_number + 20000)) | cmp - "$lib_file" ||
			fail "$lib_file is not whole in $1"
		[ "$lib_number" -le $lib_last ] || lib_last=$lib_number
	done
	[ $lib_last -ge "$2" ] || fail "file $2 was safe, but the last in $1 is $lib_last"
}
