# Internal snapshots of a qcow2 image: each is backed up as it was, and what two of them do not share is what changed. By
# name and id, with all kinds of clusters, of drives that grow; compared byte for byte with what QEMU itself makes of them.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io

write()
{
	for lib_command; do
		qemu-io -f qcow2 -c "$lib_command" "$image" >/dev/null
	done
}

# check ARCHIVE WANTED: it restores to this raw image.
check()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	same_file back/d.raw "$2"
}

# now NAME: what the image holds, for later.
now()
{
	qemu-img convert -f qcow2 -O raw "$image" "$1"
}

# chain OPTIONS: an image with these, of four instants.
chain()
{
	rm -rf ./*
	image=a.qcow2
	qemu-img create -q -f qcow2 ${1:+-o "$1"} $image 30M
	write 'write -P 1 0 10M' 'write -z 12M 1M' 'write -P 2 25M 64k'
	qemu-img snapshot -c first $image
	now first.raw
	expect_code 0 "$VMABAK" backup -q -o first.vmab "d=$image,snapshot=first"
	check first.vmab first.raw
	write 'write -P 3 1M 70k' 'write -z 2M 64k' 'discard 3M 1M' 'write -P 1 4M 64k' 'write -P 4 29M 1M'
	qemu-img snapshot -c second $image
	now second.raw
	write 'write -P 5 5M 64k' 'write -P 6 12M 64k'
	qemu-img snapshot -c third $image
	now third.raw
	write 'write -P 7 20M 10000'
	now end.raw
	expect_code 0 "$VMABAK" backup --json --parent first.vmab -o second.vmab "d=$image,snapshot=second,since=first"
	expect_json "$out" 'd["drives"][0]["proof"]["list"] == "right"' 'd["drives"][0]["proof"]["listed_clusters"] < 70' \
		'd["drives"][0]["token"].startswith("qcow2:snapshot/second/2/")'
	check second.vmab second.raw
	expect_code 0 "$VMABAK" backup --json --parent second.vmab -o third.vmab "d=$image,snapshot=3,since=2"
	expect_json "$out" 'd["drives"][0]["proof"]["list"] == "right"' 'd["drives"][0]["proof"]["listed_clusters"] < 10'
	check third.vmab third.raw
	expect_code 0 "$VMABAK" backup --json --parent third.vmab -o end.vmab "d=$image,since=third"
	expect_json "$out" 'd["drives"][0]["proof"]["list"] == "right"' 'd["drives"][0]["proof"]["listed_clusters"] < 10'
	check end.vmab end.raw
}

chain extended_l2=on
chain cluster_size=4k
chain

# Made anew under the same name: another instant, and refused as the parent's.
qemu-img snapshot -d second a.qcow2
qemu-img snapshot -c second a.qcow2
expect_error 2 "but the parent shows" "$VMABAK" backup --parent second.vmab -o x.vmab d=a.qcow2,snapshot=third,since=second
# With the same name and the same id: ids go on from the largest that is there.
cp a.qcow2 z.qcow2
for snapshot in second third; do qemu-img snapshot -d $snapshot z.qcow2; done
for snapshot in other third; do qemu-img snapshot -c $snapshot z.qcow2; done
qemu-img snapshot -l z.qcow2 | grep -q '^3  *third' || fail "$(qemu-img snapshot -l z.qcow2)"
expect_error 2 "but the parent shows" "$VMABAK" backup --parent third.vmab -o x.vmab d=z.qcow2,since=third
expect_error 2 "no internal snapshot 'fourth'" "$VMABAK" backup -o x.vmab d=a.qcow2,snapshot=fourth
expect_error 2 "no internal snapshot 'fourth'" "$VMABAK" backup --parent third.vmab -o x.vmab d=a.qcow2,snapshot=third,since=fourth
expect_error 2 "with --parent only" "$VMABAK" backup -o x.vmab d=a.qcow2,since=third
# A name that is also the id of another.
qemu-img snapshot -c 3 a.qcow2
expect_error 2 "more than one" "$VMABAK" backup -o x.vmab d=a.qcow2,snapshot=3
# Back to the first: what it shares with the third is known all the same.
qemu-img snapshot -a first a.qcow2
expect_code 0 "$VMABAK" backup -q --parent third.vmab -o again.vmab d=a.qcow2,since=third
check again.vmab first.raw

# Grown and shrunk meanwhile: a snapshot has the size of its time, as far as QEMU can still show it.
qemu-img create -q -f qcow2 b.qcow2 3M
image=b.qcow2
write 'write -P 1 0 3M'
qemu-img snapshot -c small $image
now small.raw
qemu-img resize -q $image 5M
write 'write -P 2 4M 1M'
qemu-img snapshot -c large $image
now large.raw
expect_code 0 "$VMABAK" backup -q -o small.vmab d=b.qcow2,snapshot=small
check small.vmab small.raw
expect_code 0 "$VMABAK" backup -q --parent small.vmab -o large.vmab d=b.qcow2,snapshot=large,since=small
check large.vmab large.raw
qemu-img resize -q --shrink $image 4M
expect_error 1 "its end cannot be read" "$VMABAK" backup -o x.vmab d=b.qcow2,snapshot=large
expect_code 0 "$VMABAK" backup -q --parent large.vmab -o shrunk.vmab d=b.qcow2,since=large
now shrunk.raw
check shrunk.vmab shrunk.raw

# The data of a snapshot reaches past the end of a file that was cut short; the drive as it is now does not.
qemu-img create -q -f qcow2 c.qcow2 8M
image=c.qcow2
write 'write -P 1 0 1M' 'write -P 3 2M 1M' 'discard 0 1M'
qemu-img snapshot -c old $image
write 'discard 2M 1M'
truncate -s $(($(size_of c.qcow2) - 70000)) c.qcow2
expect_error 1 "its end is missing" "$VMABAK" backup -o x.vmab d=c.qcow2,snapshot=old
expect_code 3 "$VMABAK" backup -q -o c.vmab d=c.qcow2

# Not for other formats, nor where nobody reads them.
make_full raw.raw 65536
expect_error 2 "only qcow2 images have internal snapshots" "$VMABAK" backup -o x.vmab d=raw.raw,snapshot=a
expect_error 2 "are for qcow2 images" "$VMABAK" backup --parent third.vmab -o x.vmab d=raw.raw,since=a
expect_error 2 "can tell what changed" "$VMABAK" backup --parent third.vmab -o x.vmab d=a.qcow2,since=first,bitmap=b
expect_error 2 "drives of a backup" "$VMABAK" restore first.vmab -d d=x.raw,snapshot=a
[ ! -e x.vmab ] || fail "an archive was made"
