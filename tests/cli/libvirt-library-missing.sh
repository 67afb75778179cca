# libvirt's library is not needed until there is a domain, and is missed by name then.
. "$(dirname "$0")/lib.sh"

need_feature libvirt
mkdir "$TMPDIR/libraries"
echo 'not a library' >"$TMPDIR/libraries/libvirt.so.0"
expect_code 0 env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" --version
expect_error 1 'libvirt cannot be loaded' \
	env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" backup libvirt:web -o a.vmab
nothing_but

# So is libxml2, and not the archive blamed for it.
rm "$TMPDIR/libraries/libvirt.so.0"
for name in libxml2.so.2 libxml2.so.16; do
	echo 'not a library' >"$TMPDIR/libraries/$name"
done
make_random drive.raw 100000 1
echo '<domain><name>web</name><devices/></domain>' >libvirt.xml
expect_code 0 "$VMABAK" backup -q -c libvirt.xml root=drive.raw -o b.vmab
expect_error 1 'libxml2 cannot be loaded' \
	env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" restore b.vmab --define -C out
[ ! -e out ] || fail 'a folder'
