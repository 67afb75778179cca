# What cannot be a target is refused before anything is written or made.
. "$(dirname "$0")/lib.sh"

need mkfifo
make_random one.raw 100000 1
make_random two.raw 100000 2
expect_code 0 "$VMABAK" backup -o a.vmab -c here=one.raw one=one.raw two=two.raw
rm one.raw two.raw
mkdir folder
mkfifo pipe
ln -s nowhere link
ln -s . same
make_full old.raw 1000
cp old.raw "$TMPDIR/old"
ln old.raw hard.raw
all=$(ls -A)

# Words that the message must hold, then the arguments.
while IFS='|' read -r words arguments; do
	eval "expect_error 2 \"\$words\" \"\$VMABAK\" restore a.vmab $arguments"
	same_file "$TMPDIR/old" old.raw
	[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
	[ -z "$(ls -A folder)" ] || fail "left in the folder: $(ls -A folder)"
done <<'END'
the same place|-d one=new.raw -d two=new.raw
the same place|-d one=new.raw -d two=./new.raw
the same place|-d one=new.raw -d two=folder/../new.raw
the same place|-d one=new.raw -d two=same/new.raw
the same place|--force -d one=old.raw -d two=hard.raw
the same place|-d one=folder/here -d two -C folder --configs
named twice|-d one=a.raw -d one=b.raw
named twice|-d one -d @1
folder|-d one=folder
neither a file nor a block device|-d one=pipe
neither a file nor a block device|--force -d one=/dev/null
dangling symbolic link|-d one=link
is not the name of a file|-d one=new/
standard output takes one drive|-d one=- -d two=-
nothing follows the|-d one=
QEMU has no such image format|-d one=new.img,format=foo
no such drive|-d three
no such drive|-d @3=new.raw
no such drive|-d @0=new.raw
no such drive|-d @1x=new.raw
must not be empty|-C ''
is not a folder|-C old.raw
is the archive|--force -d one=a.vmab
exists already|-d one=old.raw
END
expect_error 1 'new/raw' "$VMABAK" restore a.vmab -d one=new/raw
expect_error 1 'new/folder: the folder above it does not exist' "$VMABAK" restore a.vmab -C new/folder
[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
expect_code 0 "$VMABAK" verify a.vmab
