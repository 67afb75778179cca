# vmabak get --recursive of file systems that hold names which lead elsewhere: nothing is written but in the new folder.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest debugfs mkfs.ext4 mkfs.vfat mcopy

mkdir -p tree/t/folder-b tree/t/loop out outside
echo victim >outside/victim
for name in up-escaped-1 abs-tmp-name1 dot1 dots22 link-c; do
	echo evil >"tree/t/$name"
done
echo good >tree/t/good
echo evil >tree/t/folder-b/victim
ln -s "$PWD/outside" tree/t/folder-a
ln -s "$PWD/outside/victim" tree/t/link-d
printf 'evil' >"tree/t/$(printf 'esc\033[2Jape')"
truncate -s 16M root.raw
mkfs.ext4 -q -F -O ^metadata_csum,^dir_index -d tree root.raw
debugfs -w root.raw >debugfs.out 2>&1 <<'END'
link /t /t/loop/again
END
# Names of the same length, in place. So one is a link and a folder, another a link and a file.
"$PYTHON" -S - <<'END'
data = bytearray(open("root.raw", "rb").read())
for old, new in ((b"up-escaped-1", b"../../escape"), (b"abs-tmp-name1", b"/tmp/vmabak-x"), (b"dot1", b"..//"), (b"dots22", b"a/../b"),
                 (b"folder-b", b"folder-a"), (b"link-c", b"link-d")):
    at = data.index(b"%c%c%s" % (len(old), 1 if old != b"folder-b" else 2, old)) + 2
    data[at:at + len(old)] = new
open("root.raw", "wb").write(data)
END
truncate -s 40M fat.raw
mkfs.vfat -F 32 fat.raw >fat.out
mcopy -i fat.raw tree/t/good ::good
mcopy -i fat.raw tree/t/good '::..Xescaped by name'
"$PYTHON" -S - <<'END'
data = open("fat.raw", "rb").read()
old = "..Xes".encode("utf-16-le")
assert data.count(old) == 1
open("fat.raw", "wb").write(data.replace(old, "../es".encode("utf-16-le")))
END
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw fat=fat.raw

find . ! -path './out*' ! -path './tmp*' -type f -exec sha256sum {} + | sort >before
expect_code 1 "$VMABAK" get -r a.vmab root:/t -o out/t
expect_text "$err" 'root:/t: 4 of its names cannot be that of a file' 'root:/t/folder-a: cannot be made: File exists' \
	'root:/t/link-d: cannot be made: File exists' 'root:/t/loop/again: a folder that was met before' 'out/t: is not whole'
! grep -q "$(printf '\033')" "$err" || fail "steers the terminal"
[ "$(cat out/t/good)" = good ] || fail "the others did not come"
[ "$(cat "out/t/$(printf 'esc\033[2Jape')")" = evil ] || fail "a name that only looks odd did not come"
if [ -d out/t/folder-a ] && [ ! -L out/t/folder-a ]; then
	[ "$(cat out/t/folder-a/victim)" = evil ] || fail "the folder came first, and is empty"
fi
expect_code 3 "$VMABAK" get -r a.vmab fat:/ -o out/fat
expect_text "$err" 'fat:/: left out: ../escaped by name: '
[ "$(cat out/fat/good)" = good ] || fail "the others did not come"
find . ! -path './out*' ! -path './tmp*' -type f ! -name before ! -name after -exec sha256sum {} + | sort >after
sed -i '/\.\/before$/d' before
diff before after || fail "something else was changed"
[ ! -e /tmp/vmabak-x ] || fail "written by an absolute name"
[ "$(ls out | tr '\n' ' ')" = 'fat t ' ] || fail "in it: $(ls -A out)"
