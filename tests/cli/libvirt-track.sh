# backup --track of a domain of libvirt: a checkpoint of libvirt's is left, by which the next increment reads only what
# changed; a disk that can have none is compared. A failed backup leaves no checkpoint, and takes none away.
# long: starts a domain
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

make_random a.raw 8388608
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
make_random b.raw 4194304 2
qemu-img convert -f raw -O qcow2 b.raw b.qcow2
make_random c.raw 1048576 3
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda) $(disk qcow2 "$PWD/b.qcow2" vdb) $(disk raw "$PWD/c.raw" vdc)"

images='vda:a.qcow2 vdb:b.qcow2 vdc:c.raw'
backup 0 full --track
expect_text full.err 'drive vdc: nothing can record its changes'
checkpoints "$(of full)"
expect_code 0 "$VMABAK" list --json full.vmab
domain_writes 0 5 1M 100k
domain_writes 1 6 3M 10k
backup 0 one --track --parent full.vmab
listed one "[2, 1, None]"
checkpoints "$(of one)"
is_now one
expect_json one.json "d['n_tracked'] == 2"
# Others' checkpoints are left alone, and do not matter.
cat >"$lv/others.xml" <<-END
<domaincheckpoint><name>others</name><disks><disk name='vda' checkpoint='bitmap'/><disk name='vdc' checkpoint='no'/></disks>
</domaincheckpoint>
END
as_user virsh -q checkpoint-create web "$lv/others.xml"

# A failed backup, in full and as an increment, ends like that.
domain_writes 0 7 2M 64k
expect_code 6 as_user sh -c '"$@" >/dev/full' - "$vmabak" backup -q libvirt:web --track -o -
checkpoints others "$(of one)"
expect_code 6 as_user sh -c '"$@" >/dev/full' - "$vmabak" backup -q libvirt:web --track --parent one.vmab -o -
checkpoints others "$(of one)"
nothing_in_libvirt
# Without --track the checkpoint is used, and stays.
backup 0 two --parent one.vmab
listed two "[1, 0, None]"
expect_json two.json "d['n_tracked'] == 0"
checkpoints others "$(of one)"
is_now two
domain_writes 0 8 4M 64k
# An archive that went into a pipe may have been lost: its parent's checkpoint stays, too.
as_user "$vmabak" backup -q libvirt:web --track --parent one.vmab --uuid 11111111-2222-3333-4444-555555555555 -o - >three.vmab 2>"$err" ||
	fail "$(cat "$err")"
checkpoints others "$(of one)" vmabak-11111111-2222-3333-4444-555555555555
is_now three
# Two chains: each has its own, and a part of the disks takes nothing from the others.
backup 0 other --track
backup 0 four --track --parent other.vmab -d vda
checkpoints others "$(of one)" "$(of three)" "$(of other)" "$(of four)"
backup 0 five --track --parent three.vmab
listed five "[0, 0, None]"
backup 0 six --track --parent one.vmab
listed six "[2, 0, None]"
checkpoints others "$(of five)" "$(of six)" "$(of other)" "$(of four)"
is_now five
is_now six
# A name that is taken, and an archive that can be no parent.
backup 3 again --track --uuid "$(of six | cut -c 8-)"
expect_text again.err 'already'
expect_error 2 'VMA has no increments' as_user "$vmabak" backup -q libvirt:web --track -o a.vma
checkpoints others "$(of five)" "$(of six)" "$(of other)" "$(of four)"

# checkpoint: what there is, how much changed since, and a chain that is given up.
domain_writes 0 9 5M 128k
expect_code 0 as_user "$vmabak" checkpoint list --json libvirt:web
expect_json "$out" "{x['name'] for x in d['checkpoints']} == {'others', '$(of five)', '$(of six)', '$(of other)', '$(of four)'}" \
	"[[y['name'] for y in x['drives']] for x in d['checkpoints'] if x['name'] == '$(of four)'] == [['vda']]" \
	"[x['uuid'] for x in d['checkpoints'] if x['name'] == 'others'] == [None]"
expect_code 0 as_user "$vmabak" checkpoint size --json "$(of six)" libvirt:web
expect_json "$out" "[x['changed_bytes'] for x in d['drives']] == [131072, 0, 1048576]" "not d['drives'][2]['known']"
expect_error 1 'latest backup' as_user "$vmabak" checkpoint delete "$(of six)" libvirt:web
expect_code 0 as_user "$vmabak" checkpoint delete "$(of four)" libvirt:web
expect_error 2 'is not by vmabak' as_user "$vmabak" checkpoint delete others libvirt:web
expect_error 2 'none of that name' as_user "$vmabak" checkpoint delete "$(of four)" libvirt:web
expect_error 2 'needs the machine' as_user "$vmabak" checkpoint create now libvirt:web
checkpoints others "$(of five)" "$(of six)" "$(of other)"

# With --to the parent is what the folder has.
as_user mkdir folder
for round in 1 2; do
	expect_code 0 as_user "$vmabak" backup --json libvirt:web --track --to folder --name web
	cp "$out" folder$round.json
done
listed folder2 "[0, 0, None]"

# Another disk under the name of a drive has a bitmap of that name, too.
backup 0 named --track -d x=vda -d y=vdb
backup 3 swapped --parent named.vmab -d x=vdb
listed swapped "[None]"
expect_text swapped.err "drive x: all of it is compared with the parent: the parent's is of another disk of the domain"
