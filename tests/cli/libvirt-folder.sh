# backup --to DIR libvirt:DOMAIN, as a timer runs it each night: the first archive is full, those after it are increments,
# whether the domain is off or runs; a night that fails leaves nothing, and every instant restores.
# long: starts domains
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random root.raw 1000448
qemu-img create -q -f qcow2 data.qcow2 4M
mkdir folder
# night N PARENT: into the folder; PARENT is that of the night before, or None. What the drives are then is kept.
night()
{
	chmod -R go+rX .
	expect_code 0 as_user "$vmabak" backup --json --to folder --name web --scratch "$lv/tmp" libvirt:web
	cp "$out" said
	expect_json said "d['parent_uuid'] == $2" 'd["archive"].startswith("folder/web-2") and d["sums"] == d["archive"] + ".sums"' \
		'[x["name"] for x in d["drives"]] == ["vda", "vdb"]'
	uuid=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["uuid"])' said)
	archive=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["archive"])' said)
	ln -s "$PWD/$archive" "night$1"
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$archive" -C back
	same_file root.raw back/vda.raw
	qemu-img compare -q -U -f qcow2 -F raw data.qcow2 back/vdb.raw || fail "night $1: vdb is not what it was"
	cp root.raw root.$1
}
paused_domain web "$(disk raw "$PWD/root.raw" vda) $(disk qcow2 "$PWD/data.qcow2" vdb)"
as_user virsh -q destroy web
night 1 None
put root.raw 300000 'the second night'
qemu-io -f qcow2 -c 'write -q -P 5 1M 100k' data.qcow2
[ "$(id -u)" != 0 ] || chown nobody root.raw data.qcow2
night 2 "'$uuid'"
expect_json said 'd["data_clusters"] < 5'

# It runs: QEMU has what it needs of the images, and each night is still an increment of the one before.
as_user virsh -q start --paused web
night 3 "'$uuid'"
expect_json said 'd["data_clusters"] == 0'
nothing_in_libvirt
before=$(ls -A folder)
expect_code 2 as_user "$vmabak" backup --to folder --name web --scratch "$lv/tmp" libvirt:other
[ "$(ls -A folder)" = "$before" ] || fail "left: $(ls -A folder)"
as_user virsh -q destroy web

expect_code 0 as_user "$vmabak" list folder
expect_text "$out" 'machine web: 3 archives in 1 chain'
expect_code 0 "$VMABAK" restore -q --force "$(readlink night1)" -C back
same_file root.1 back/vda.raw
expect_code 0 as_user "$vmabak" prune folder --keep-last 1 --merge
expect_code 0 "$VMABAK" restore -q --force "$(readlink night3)" -C back
same_file root.3 back/vda.raw
grep -q '<name>web</name>' back/libvirt.xml || fail "no description of the domain"
