# backup --track: the next increment finds what changed by the bitmap that is named after its parent. A backup that fails
# leaves none, the old one goes once the new one records, those with other names stay, and every instant restores.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io

bitmaps()
{
	qemu-img info --output=json a.qcow2 | "$PYTHON" -c 'import json, sys
found = json.load(sys.stdin)["format-specific"]["data"].get("bitmaps", [])
print(" ".join(sorted(one["name"] + ("" if one["flags"] == ["auto"] else "!") for one in found)))'
}

name_of()
{
	"$VMABAK" list --json "$1" | "$PYTHON" -c 'import json, sys; print("vmabak-" + json.load(sys.stdin)["uuid"])'
}

write()
{
	for lib_command; do
		qemu-io -c "$lib_command" a.qcow2 >/dev/null
	done
}

# check N: the archive restores to what the image is now.
check()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1.vmab" -C back
	qemu-img compare -q -f qcow2 a.qcow2 -F raw back/a.raw || fail "$1 is not what the image is"
}

qemu-img create -q -f qcow2 a.qcow2 100M
write 'write -P 1 0 8M' 'write -P 2 50M 3M'
qemu-img bitmap --add a.qcow2 mine

# A failed backup leaves nothing.
expect_code 1 "$VMABAK" backup -q --track -o no/0.vmab a=a.qcow2
[ "$(bitmaps)" = mine ] || fail "after a failure: $(bitmaps)"
expect_code 0 "$VMABAK" backup --json --track -o 0.vmab a=a.qcow2
expect_json "$out" 'd["n_tracked"] == 1'
[ "$(bitmaps)" = "mine $(name_of 0.vmab)" ] || fail "after the first: $(bitmaps)"

for n in 1 2 3; do
	write "write -P $((n + 10)) $((n * 7 + 1))M 100k" "discard $((n * 2))M 64k"
	expect_code 0 "$VMABAK" backup --json --track --audit 0 --parent $((n - 1)).vmab -o $n.vmab a=a.qcow2
	expect_json "$out" 'd["n_tracked"] == 1' 'd["drives"][0]["proof"]["list"] == "right"' \
		'd["drives"][0]["proof"]["listed_clusters"] < 20' 'd["drives"][0]["token"].startswith("qcow2:bitmap/vmabak-")'
	[ "$(bitmaps)" = "mine $(name_of $n.vmab)" ] || fail "after $n: $(bitmaps)"
	check $n
done

# A backup that is refused in the middle leaves the parent's bitmap, and so does one without --track.
write 'write -P 30 33M 1M'
expect_code 6 "$VMABAK" backup -q --track --parent 3.vmab -o /dev/full --format vmab a=a.qcow2
expect_code 0 "$VMABAK" backup -q --parent 3.vmab -o side.vmab a=a.qcow2
[ "$(bitmaps)" = "mine $(name_of 3.vmab)" ] || fail "after a failure: $(bitmaps)"
check side

# Into a pipe the parent's stays, too: nobody knows yet whether the archive arrived.
"$VMABAK" backup -q --track --parent 3.vmab -o - a=a.qcow2 >4.vmab
[ "$(bitmaps | wc -w)" = 3 ] || fail "after a pipe: $(bitmaps)"
check 4
write 'write -P 31 34M 1M'
expect_code 0 "$VMABAK" backup -q --track --parent 4.vmab -o 5.vmab a=a.qcow2
[ "$(bitmaps)" = "mine $(name_of 5.vmab)" ] || fail "after 5: $(bitmaps)"
check 5

# An image keeps one bitmap of ours, also of full backups.
for n in 6 7; do
	expect_code 0 "$VMABAK" backup -q --track -o $n.vmab a=a.qcow2
	[ "$(bitmaps)" = "mine $(name_of $n.vmab)" ] || fail "after $n: $(bitmaps)"
done

# With a list that names its instant, either can be what the next increment goes by.
list()
{
	printf '# vmabak changes 1\n# size 104857600\n%s# until %s\n20971520 65536\n# end 1\n' "${1:+# since $1
}" "$2" >list
}
list '' 'mine 2'
write 'write -P 40 20M 64k'
expect_code 0 "$VMABAK" backup -q --track --since-unchecked --changed a=list --parent 7.vmab -o 8.vmab a=a.qcow2
check 8
write 'write -P 41 20M 64k'
expect_code 0 "$VMABAK" backup --json --parent 8.vmab -o 9.vmab a=a.qcow2
expect_json "$out" 'd["drives"][0]["proof"]["listed_clusters"] == 1'
check 9
list 'mine 2' 'mine 3'
expect_code 0 "$VMABAK" backup -q --track --changed a=list --parent 8.vmab -o 10.vmab a=a.qcow2
check 10
list 'mine 1' 'mine 3'
expect_error 2 'is since' "$VMABAK" backup --track --changed a=list --parent 8.vmab -o x.vmab a=a.qcow2
expect_error 2 'another token' "$VMABAK" backup -q --track --token a=other --parent 8.vmab -o x.vmab a=a.qcow2

# Written while it was read, by a program that knows no locks of images: nothing records.
bitmaps >before
in_background "$VMABAK" backup --json --track --rate 100K -o 11.vmab a=a.qcow2
slow=$pid
wait_until has_part . 1
touch a.qcow2
kill -0 $slow || fail 'it has ended: nothing was tested'
ended_with 3 $slow
expect_json "$out" 'd["n_tracked"] == 0'
expect_text "$err" 'as it changed while it was read'
bitmaps >after
same_file before after

# qemu-img goes on when vmabak is killed, and holds the lock until it has ended.
mkdir bin
cat >bin/qemu-img <<END
#!/bin/sh
if [ "\$1" = bitmap ]; then
	cat /proc/\$\$/stat >"$PWD/started.new"
	mv "$PWD/started.new" "$PWD/started"
	until [ -e "$PWD/go" ]; do sleep 0.05; done
fi
exec $(command -v qemu-img) "\$@"
END
chmod +x bin/qemu-img
for signal in KILL TERM; do
	rm -f started go
	in_background env PATH="$PWD/bin:$PATH" "$VMABAK" backup -q --track --force -o $signal.vmab a=a.qcow2
	wait_until test -e started
	[ "$(cut -d' ' -f1 started)" = "$(cut -d' ' -f5 started)" ] || fail "no group of its own: $(cat started)"
	kill -$signal $pid
	wait $pid || true
	! qemu-io -c 'write 0 1M' a.qcow2 >locked 2>&1 || fail 'the lock was let go'
	touch go
	ended()
	{
		! kill -0 "$(cut -d' ' -f1 started)" 2>/dev/null
	}
	wait_until ended
	[ "$(bitmaps | tr ' ' '\n' | grep -c "$(name_of $signal.vmab)\$")" = 1 ] || fail "after $signal: $(bitmaps)"
done

# Refused: what cannot have bitmaps, or not of that instant.
qemu-img create -q -f qcow2 -o compat=0.10 old.qcow2 1M
expect_error 1 "have no bitmaps" "$VMABAK" backup --track -o x.vmab a=old.qcow2
qemu-img snapshot -c one old.qcow2
expect_error 2 "not for ,snapshot=" "$VMABAK" backup --track -o x.vmab a=old.qcow2,snapshot=one
expect_error 2 "VMA has no increments" "$VMABAK" backup --track -o x.vma a=a.qcow2
expect_error 2 "exclude each other" "$VMABAK" backup --track --allow-writers -o x.vmab a=a.qcow2
[ ! -e x.vmab ] || fail "an archive was made"
