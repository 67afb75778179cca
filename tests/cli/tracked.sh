# For tests of backup --track on domain web of a libvirt of the test's own. After libvirt.sh.

# backup CODE ARCHIVE [OPTION]...: to ARCHIVE.vmab, what it says to ARCHIVE.json and ARCHIVE.err.
backup()
{
	lib_wanted_code=$1 archive=$2
	shift 2
	expect_code "$lib_wanted_code" as_user "$vmabak" backup --json libvirt:web -o "$archive.vmab" "$@"
	cp "$out" "$archive.json"
	cp "$err" "$archive.err"
	nothing_in_libvirt
}

# of ARCHIVE: the name of its checkpoint.
of()
{
	"$VMABAK" list --json "$1.vmab" | "$PYTHON" -S -c 'import json, sys; print("vmabak-" + json.load(sys.stdin)["uuid"])'
}

# checkpoints [NAME]...: the domain has these, and no others.
checkpoints()
{
	[ "$(as_user virsh -q checkpoint-list web --name | sort | xargs)" = "$(printf '%s\n' "$@" | sort | xargs)" ] ||
		fail "not '$*': $(as_user virsh -q checkpoint-list web --name)"
}

# listed ARCHIVE LIST: how many clusters of each drive had changed, as libvirt's bitmaps told, in Python; None: it was not
# known.
listed()
{
	expect_json "$1.json" "[x['proof'] and x['proof']['listed_clusters'] for x in d['drives']] == $2"
}

# is_now ARCHIVE: it holds what the disks hold now; $images: TARGET:IMAGE of each.
is_now()
{
	rm -rf restored
	expect_code 0 "$VMABAK" restore -q --parents . "$1.vmab" -C restored
	for lib_pair in $images; do
		case $lib_pair in
		*.raw) cp "${lib_pair#*:}" now.raw ;;
		*) qemu-img convert -U -f qcow2 -O raw "${lib_pair#*:}" now.raw ;;
		esac
		same_file now.raw "restored/${lib_pair%%:*}.raw"
	done
}
