#!/bin/sh
# The long forms of the tests, in turn, until the time is over. At low priority; figures go to
# build/soak/figures, and at the end a table to standard output.
#
#   tests/soak.sh MINUTES
#
# Each round: every fuzz target, then faults of every call, kills, and mutations, of which the first
# round does all. Exit 1 when anything went wrong; what did is in build/soak.
set -u
cd "$(dirname "$0")/.."
minutes=$1
MAKE=${MAKE:-make}
end=$(($(date +%s) + minutes * 60))
out=build/soak
mkdir -p "$out"
: >"$out/figures"
: >"$out/failures"
failed=0
renice -n 19 -p $$ >/dev/null 2>&1

left()
{
	echo $((end - $(date +%s)))
}

# step NAME COMMAND...: its output is kept; figures are lines of it.
step()
{
	name=$1
	shift
	[ "$(left)" -gt 0 ] || return 0
	begin=$(date +%s)
	if "$@" >"$out/$name.log" 2>&1; then
		verdict=ok
	else
		verdict=FAILED
		failed=1
		{
			echo "$name, round $round:"
			tail -n 200 "$out/$name.log"
		} >>"$out/failures"
	fi
	echo "$verdict $name, round $round, $(($(date +%s) - begin)) s"
	grep -hE ' executions in |faults in | runs killed|tries, |lines in all' "$out/$name.log" >>"$out/figures"
}

# The sum of the numbers before a word.
sum()
{
	grep -oE "[0-9]+ $1" "$out/figures" | awk '{ n += $1 } END { print n + 0 }'
}

quiet="$MAKE --no-print-directory"
$quiet all build/release/fault.so >/dev/null || exit 1
$quiet VARIANT=asan build/asan/mutate build/asan/vmabak >/dev/null || exit 1
round=0
while [ "$(left)" -gt 0 ]; do
	round=$((round + 1))
	# a twentieth of the time for each target, in all rounds together
	step fuzz $quiet fuzz SECONDS=$((minutes * 60 / 20 / 2 + 5))
	step kills $quiet kills KILLS=$((minutes < 30 ? 20 : 200))
	if [ $round = 1 ]; then
		step faults $quiet faults FAULTS="$([ "$minutes" -lt 30 ] || echo --long) --jobs=1"
		step leaks $quiet VARIANT=asan leaks
		step mutation $quiet VARIANT=asan mutation STEP=$((minutes < 30 ? 41 : 1))
	else
		step faults $quiet faults FAULTS="--jobs=1"
	fi
done
end=$(($(date +%s) + 36000)) # these are done in any case
step coverage $quiet coverage
if [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
	step debian13 $quiet check-debian13
else
	echo "skipped debian13: needs root and debootstrap"
fi

echo
echo "mutations tried  $(sum 'tries')"
echo "faults injected  $(sum 'faults')"
echo "runs killed      $(sum 'runs killed')"
echo "fuzz executions  $(sum 'executions')"
echo "lines covered   $(sed -n 's/ *lines in all//p' "$out/figures" | tail -n 1)"
if [ $failed = 0 ]; then
	echo "nothing went wrong in $minutes minutes"
else
	echo "something went wrong: see $out/failures"
fi
exit $failed
