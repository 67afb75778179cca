# A command that reads an archive cannot open other files any more when it looks at what is in it, and
# still does all it has to.
. "$(dirname "$0")/lib.sh"

need_strace
need_sandbox
make_random a.raw 300000 1
echo text >a.conf
expect_code 0 "$VMABAK" backup -q -o a.vmab -c a.conf a.raw
expect_code 0 "$VMABAK" backup -q -o a.vma.zst -c a.conf a.raw

# confined N COMMAND...: it enters, as the last thing but reading, writing and giving names.
confined()
{
	strace -f -qq -y -o "$TMPDIR/trace" -e trace=/^open,landlock_restrict_self "$VMABAK" "$@" \
		>"$out" 2>"$err" || fail "$*: $(cat "$err")"
	grep -q 'landlock_restrict_self.* = 0$' "$TMPDIR/trace" || fail "not confined: $*"
	sed '1,/landlock_restrict_self/d' "$TMPDIR/trace" >"$TMPDIR/after"
}
# Files opened after it: what is made, and nothing else that works.
opened_nothing()
{
	! grep -v -e O_CREAT -e O_DIRECTORY -e '= -1 ' -e /sys/devices/system/cpu "$TMPDIR/after" ||
		fail "opened something"
}

confined list a.vmab
opened_nothing
confined config a.vmab
opened_nothing
confined verify a.vma.zst
opened_nothing
# The first of several gives up to change anything, the last one all.
confined verify a.vmab a.vma.zst
[ "$(grep -c 'landlock_restrict_self.* = 0$' "$TMPDIR/trace")" = 2 ] || fail "not confined from the first on"
confined restore -q a.vmab -C new/
opened_nothing
same_file a.raw new/disk0.raw
same_file a.conf new/a.conf
echo other >new/a.conf
confined restore -q --force a.vma.zst -C new
opened_nothing
same_file a.conf new/a.conf
mkdir elsewhere
ln -s ../new/disk0.raw elsewhere/link
confined restore -q --force a.vmab -d disk0=elsewhere/link
confined restore -q a.vmab -d disk0=elsewhere/x.raw -C new
same_file a.raw elsewhere/x.raw
confined convert -q a.vmab -o elsewhere/b.vma
opened_nothing
ln -s elsewhere/b.vma link.vma
confined convert -q --force a.vmab -o link.vma
expect_code 0 "$VMABAK" verify elsewhere/b.vma
confined salvage -q a.vmab -C saved --map maps.txt
opened_nothing
same_file a.raw saved/disk0.raw
[ -s maps.txt ] || fail "no map"
