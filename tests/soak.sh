#!/bin/sh
# The long forms of the tests, in turn, until the time is over. At low priority; figures go to
# build/soak/figures, and at the end a table to standard output.
#
#   tests/soak.sh MINUTES
#
# First the labs: devices that fail or that this machine's kernel does not have. Then rounds: every fuzz target, then
# faults of every call, kills, and mutations, of which the first round does all, and with two hours or more every change
# of small archives for salvage. In any case coverage, and the whole check in a Debian 13. Exit 1 when anything went
# wrong, an unsteady test as well; what did is in build/soak. What was skipped, and why, is told at the end.
set -u
cd "$(dirname "$0")/.."
minutes=$1
MAKE=${MAKE:-make}
export STRICT=1
end=$(($(date +%s) + minutes * 60))
out=build/soak
mkdir -p "$out"
: >"$out/figures"
: >"$out/failures"
: >"$out/skipped"
failed=0
renice -n 19 -p $$ >/dev/null 2>&1

left()
{
	echo $((end - $(date +%s)))
}

# step NAME COMMAND...: its output is kept; figures are lines of it. It exits with 77, or make says so,
# when it cannot be done here.
step()
{
	name=$1
	shift
	if [ "$(left)" -le 0 ]; then
		[ $round -gt 1 ] || echo "$name: no time was left" >>"$out/skipped"
		return 0
	fi
	begin=$(date +%s) code=0
	"$@" >"$out/$name.log" 2>&1 || code=$?
	! grep -qE '^make.* Error 77$' "$out/$name.log" || code=77
	case $code in
	0) verdict=ok ;;
	77) verdict=skipped ;;
	*)
		verdict=FAILED
		failed=1
		{
			echo "$name, round $round:"
			tail -n 200 "$out/$name.log"
		} >>"$out/failures"
		;;
	esac
	echo "$verdict $name, round $round, $(($(date +%s) - begin)) s"
	note_skips "$name" $code
	grep -hE ' executions in |faults in | runs killed|tries, |lines in all|steps in all' "$out/$name.log" >>"$out/figures"
}

# Also what a step did not do that was otherwise well.
note_skips()
{
	sed -nE "s/^ *skipped:? +/$1: /p" "$out/$1.log" >>"$out/skipped"
	[ "$2" != 77 ] || grep -q "^$1: " "$out/skipped" || echo "$1: it does not say why" >>"$out/skipped"
}

# Each is a program of its own, so that one more needs no line here; a file without #! is only read by
# others.
labs()
{
	step check-stores tests/stores/check.sh build/release/vmabak
	for lab in tests/lab/*.sh tests/fault/thin*.sh; do
		case $(head -n 1 "$lab" 2>/dev/null) in '#!'*) ;; *) continue ;; esac
		step "$(basename "$lab" .sh)" "$lab" build/release/vmabak
	done
}

# The sum of the numbers before a word.
sum()
{
	grep -oE "[0-9]+ $1" "$out/figures" | awk '{ n += $1 } END { print n + 0 }'
}

quiet="$MAKE --no-print-directory"
$quiet all live-tools build/release/fault.so build/release/unit >/dev/null || exit 1
$quiet VARIANT=asan build/asan/mutate build/asan/vmabak >/dev/null || exit 1
$quiet VARIANT=tsan build/tsan/unit >/dev/null || exit 1
round=0
while [ "$(left)" -gt 0 ]; do
	round=$((round + 1))
	[ $round -gt 1 ] || labs
	# a twentieth of the time for each target, in all rounds together
	step fuzz $quiet fuzz SECONDS=$((minutes * 60 / 20 / 2 + 5))
	step kills $quiet kills KILLS=$((minutes < 30 ? 20 : 200))
	step stores tests/fault/store.sh build/release/vmabak $((minutes < 30 ? 250 : 2500))
	step mirrors env VMABAK_ROUNDS=$((minutes < 30 ? 20 : 100)) tests/cli/run.sh build/release/vmabak mirror-killed \
		mirror-target-killed mirror-qemu-parties mirror-fsx mirror-qemu-fsx copy-sums
	step iothreads env VMABAK_KILLS=$((minutes < 30 ? 10 : 50)) tests/cli/run.sh build/release/vmabak qemu-pull-iothread-killed \
		libvirt-iothread-killed mirror-qemu-iothread-killed export-killed-readers
	step restores env VMABAK_KILLS=$((minutes < 30 ? 10 : 100)) CLI_LIMIT=3600 tests/cli/run.sh build/release/vmabak restore-live-qemu-killed \
		export-killed-guest
	step chains $quiet chains STEPS=$((minutes < 30 ? 400 : 4000))
	if [ $round = 1 ]; then
		step faults $quiet faults FAULTS="$([ "$minutes" -lt 30 ] || echo --long) --jobs=1"
		step leaks $quiet VARIANT=asan leaks
		step model env VMABAK_LONG=1 build/release/unit 'capture against a model' 'capture under load' mutation
		step increments env VMABAK_INCREMENTS="$([ "$minutes" -lt 30 ] && echo 50 || echo 300)" \
			tests/cli/run.sh build/release/vmabak serve-increments-row qemu-increments-row
		n=$([ "$minutes" -lt 30 ] && echo 10 || echo 50)
		step kills-serve env VMABAK_ROUNDS=$((n * 2)) tests/cli/run.sh build/release/vmabak live-increments-killed
		step kills-qemu env VMABAK_KILLED=qemu VMABAK_INCREMENTS=$n tests/cli/run.sh build/release/vmabak qemu-increments-row
		step kills-libvirt env LIBVIRT_KILLS=$n CLI_LIMIT=3600 tests/cli/run.sh build/release/vmabak libvirt-track-killed
		step threads env VMABAK_LONG=1 build/tsan/unit 'capture under load'
		[ "$minutes" -lt 120 ] || step salvage env VMABAK_LONG=1 build/release/unit salvage
		step mutation $quiet VARIANT=asan mutation STEP=$((minutes < 30 ? 41 : 1))
	else
		step faults $quiet faults FAULTS="--jobs=1"
	fi
done
end=$(($(date +%s) + 36000)) # these are done in any case
step coverage $quiet coverage
step debian13 $quiet check-debian13

echo
echo "mutations tried  $(sum 'tries')"
echo "faults injected  $(sum 'faults')"
echo "runs killed      $(sum 'runs killed')"
echo "steps on chains  $(sum 'steps in all')"
echo "fuzz executions  $(sum 'executions')"
echo "lines covered   $(sed -n 's/ *lines in all//p' "$out/figures" | tail -n 1)"
if [ -s "$out/skipped" ]; then
	echo "skipped:"
	sort -u "$out/skipped" | sed 's/^/    /'
fi
if [ $failed = 0 ]; then
	echo "nothing went wrong in $minutes minutes"
else
	echo "something went wrong: see $out/failures"
fi
exit $failed
