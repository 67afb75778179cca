# Where owner or group of the archive that is replaced cannot be kept, the new one is read by fewer, never by more; an
# ACL comes along, and one that the folder hands down does not open the file.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100000 1
if command -v setfacl >/dev/null && touch acl.vmab && setfacl -m u:12345:r acl.vmab 2>/dev/null; then
	setfacl -m g::- acl.vmab
	getfacl -c acl.vmab >wanted
	expect_code 0 "$VMABAK" backup -q --force -o acl.vmab drive.raw
	getfacl -c acl.vmab | cmp - wanted || fail "$(getfacl acl.vmab)"
	mkdir inherit
	setfacl -d -m u:12345:rw inherit
	expect_code 0 "$VMABAK" backup -q -o inherit/new.vmab drive.raw
	getfacl -c inherit/new.vmab | grep -q '^mask::---' || fail "$(getfacl inherit/new.vmab)"
	echo old >inherit/old.vmab
	setfacl -b inherit/old.vmab
	chmod 640 inherit/old.vmab
	expect_code 0 "$VMABAK" backup -q --force -o inherit/old.vmab drive.raw
	! getfacl -c inherit/old.vmab | grep -q 12345 || fail "$(getfacl inherit/old.vmab)"
	[ "$(stat -c %a inherit/old.vmab)" = 640 ] || fail "$(stat -c %A inherit/old.vmab)"
fi

need_root
need setpriv
# Where everybody can come: the folders of tests are closed.
theirs=$(mktemp -d /tmp/vmabak.XXXXXX)
on_exit "rm -rf $theirs"
chmod 777 "$theirs"
cp drive.raw "$theirs"
chmod 644 "$theirs/drive.raw"
cd "$theirs"
# as_nobody COMMAND...
as_nobody()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
as_nobody "$VMABAK" --version >/dev/null 2>&1 || skip "another user cannot run the program from here"
for modes in 660,600 664,644 640,600; do
	rm -f a.vmab
	echo old >a.vmab
	chown 12345:54321 a.vmab
	chmod ${modes%,*} a.vmab
	expect_code 0 as_nobody "$VMABAK" backup -q --force -o a.vmab drive.raw
	[ "$(stat -c %a,%u:%g a.vmab)" = ${modes#*,},65534:65534 ] || fail "$(stat -c %A,%u:%g a.vmab)"
done
