# Names of an archive never lead out of the folder, nor to a terminal; -d still reaches the drives.
. "$(dirname "$0")/lib.sh"

compile - a.vmab <<'END'
format vmab
drive "a b" 4096
drive "../../up" 4096
drive "x\x1b[31m=y" 4096
drive "good" 4096
config "../x" text "1"
config "/etc/vmabak-was-here" text "2"
config "a/b" text "3"
config ".." text "4"
config ".hidden" text "5"
config "-rf" text "6"
config "new\nline" text "7"
config "good.conf" text "8"
extent
data "a b" 0 fill 61
data "../../up" 0 fill 62
data "x\x1b[31m=y" 0 fill 63
data "good" 0 fill 64
END
for byte in a b c d; do
	head -c 4096 /dev/zero | tr '\0' $byte >$byte.raw
done
mkdir -p in/side
expect_error 2 "called 'a b', which is not usable" "$VMABAK" restore a.vmab -C in/side/dir
[ ! -e in/side/dir ] || fail "a folder was made"

expect_code 3 "$VMABAK" restore a.vmab -C in/side/dir --configs -d good -d 'a b=a.out' \
	-d '../../up=b.out' -d '@3=c.out'
[ "$(ls -A in in/side in/side/dir | tr '\n' ' ')" = 'in: side  in/side: dir  in/side/dir: good.conf good.raw ' ] ||
	fail "written: $(ls -AR in)"
same_file d.raw in/side/dir/good.raw
for byte in a b c; do
	same_file $byte.raw $byte.out
done
[ "$(grep -c '^vmabak: warning: config' "$err")" = 7 ] || fail "not 7 warnings: $(cat "$err")"
for command in list verify 'list --json'; do
	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" $command a.vmab
	! tr -d '\n' <"$out" | grep -q '[[:cntrl:]]' || fail "control characters: $(cat -v "$out")"
done
expect_json "$out" "d['drives'][1]['name'] == '../../up'"
expect_code 0 "$VMABAK" config a.vmab ../x
[ "$(cat "$out")" = 1 ] || fail "the config differs"
[ ! -e /etc/vmabak-was-here ] || fail "wrote to /etc"
nothing_but a.out a.raw a.vmab b.out b.raw c.out c.raw d.raw in
