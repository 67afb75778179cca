# A guest of the lab: a machine for what this one's kernel cannot do. Its init runs a test as root, and is
# off when that has ended. After tests/cli/lib.sh.
. "$SRC/tests/live/guest/guest.sh"

# begin_lab: nothing but busybox and vmabak yet; $lib_root is the root of its file system.
begin_lab()
{
	need_machine
	begin_initrd
	mkdir "$lib_root/sys" "$lib_root/tmp" "$lib_root/lab"
	for lib_applet in $("$lib_root/bin/busybox" --list); do
		[ -e "$lib_root/bin/$lib_applet" ] || ln -s busybox "$lib_root/bin/$lib_applet"
	done
	cp "$SRC/tests/lab/init" "$lib_root/init"
	chmod 755 "$lib_root/init"
	add_program "$VMABAK"
}

# add_program FILE: into /bin, with its libraries where they are here.
add_program()
{
	lib_name=$(basename "$1")
	rm -f "$lib_root/bin/$lib_name"
	cp "$1" "$lib_root/bin/$lib_name"
	for lib_library in $(ldd "$1" 2>/dev/null | grep -oE '/[^ )]+'); do
		mkdir -p "$lib_root$(dirname "$lib_library")"
		[ -e "$lib_root$lib_library" ] || cp -L "$lib_library" "$lib_root$lib_library"
	done
}

# run_lab TEST SECONDS [QEMU-OPTION]...: $lib_root/lab/TEST in the guest; it must end well. What it said is
# in console; its lines that begin with "ok" are shown.
run_lab()
{
	lib_test=$1 lib_seconds=$2
	shift 2
	pack_initrd >"$TMPDIR/initrd.cpio"
	lib_code=0
	timeout -k 10 "$lib_seconds" qemu-system-x86_64 -accel "${GUEST_ACCEL:-tcg}" -m 1024 -nodefaults \
		-no-user-config -display none -serial file:console -kernel "$lib_kernel" -initrd "$TMPDIR/initrd.cpio" \
		-append "$lib_cmdline lab=$lib_test" -no-reboot "$@" >qemu.out 2>&1 &
	lib_guest=$!
	on_exit "kill $lib_guest 2>/dev/null"
	wait $lib_guest || lib_code=$?
	tr -d '\r' <console >"$out"
	[ $lib_code = 0 ] || fail "the guest: exit code $lib_code: $(cat qemu.out; tail -n 50 "$out")"
	grep '^ok ' "$out" || :
	grep -qx 'lab: ended with 0' "$out" || fail "in the guest: $(grep -A 4 '^FAILED' "$out"; tail -n 10 "$out")"
}
