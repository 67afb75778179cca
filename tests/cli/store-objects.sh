# s3://BUCKET/KEY: archives as objects of a store.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
store

make_random root.raw 40000000 1
make_random data.raw 3000000 2
echo 'one = 1' >web.conf
o=s3://backups/web/monday.vmab

expect_error 1 'there is no such object; what stands for a folder ends with /' "$VMABAK" list $o
expect_code 0 "$VMABAK" backup -o $o -c web.conf root=root.raw data=data.raw
expect_text "$err" "$o: "
no_uploads
[ -z "$(ls state/vmabak/uploads)" ] || fail "a note of an upload that has ended is left"
expect_code 0 "$VMABAK" verify $o
expect_code 0 "$VMABAK" restore $o -C restored
same_file root.raw restored/root.raw
same_file data.raw restored/data.raw
expect_code 0 "$VMABAK" config $o web.conf
same_file "$out" web.conf
expect_code 0 "$VMABAK" convert $o -o copy.vmab
expect_code 0 "$VMABAK" verify copy.vmab
expect_code 0 "$VMABAK" convert copy.vmab -o s3://backups/copy.vma
expect_code 0 "$VMABAK" salvage s3://backups/copy.vma -C salvaged
same_file root.raw salvaged/root.raw

# Little is fetched for little.
before=$(tell taken)
expect_code 0 "$VMABAK" list $o
expect_text "$out" 'root' 'data' 'web.conf'
fetched=$(($(tell taken) - before))
[ $fetched -le 400000 ] || fail "list fetched $fetched bytes"
before=$(tell taken)
expect_code 0 "$VMABAK" restore $o -d data=one.raw
same_file data.raw one.raw
fetched=$(($(tell taken) - before))
[ $fetched -le 7000000 ] || fail "the restore of 3 MB fetched $fetched bytes"

# What is there stays.
expect_error 2 'exists already; --force replaces it' "$VMABAK" backup -o $o root=data.raw
expect_code 0 "$VMABAK" backup --force -o $o root=data.raw
expect_code 0 "$VMABAK" restore $o -C forced
same_file data.raw forced/root.raw

# An increment, with its parent in the store; merged there.
expect_code 0 "$VMABAK" backup -o s3://backups/full.vmab root=root.raw
printf change | dd of=root.raw bs=1 seek=5000000 conv=notrunc status=none
expect_code 0 "$VMABAK" backup -o s3://backups/inc.vmab --parent s3://backups/full.vmab root=root.raw
expect_code 0 "$VMABAK" restore s3://backups/inc.vmab s3://backups/full.vmab -C chain
same_file root.raw chain/root.raw
expect_code 0 "$VMABAK" restore s3://backups/inc.vmab -C alone
same_file root.raw alone/root.raw
expect_error 2 'must be s3://BUCKET/PREFIX' "$VMABAK" backup --to s3://backups//x/ --name web root=root.raw
expect_code 0 "$VMABAK" merge s3://backups/inc.vmab s3://backups/full.vmab -o s3://backups/merged.vmab
expect_code 0 "$VMABAK" restore s3://backups/merged.vmab -C merged
same_file root.raw merged/root.raw

# A parent that is not beside it, but in a folder here.
expect_code 0 "$VMABAK" convert s3://backups/inc.vmab -o s3://backups/a+part/inc.vmab
expect_error 1 'is not in folder s3://backups/a+part, nor named' "$VMABAK" restore s3://backups/a+part/inc.vmab -C none
expect_code 4 "$VMABAK" verify --chain s3://backups/a+part/inc.vmab
expect_text "$err" 'is not in folder s3://backups/a+part, nor named'
mkdir here
expect_code 0 "$VMABAK" convert s3://backups/full.vmab -o here/full.vmab
expect_code 0 "$VMABAK" restore s3://backups/a+part/inc.vmab --parents here -C here
same_file root.raw here/root.raw

# None takes the place of one that it needs, under its own name or that of a copy.
expect_error 2 'which the new archive needs' \
	"$VMABAK" backup --force -o s3://backups/full.vmab --parent s3://backups/full.vmab root=root.raw
expect_code 0 "$VMABAK" sums s3://backups/inc.vmab s3://backups/full.vmab -o inc.sums
expect_error 2 'which the new archive needs' \
	"$VMABAK" backup --force -o s3://backups/full.vmab --parent inc.sums root=root.raw
