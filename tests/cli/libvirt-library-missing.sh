# libvirt's library is not needed until there is a domain, and is missed by name then.
. "$(dirname "$0")/lib.sh"

need_feature libvirt
mkdir "$TMPDIR/libraries"
echo 'not a library' >"$TMPDIR/libraries/libvirt.so.0"
expect_code 0 env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" --version
expect_error 1 'libvirt cannot be loaded' \
	env LD_LIBRARY_PATH="$TMPDIR/libraries" "$VMABAK" backup libvirt:web -o a.vmab
nothing_but
