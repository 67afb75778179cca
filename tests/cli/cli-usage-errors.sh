# A wrong command line: code 2, one line and where to read more, nothing created.
. "$(dirname "$0")/lib.sh"

truncate -s 1M drive.raw
echo text >a.conf
# Words that the message must hold, then the arguments.
while IFS='|' read -r words arguments; do
	eval "expect_error 2 \"\$words\" \"\$VMABAK\" $arguments"
	nothing_but a.conf drive.raw
done <<'END'
which command||
unknown command|frobnicate
unknown option '--frob'|backup --frob drive.raw
unknown option '-x'|list -x
needs a value|backup -o
-o ARCHIVE is needed, such as -o web.vmab|backup drive.raw
-o ARCHIVE is needed, such as -o db.vma.zst|backup db.vma.zst drive.raw
-o ARCHIVE is needed|convert a.vmab
-o ARCHIVE is needed, such as -o b.vma|convert a.vmab b.vma
needs a value|restore a.vmab -C
takes no value|list --json=yes a.vmab
name of an archive must not be empty|backup -o '' drive.raw
name of an archive must not be empty|list ''
nothing to back up|backup -o a.vmab
too few arguments|restore
too few arguments|verify
unexpected argument 'c'|config a b c
does not show the format|backup -o a.img drive.raw
does not show the format|backup -o vmab drive.raw
--format says otherwise|backup -o a.vmab --format vma drive.raw
--format says otherwise|backup -o a.vma.gz --format vmab drive.raw
must be one of: vmab vma|backup -o - --format tar drive.raw
not gzip|backup -o a.vmab --compress gzip drive.raw
needs another ending|backup -o a.vma --compress zstd drive.raw
needs another ending|backup -o a.vma.gz --compress zstd drive.raw
needs another ending|backup -o a.vma.zst --compress none drive.raw
--compress 'lzma'|backup -o a.vmab --compress lzma drive.raw
--compress 'zstd:0'|backup -o a.vmab --compress zstd:0 drive.raw
--compress 'zstd:20'|backup -o a.vmab --compress zstd:20 drive.raw
--compress 'zstd:'|backup -o a.vmab --compress zstd: drive.raw
--compress 'gzip:10'|backup -o a.vma.gz --compress gzip:10 drive.raw
--no-vma-checksums is for VMA|backup -o a.vmab --no-vma-checksums drive.raw
--buffer '1M': must be from 16.0 MiB to|backup qemu:q.sock -o a.vmab --buffer 1M
--threads '0'|backup -o a.vmab --threads 0 drive.raw
--threads '257'|backup -o a.vmab --threads 257 drive.raw
--threads '-1'|backup -o a.vmab --threads -1 drive.raw
--threads '2x'|verify --threads 2x a.vmab
--rate 'fast'|backup -o a.vmab --rate fast drive.raw
--rate '10Mb'|backup -o a.vmab --rate 10Mb drive.raw
--rate '10M/h'|backup -o a.vmab --rate 10M/h drive.raw
--rate '-1'|verify --rate -1 a.vmab
--rate '99999999999999999999'|verify --rate 99999999999999999999 a.vmab
--progress 'maybe'|list --progress maybe a.vmab
--progress-fd '3x'|list --progress-fd 3x a.vmab
descriptor is not open|backup -o a.vmab --progress-fd 77 drive.raw
--uuid 'xyz'|backup -o a.vmab --uuid xyz drive.raw
not all zero|backup -o a.vmab --uuid 00000000-0000-0000-0000-000000000000 drive.raw
--uuid|backup -o a.vmab --uuid 01234567-89ab-cdef-0123-456789abcdeg drive.raw
--note: VMA|backup -o a.vma --note text drive.raw
disk0: that name is taken|backup -o a.vmab drive.raw disk0=drive.raw
a: that name is taken|backup -o a.vmab a=drive.raw a=drive.raw
name is taken|backup -o a.vmab -c a.conf -c a.conf drive.raw
no file named|backup -o a.vmab a=
no file named|backup -o a.vmab -c a=
drive name|backup -o a.vmab 'a b=drive.raw'
drive name|backup -o a.vmab -- -a=drive.raw
drive name|backup -o a.vmab .a=drive.raw
config|backup -o a.vmab -c '..=a.conf'
standard input can be read only once|verify - -
standard input can be read only once|list - -
names a running machine, which takes no NAME=|backup -o a.vmab root=qemu:web.qmp
a file of that name is written ./serve:x|restore a.vmab -d root=serve:x
a file of that name is written ./libvirt:x|salvage a.vmab -d root=libvirt:x
whose drives cannot be served|serve --control c --nbd unix:n root=qemu:web.qmp
whose drives cannot be served|serve --control c --nbd unix:n libvirt:web
is for serve:SOCKET only|serve --control qemu:c --nbd unix:n drive.raw
the name of a socket is missing|serve --control serve: --nbd unix:n drive.raw
the name of a socket is missing|stop serve:
the name of a socket is missing|status serve:
the name of a socket is missing|qemu-drives qemu:
is for serve:SOCKET only|status qemu:web.qmp
is for qemu:SOCKET only|qemu-drives serve:web.sock
,secret= is for encrypted images|backup -o a.vmab drive.raw,format=raw,secret=a.conf
,secret= is for encrypted images|backup -o a.vmab x.vmdk,secret=a.conf
--output 'b.vmab': may be given only once|backup -o a.vmab -o b.vmab drive.raw
--format 'vma': may be given only once|backup -o - --format vma --format vma drive.raw
--threads '2': may be given only once|verify --threads 2 --threads 2 a.vmab
--rate '1M': may be given only once|convert --rate 2M a.vmab --rate 1M -o b.vmab
--directory 'b': may be given only once|restore -C a -C b a.vmab
the only source|backup -o a.vmab qemu:a qemu:b
the only source|backup -o a.vmab libvirt:a serve:b
the only source|backup -o a.vmab drive.raw qemu:a
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:4444
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp::4444
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:localhost
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:localhost:0
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:localhost:65536
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:localhost:http
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:127.0.0.1:4444,server=on
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:::1:4444
must be tcp:HOST:PORT|backup -o a.vmab qemu:tcp:[]:4444
must be tcp:HOST:PORT|qemu-drives tcp:/run/web.qmp:1
unknown command 'frob'|help frob
END

# A flag that is repeated says the same.
expect_code 0 "$VMABAK" backup -q -q --force --force -o a.vmab drive.raw
