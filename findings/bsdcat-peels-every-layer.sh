#!/bin/sh
# Commonly believed: `bsdcat FILE.gz` writes what `zcat FILE.gz` writes, and the same goes for other compressions. Its
# manual page gives `bsdcat example.txt.gz > example.txt` as the way to get the file back.
#
# True: it goes on for as long as the result looks encoded in some way that libarchive knows, and no option limits it
# to one layer. A compressed file that has been compressed again comes out uncompressed. And uuencoding counts as a
# layer too: of a letter with a uuencoded attachment only the decoded attachment is left, and the text around it is
# gone, whether the letter was compressed or not. The exit status is 0, and nothing is reported. So bsdcat is unfit
# for restoring arbitrary files: what comes back may be something else than what was compressed.
#
# Seen with libarchive-tools 3.6.2-1+deb12u5:
#     zcat: the letter
#     bsdcat: exit status 0, the attachment
#     bsdcat of the letter uncompressed: exit status 0, the attachment
#     bsdcat of a compressed file, compressed: exit status 0, the file uncompressed
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "bsdcat-peels-every-layer: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download libarchive-tools=3.6.2-1+deb12u5 libarchive13=3.6.2-1+deb12u5 \
	libxml2=2.9.14+dfsg-1.3~deb12u6 libicu72=72.1-3+deb12u1 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH
bsdcat --version >/dev/null || stop 2 "bsdcat does not run"

# look WHAT FILE WANTED: bsdcat writes the file WANTED and reports no error.
look()
{
	code=0
	bsdcat "$2" >out || code=$?
	what=$(cmp -s out "$3" && echo "the $3" || echo "something else")
	echo "$1: exit status $code, $what"
	[ "$code $what" = "0 the $3" ] || stop 1 "$1: bsdcat behaves differently"
}

printf 'one\ntwo\nthree\n' >attachment
cat >letter <<'END_OF_TEXT'
Dear all,

the list is attached.

begin 644 list.txt
.;VYE"G1W;PIT:')E90H`
`
end

Regards
END_OF_TEXT
gzip -c letter >letter.gz
zcat letter.gz | cmp -s - letter || stop 2 "zcat does not give the letter back"
echo "zcat: the letter"
look bsdcat letter.gz attachment
look 'bsdcat of the letter uncompressed' letter attachment

echo text >'file uncompressed'
gzip -c 'file uncompressed' | gzip -c >twice.gz
look 'bsdcat of a compressed file, compressed' twice.gz 'file uncompressed'