expect_error 2 'only the name of the newest' \
	"$VMABAK" merge --force s3://backups/inc.vmab s3://backups/full.vmab -o s3://backups/full.vmab
expect_error 2 'a parent that the new archive needs' \
	"$VMABAK" convert --force s3://backups/inc.vmab -o s3://backups/full.vmab
expect_error 2 'is the archive to be read' "$VMABAK" convert --force s3://backups/full.vmab -o s3://backups/full.vmab
expect_code 0 "$VMABAK" restore --force s3://backups/inc.vmab s3://backups/full.vmab -C chain
same_file root.raw chain/root.raw

# Names that addresses would read otherwise; the part limit; object lock.
expect_code 0 "$VMABAK" backup --s3-parts 2 -o 's3://backups/a b+c=%41?#ü.vmab' root=root.raw
expect_code 0 "$VMABAK" verify 's3://backups/a b+c=%41?#ü.vmab'
[ "$(grep -c 'PUT /backups/a%20b.*partNumber' requests)" -le 2 ] || fail "more parts than the limit"
expect_code 0 "$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/kept.vmab root=data.raw
expect_text requests 'POST /backups/kept.vmab?uploads='
tell kept | grep -q '"/backups/kept.vmab": "2099-12-31T00:00:00Z"' || fail "not kept: $(tell kept)"
for day in soon 2027-1-31 2027-02-30 2027-01-31T00; do
	expect_error 2 'must be a day as' "$VMABAK" backup --retain-until $day -o s3://backups/x.vmab root=data.raw
done
expect_error 2 'are for s3:' "$VMABAK" backup --s3-parts 5 -o x.vmab root=data.raw
expect_error 2 'must be s3://BUCKET/KEY' "$VMABAK" backup -o s3://backups root=data.raw
no_uploads

# Who asks: a wrong secret is told once, and in no message; files of the tools of AWS.
: >requests
expect_error 1 '403 SignatureDoesNotMatch' env AWS_SECRET_ACCESS_KEY=wrong-one "$VMABAK" list s3://backups/full.vmab
expect_no_text "$err" wrong-one
[ "$(wc -l <requests)" = 2 ] || fail "asked more often than for the answer and why: $(cat requests)"
expect_error 2 'no credentials' env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$VMABAK" list s3://backups/full.vmab
mkdir .aws
cat >.aws/credentials <<END
[default]
aws_access_key_id = nobody
aws_secret_access_key = nothing
[store]
aws_access_key_id = tester
aws_secret_access_key = testing-secret
END
cat >.aws/config <<END
[default]
region = eu-west-1
[profile store]
region = us-east-1
s3 =
    endpoint_url = http://127.0.0.1:$port
    addressing_style = path
END
expect_code 0 env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_REGION -u AWS_ENDPOINT_URL AWS_PROFILE=store \
	"$VMABAK" list s3://backups/full.vmab
printf '%20000d\n' 1 >>.aws/config
expect_error 2 'line 8 is longer than 16382 bytes' "$VMABAK" list s3://backups/full.vmab
sed -i 8d .aws/config
expect_code 0 env -u AWS_ENDPOINT_URL "$VMABAK" list --s3-endpoint "http://127.0.0.1:$port/" s3://backups/full.vmab
expect_error 2 'must be a host' "$VMABAK" list --s3-endpoint "ftp://user:secret@127.0.0.1" s3://backups/full.vmab
expect_no_text "$err" secret
expect_error 2 'cannot be parts of a key' "$VMABAK" backup -o s3://backups/a/../b.vmab root=root.raw
for endpoint in "127.0.0.1:$port" http:// https:/// http:///path; do
	expect_error 2 'must be http' "$VMABAK" list --s3-endpoint "$endpoint" s3://backups/full.vmab
done

# What is started for an image gets no secrets; the user's commands do.
need_images
mkdir bin
printf '#!/bin/sh\nenv >"%s/seen"\nexit 1\n' "$PWD" >bin/qemu-nbd
chmod +x bin/qemu-nbd
qemu-img create -q -f qcow2 image.qcow2 1M
expect_code 1 env PATH="$PWD/bin:$PATH" "$VMABAK" backup -o s3://backups/image.vmab image.qcow2
expect_text seen AWS_ACCESS_KEY_ID=tester
expect_no_text seen testing-secret
expect_code 0 "$VMABAK" backup -q -o 'exec:env >seen; cat >a.vmab' data.raw
expect_text seen AWS_SECRET_ACCESS_KEY=testing-secret
