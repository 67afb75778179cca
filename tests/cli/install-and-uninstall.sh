# make install puts everything in its place, and uninstall takes it away and leaves nothing.
. "$(dirname "$0")/lib.sh"

need make
[ "$VMABAK" -ef "$SRC/build/release/vmabak" ] || skip "tests another program than that of the build"
[ -w "$SRC/build/release" ] || skip "the tree is not ours to build in"
to=$PWD/'place with blanks'
mkdir "$to"
for prefix in /usr /opt/vmabak; do
	expect_code 0 make -s -C "$SRC" install DESTDIR="$to" PREFIX=$prefix
	find "$to" -type f | sed "s|^$to$prefix/||" | sort >found
	expect_text found bin/vmabak share/man/man1/vmabak.1 share/man/man1/vmabak-backup.1 \
		share/man/man1/vmabak-backup-qemu.1 share/man/man5/vmabak.5 share/man/man5/vmabak-json.5 share/bash-completion/completions/vmabak \
		share/doc/vmabak/README.md share/doc/vmabak/restore.py
	! grep -q '^/' found || fail "outside of $prefix: $(grep '^/' found)"
	expect_code 0 "$to$prefix/bin/vmabak" --version
	# What the README links to is there.
	for link in $(grep -oE '\]\([^)]+\)' "$to$prefix/share/doc/vmabak/README.md" | tr -d '])('); do
		[ -e "$to$prefix/share/doc/vmabak/$link" ] || fail "the README links to $link, which is not installed"
	done
	[ "$(stat -c %a "$to$prefix/bin/vmabak")" = 755 ] || fail "rights of the program"
	for example in "$to$prefix"/share/doc/vmabak/examples/*; do
		case $example in *.sh) rights=755 ;; *) rights=644 ;; esac
		[ "$(stat -c %a "$example")" = $rights ] || fail "rights of $example"
	done
	# Twice is as good as once.
	expect_code 0 make -s -C "$SRC" install DESTDIR="$to" PREFIX=$prefix
	# What others have put there stays.
	echo theirs >"$to$prefix/bin/other"
	expect_code 0 make -s -C "$SRC" uninstall DESTDIR="$to" PREFIX=$prefix
	[ "$(find "$to" -type f)" = "$to$prefix/bin/other" ] || fail "left: $(find "$to")"
	rm "$to$prefix/bin/other"
	expect_code 0 make -s -C "$SRC" install DESTDIR="$to" PREFIX=$prefix
	expect_code 0 make -s -C "$SRC" uninstall DESTDIR="$to" PREFIX=$prefix
	[ -z "$(find "$to" -mindepth 1)" ] || fail "left: $(find "$to")"
done
