# A libvirt of the test's own, in session mode, which root may not have: so root becomes nobody for it.
# After lib.sh.
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"

# need_guest_in_libvirt: as need_libvirt, and what start_domain's guest takes.
need_guest_in_libvirt()
{
	need_live_tools
	need_guest
	need mkfs.ext4 pgrep
	[ -d /sys/devices/system/cpu ] || skip "libvirt starts no machine without /sys"
	need_libvirt
}

# need_libvirt: $lv is a folder that libvirt and its machines may use, and the working folder; as_user runs a
# command as the user of that libvirt, $vmabak is the program.
need_libvirt()
{
	need_feature libvirt
	need_feature libnbd
	need libvirtd virsh qemu-system-x86_64 qemu-img
	lv=$(mktemp -d /tmp/libvirt-test.XXXXXX)
	on_exit "rm -rf '$lv'"
	mkdir -p "$lv/c/libvirt" "$lv/r" "$lv/k" "$lv/d" "$lv/tmp" "$lv/work"
	# What a container or a plain user may not have.
	printf '%s\n' 'stdio_handler = "file"' 'security_driver = "none"' 'cgroup_controllers = []' \
		'namespaces = []' >"$lv/c/libvirt/qemu.conf"
	cp "$VMABAK" "$lv/vmabak"
	vmabak=$lv/vmabak
	lib_as=
	if [ "$(id -u)" = 0 ]; then
		need setpriv
		chown -R nobody "$lv"
		chmod 711 "$lv"
		lib_as='setpriv --reuid nobody --regid nogroup --clear-groups'
		setpriv --reuid nobody --regid nogroup --clear-groups true 2>/dev/null ||
			skip "may not become nobody here"
	fi
	mkdir "$lv/bin"
	cat >"$lv/bin/as_user" <<-END
	#!/bin/sh
	export HOME=$lv XDG_RUNTIME_DIR=$lv/r XDG_CONFIG_HOME=$lv/c XDG_CACHE_HOME=$lv/k XDG_DATA_HOME=$lv/d
	export TMPDIR=$lv/tmp LIBVIRT_DEFAULT_URI=qemu:///session
	exec $lib_as "\$@"
	END
	chmod 755 "$lv/bin" "$lv/bin/as_user"
	PATH=$PATH:$lv/bin
	if [ -n "${CLI_TESTS:-}" ]; then
		exec 9>"$CLI_TESTS/libvirt.lock"
		flock 9
		start_libvirt "$CLI_TESTS/libvirt"
		exec 9>&-
	else
		start_libvirt
	fi
	cd "$lv/work"
}

# start_libvirt [FOLDER]: what libvirt has to find out about QEMU takes seconds; the first of the tests keeps it for the
# others in that folder.
start_libvirt()
{
	if [ -d "${1:-}" ]; then
		cp -a "$1" "$lv/k/libvirt"
	fi
	as_user libvirtd --timeout 0 >"$lv/libvirtd.log" 2>&1 9>&- &
	libvirtd=$!
	on_exit "end_libvirt"
	wait_until test -S "$lv/r/libvirt/libvirt-sock"
	as_user virsh -q -c qemu:///session list >/dev/null || skip "libvirt does not work here: $(tail -n 3 "$lv/libvirtd.log")"
	if [ -n "${1:-}" ] && [ ! -d "$1" ]; then
		as_user virsh -q domcapabilities --emulatorbin "$(command -v qemu-system-x86_64)" >/dev/null
		cp -a "$lv/k/libvirt" "$1"
	fi
}

# As by SIGKILL; start_libvirt starts another one.
kill_libvirtd()
{
	kill -9 $libvirtd
	wait $libvirtd 2>/dev/null || :
	rm -f "$lv/r/libvirt/libvirt-sock"
}

end_libvirt()
{
	for lib_pid in "$lv"/r/libvirt/qemu/run/*.pid; do
		case $lib_pid in */driver.pid | */\*.pid) continue ;; esac
		kill -9 "$(cat "$lib_pid")" 2>/dev/null
	done
	kill -9 $libvirtd 2>/dev/null
	wait $libvirtd 2>/dev/null
}

# domain_xml NAME DISKS: the description of a machine that writes, on standard output. DISKS: XML; $channel: another device.
domain_xml()
{
	cat <<-END
	<domain type='qemu'>
	<name>$1</name><memory unit='MiB'>192</memory><vcpu>1</vcpu>
	<os><type arch='x86_64' machine='pc'>hvm</type>
	<kernel>$lv/vmlinuz</kernel><initrd>$lv/initrd.gz</initrd><cmdline>$lib_cmdline</cmdline></os>
	<on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
	<devices><emulator>$(command -v qemu-system-x86_64)</emulator>
	$2
	<controller type='usb' model='none'/>
	<serial type='file'><source path='$lv/console'/></serial>
	${channel:-}
	<memballoon model='none'/>
	</devices></domain>
	END
}

