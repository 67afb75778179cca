# A reader that goes away is an error, and no crash by a signal.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 5000000 1
for format in vmab vma; do
	expect_code 0 sh -c "{ \"\$VMABAK\" backup -o - --format $format drive.raw 2>said; echo \$? >code; } |
		head -c 100000 >/dev/null"
	[ "$(cat code)" = 1 ] || fail "code $(cat code)"
	expect_text said 'standard output' 'Broken pipe'
	[ "$(wc -l <said)" = 1 ] || fail "more than a line: $(cat said)"
done
rm code said
i=1
while [ $i -le 300 ]; do
	echo "a config whose name makes the list long" >c$i
	i=$((i + 1))
done
set --
for config in c*; do
	set -- "$@" -c "averylongnameforaconfig.$config=$config" \
		-c "anotherverylongnameforaconfigindeed.$config=$config" \
		-c "andyetanotherverylongnameforaconfig.$config=$config"
done
expect_code 0 "$VMABAK" backup -o a.vmab "$@"
expect_code 0 sh -c '{ "$VMABAK" list --json a.vmab 2>said; echo $? >code; } | head -c 10 >/dev/null'
[ "$(cat code)" = 1 ] || fail "code $(cat code)"
expect_text said 'standard output: Broken pipe'
