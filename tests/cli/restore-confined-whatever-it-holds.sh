# A command that reads an archive gives up access to other files before it reads on, whatever the archive holds and
# wherever it goes: very many drives and configs, donors, maps, folders, devices, a pipe, no descriptor left.
# long: many commands under strace
. "$(dirname "$0")/lib.sh"

need_strace
need_sandbox
[ "$(strace -f --seccomp-bpf -e trace=landlock_create_ruleset true 2>&1 | grep -c 'invalid system call')" = 0 ] ||
	skip "strace does not know Landlock"

# confined CODE [ARGUMENT]...: it ends with that, and has given up what it must.
confined()
{
	code=$1
	shift
	expect_code "$code" strace -f --seccomp-bpf -e trace=landlock_restrict_self -o "$base/trace" "$VMABAK" "$@"
	grep -q 'landlock_restrict_self(.*) *= 0' "$base/trace" || fail "not confined: $*"
}

truncate -s 100K drive.raw
printf x >c.conf
expect_code 0 "$VMABAK" backup --no-sync -o a.vmab -c c.conf one=drive.raw two=drive.raw
compile - drives.vmab <<'END'
format vmab
times 1100 drive disk{} 0
END
compile - configs.vmab <<'END'
format vmab
drive disk0 0
times 1100 config c{}.conf text x
END
confined 0 list a.vmab
confined 0 verify a.vmab
confined 0 verify a.vmab a.vmab
confined 0 config a.vmab
confined 0 convert --no-sync a.vmab -o a.vma
ulimit -n "$(ulimit -H -n)"
for archive in a drives configs; do
	if [ $archive = drives ] && [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt 2500 ]; then
		continue
	fi
	confined 0 restore --no-sync $archive.vmab -C back
	rm -r back
	confined 0 salvage --no-sync $archive.vmab -C back --map maps
	rm -r back maps
done
confined 0 restore --no-sync drives.vmab -d disk7=x --configs -C back
confined 0 salvage --no-sync drives.vmab -d disk7=y --donor drives.vmab --map y.map
mkdir f1 f2
ln -s "$PWD/f1/link" f2/link
: >f1/link
confined 0 restore --no-sync --force a.vmab -d one=f1/x -d two=f2/link --configs -C back2
confined 0 salvage --no-sync a.vmab --donor one=drive.raw -C back3 --map maps3
confined 0 restore --no-sync - -C back4 <a.vmab
# The head is lost, and the copy found.
flip a.vmab 200
confined 0 salvage --no-sync a.vmab -C back5
flip a.vmab 200

# However few descriptors there are: what is restored is restored by a process that is confined.
compile - few.vmab <<'END'
format vmab
times 12 drive disk{} 0
END
n=12 n_done=0
while [ $n -lt 45 ]; do
	code=0
	sh -c 'ulimit -n '$n' && exec "$@"' sh strace -f --seccomp-bpf -e trace=landlock_restrict_self -o "$base/trace" \
		"$VMABAK" restore --no-sync few.vmab -C few >"$out" 2>"$err" || code=$?
	if [ $code = 0 ]; then
		grep -q 'landlock_restrict_self(.*) *= 0' "$base/trace" || fail "not confined with $n descriptors"
		n_done=$((n_done + 1))
	fi
	rm -rf few
	n=$((n + 1))
done
[ $n_done -gt 0 ] || fail "it was never done"

# The device is open, and others beside it are none of its business.
if [ "$(id -u)" = 0 ] && loop=$(losetup --show -f drive.raw 2>/dev/null); then
	on_exit "losetup -d $loop"
	strace -f --seccomp-bpf -e trace=openat,landlock_restrict_self,landlock_add_rule -o "$base/trace" \
		"$VMABAK" restore --no-sync --force a.vmab -d "one=$loop"
	grep -q 'landlock_restrict_self(.*) *= 0' "$base/trace" || fail "not confined with a device"
	! grep -q 'openat.*"/dev/\.", O_[A-Z_|]*PATH' "$base/trace" || fail "all of /dev is allowed"
fi