# disk FORMAT FILE TARGET [XML]
disk()
{
	echo "<disk type='file' device='disk'><driver name='qemu' type='$1'/><source file='$2'/><target dev='$3' bus='virtio'/>${4:-}</disk>"
}

# start_domain NAME DISKS: and waits until it writes.
start_domain()
{
	domain=$1
	[ -f "$lv/initrd.gz" ] || make_initrd "$lv/initrd.gz"
	cp "$lib_kernel" "$lv/vmlinuz" # where the other user can read it
	domain_xml "$1" "$2" >"$lv/$1.xml"
	[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work" "$lv/initrd.gz" "$lv/vmlinuz"
	as_user virsh -q define "$lv/$1.xml" || fail "define $1: $(cat "$lv/libvirtd.log")"
	rm -f "$lv/console"
	ln -sf "$lv/console" console
	as_user virsh -q start "$1" || fail "start $1: $(cat "$lv/libvirtd.log")"
	guest=$(cat "$lv/r/libvirt/qemu/run/$1.pid")
	ln -sf "$lv/c/libvirt/qemu/log/$1.log" qemu.out
	guest_boots
}

# paused_domain NAME DISKS: one that never does anything. $iothreads: so many.
paused_domain()
{
	domain=$1
	cat >"$lv/$1.xml" <<-END
	<domain type='qemu'>
	<name>$1</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>${iothreads:+<iothreads>$iothreads</iothreads>}
	<os><type arch='x86_64' machine='pc'>hvm</type></os>
	<devices><emulator>$(command -v qemu-system-x86_64)</emulator>
	$2
	<controller type='usb' model='none'/><memballoon model='none'/>
	</devices></domain>
	END
	[ "$(id -u)" != 0 ] || chown -R nobody "$lv"
	as_user virsh -q define "$lv/$1.xml" && as_user virsh -q start --paused "$1" ||
		fail "$1: $(cat "$lv/libvirtd.log")"
}

# idle_domain NAME DISKS: one that runs, and finds nothing to boot from.
idle_domain()
{
	paused_domain "$@"
	as_user virsh -q resume "$1" || fail "$1: $(cat "$lv/libvirtd.log")"
}

# domain_writes N PATTERN AT BYTES: what a guest would do, to its N-th virtio disk, from 0. The image has it then.
domain_writes()
{
	for lib_command in "write -P $2 $3 $4" flush; do
		as_user virsh -q qemu-monitor-command "$domain" --hmp \
			"qemu-io -d /machine/peripheral/virtio-disk$1/virtio-backend \"$lib_command\"" >"$lv/io" 2>&1 ||
			fail "a write: $(cat "$lv/io")"
		! grep -i 'error\|failed\|invalid' "$lv/io" || fail 'a write'
	done
}

# Asks QEMU itself.
domain_is_well()
{
	as_user virsh -q qemu-monitor-command "$domain" --hmp 'info status' >"$lv/status" 2>&1
	grep -q running "$lv/status" || fail "the machine is not well: $(cat "$lv/status")"
}

# Whether libvirt has a backup of the domain.
backup_runs()
{
	as_user virsh -q backup-dumpxml "$domain" >/dev/null 2>&1
}

# nothing_in_libvirt: no job, no scratch file, no socket. After a kill the job may be gone a moment
# before the socket.
nothing_in_libvirt()
{
	! backup_runs || fail "a backup is left in libvirt"
	wait_until no_files_left
}

no_files_left()
{
	lib_left=$(ls -A "$lv/tmp"; find "$lv" -name '*vmabak-????????*' ! -path '*/checkpoint/*')
	[ -z "$lib_left" ]
}

# other_libvirt: one as on another host, in $other, to which the domain web may move. as_user_there runs what follows
# beside it.
other_libvirt()
{
	other=$lv/other
	mkdir -p "$other/c/libvirt" "$other/r" "$other/k" "$other/d"
	cp "$lv/c/libvirt/qemu.conf" "$other/c/libvirt/"
	sed "s|$lv|$other|g; s|TMPDIR=[^ ]*|TMPDIR=$lv/tmp|" "$lv/bin/as_user" >"$lv/bin/as_user_there"
	chmod 755 "$lv/bin/as_user_there"
	[ "$(id -u)" != 0 ] || chown -R nobody "$lv"
	as_user_there libvirtd --timeout 0 >"$lv/other.log" 2>&1 &
	lib_there=$!
	on_exit "kill -9 \$(cat '$other'/r/libvirt/qemu/run/web.pid) $lib_there 2>/dev/null"
	wait_until test -S "$other/r/libvirt/libvirt-sock"
}
