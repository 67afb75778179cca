# One run at a time works on the chains of a machine in a store. The lock of a killed run is taken over by the next one here; of another
# host's it is told.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
store

p=s3://backups/vms
make_random slow.raw 80000000 1
make_random root.raw 300000 2
is_locked()
{
	tell objects | grep -q '/backups/vms/.web.lock'
}
quick()
{
	"$VMABAK" backup --to $p --name web "$@" root=root.raw
}
uploading()
{
	[ -e requests ] && grep -q '^PUT /backups/vms/web-.*partNumber' requests
}
begin()
{
	in_background "$VMABAK" backup --rate 4M --to $p --name web root=slow.raw
	wait_until uploading
}
expect_code 0 quick
: >requests
begin
is_locked || fail 'there is no lock'
expect_error 7 "$p/.web.lock: another run of vmabak works here: process $pid on $(uname -n)" quick
expect_code 0 "$VMABAK" backup --to $p --name other root=root.raw
expect_error 7 'another run of vmabak works here' "$VMABAK" prune $p --name web --keep-last 1
# It is released by an interrupted run, and waited for.
kill -TERM "$pid"
wait "$pid" || :
! is_locked || fail 'the lock of the interrupted run is left'
: >requests
begin
first=$pid
in_background "$VMABAK" backup --to $p --name web --lock-wait 100 root=root.raw
second=$pid
waited()
{
	[ "$(grep -c "GET /backups/vms/.web.lock" requests)" -ge 3 ]
}
wait_until waited
kill -TERM "$first"
wait "$first" || :
ended_with 0 "$second"
! is_locked || fail 'the lock of the last run is left'
# A kill leaves it, and the parts of an upload.
: >requests
begin
kill -KILL "$pid"
wait "$pid" || :
is_locked || fail 'the killed run has no lock'
expect_code 0 quick
no_uploads
! is_locked || fail 'the lock of the killed run is left'
[ -z "$(ls state/vmabak/uploads)" ] || fail "notes are left: $(ls state/vmabak/uploads)"
# Of another user or host: nobody here can know.
: >requests
begin
kill -KILL "$pid"
wait "$pid" || :
expect_error 7 'if that run is dead, remove this object' env XDG_STATE_HOME="$PWD/elsewhere" \
	"$VMABAK" backup --to $p --name web root=root.raw
is_locked || fail 'the lock of another one was removed'
# A list shows no locks.
expect_code 0 "$VMABAK" list $p/
expect_no_text "$out" lock
end_store
# A run that could note it nowhere, and whose lock the store then does not confirm, removes it.
rm requests
store '403@PUT /backups/vms/.web.lock+2'
expect_error 1 'AccessDenied' env -u HOME -u XDG_STATE_HOME "$VMABAK" backup --to $p --name web root=root.raw
! is_locked || fail 'the lock of a run without notes is left'
end_store
# Stores that ignore the condition, or refuse it; and the answer to our own request is lost.
rm requests
store 'late@PUT /backups/vms/.web.lock' ignorant@PUT+1
expect_code 0 quick
! is_locked || fail 'the lock is left'
expect_code 0 "$VMABAK" verify --chain "$p/$(tell objects | grep -o 'web-[0-9TZ-]*.vmab' | head -n 1)"
end_store
rm requests
store unconditional@PUT+1
expect_code 0 quick
! is_locked || fail 'the lock is left'
end_store
# A store that ignores the condition, and says once that there is no lock: both runs have believed then that they have it.
rm requests
store ignorant@PUT+1 'gone@GET /backups/vms/.web.lock$+3'
has_claim()
{
	tell objects | grep -q '/backups/vms/.web.lock\.'
}
begin
has_claim || fail 'the run has no lock of its own'
expect_error 7 "another run of vmabak works here: process $pid on $(uname -n)" quick
expect_text "$err" "$p/.web.lock."
kill -KILL "$pid"
wait "$pid" || :
expect_code 0 quick
! is_locked || fail "locks are left: $(tell objects)"
end_store
rm requests
store ignorant@PUT+1
pids=
for n in 1 2 3 4; do
	"$VMABAK" backup -q --to $p --name web --lock-wait 200 root=root.raw 2>err.$n &
	pids="$pids $!"
done
for one in $pids; do
	wait "$one" || fail "a run that waited failed: $(cat err.*)"
done
! is_locked || fail "locks are left: $(tell objects)"
expect_code 0 "$VMABAK" list $p/
expect_text "$out" 'machine web: 4 archives in 1 chain'
end_store
# When a run ends, its lock is removed, but not one that another host has taken meanwhile, though the answer to the first request is lost.
of_another()
{
	rm requests
	store "$@"
	expect_code 0 quick
	[ "$(tell objects | jq '."/backups/vms/.web.lock"')" = 8 ] || fail "the lock of another run was removed: $(tell objects)"
	end_store
}
of_another 'taken@DELETE /backups/vms/.web.lock$' 'ignorant@DELETE /backups/vms/.web.lock$+1'
of_another 'replaced@DELETE /backups/vms/.web.lock$'
rm requests
store 'late@DELETE /backups/vms/.web.lock$' '500@DELETE /backups/vms/.web.lock$'
expect_code 0 quick
! is_locked || fail 'the lock is left'
