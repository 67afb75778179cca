# Who packs or saves for a backup stands back from who answers guests, and only while there is a backup.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
# threads PID: nice value and policy (0: ordinary, 3: batch) of each, and how many have them.
threads()
{
	for task in /proc/"$1"/task/*; do
		sed 's/.*) //' "$task/stat"
	done | awk '{ print $17, $39 }' | sort | uniq -c | awk '{ print $2 "/" $3 "=" $1 }' | tr '\n' ' '
}

only_ordinary()
{
	threads "$serve" | grep -qxE "$ordinary/0=[0-9]+ " || fail "$1: $(threads "$serve")"
}

# lower STEPS: the nice value that lies so far below an ordinary one; 19 is the lowest.
lower()
{
	[ $((ordinary + $1)) -lt 19 ] && echo $((ordinary + $1)) || echo 19
}

make_random a.raw 40000000 1
start_serve a=a.raw
ordinary=$(nice)
[ "$ordinary" -lt 19 ] || skip "runs at the lowest priority already"
guest a 'h.pwrite(b"a" * 5000, 0)'
only_ordinary before
stalled_backup --buffer 24M --threads 2
guest a 'h.pwrite(b"a" * 5000, 1000000)'
# Those that read for each of the two that pack, and one more; all that pack.
wait_until eval 'threads "$serve" | grep -q "^.*$(lower 5)/3=3 "'
threads "$serve" | grep -q "$ordinary/0=" || fail "serve, for guests: $(threads "$serve")"
wait_until eval 'threads "$backup" | grep -q "$(lower 10)/3="'
cat <&5 >a.vmab
exec 5<&-
ended_with 0 $backup
wait_until no_backup
only_ordinary after
stop_serve
