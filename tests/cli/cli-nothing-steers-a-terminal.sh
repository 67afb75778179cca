# Names of archives, files, drives and peers hold what a terminal obeys: none of it goes out, on standard output or
# standard error, nor in JSON; what is readable in any language stays as it is.
. "$(dirname "$0")/lib.sh"

# Escape, bell, C1 as UTF-8 and as a byte, a line feed, right-to-left override, isolate, zero width, broken UTF-8.
evil=$(printf 'x\033]0;t\007\302\2331m\2331m\nl\342\200\256r\342\201\246i\342\200\213z\303')

# clean FILE...: nothing but line feeds and what a terminal only shows.
clean()
{
	"$PYTHON" -c 'import sys, unicodedata
for name in sys.argv[1:]:
    text = open(name, "rb").read().decode()
    for c in text.replace("\n", ""):
        if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Co", "Cs"):
            sys.exit(f"{name} has {c!r}: {text!r}")' "$@" || fail "of: $last"
}

# said CODE COMMAND...
said()
{
	last=$*
	code=$1
	shift
	expect_code "$code" "$VMABAK" "$@"
	clean "$out" "$err"
}

truncate -s 100K drive.raw
printf 'a\033[1m\n\302\233b\n' >c.conf
expect_code 0 "$VMABAK" backup --no-sync -o good.vmab -c c.conf drive.raw
for name in "$evil" 'schöne Grüße 日本.vmab'; do
	mkdir -p folder
	cp good.vmab "folder/$name"
	said 0 verify "folder/$name"
	said 0 list "folder/$name"
	said 0 list --json "folder/$name"
	said 0 salvage --no-sync "folder/$name" -C saved --map "folder/$name.map"
	said 2 salvage --no-sync "folder/$name" -C saved
	said 0 restore --no-sync "folder/$name" -d "disk0=folder/$name.raw" --progress=always
	said 2 restore --no-sync "folder/$name" -d "disk0=folder/$name.raw"
	said 0 backup --no-sync -o "folder/$name.vmab" "d=folder/$name.raw" --progress=always
	said 1 verify "folder/$name.missing"
	said 1 config "folder/$name" "$name"
	said 2 list --"$name"
	said 2 "$name"
	truncate -s 1K "folder/$name"
	said 4 verify "folder/$name"
	said 4 verify --json "folder/$name"
	rm -r folder saved
done
mkdir folder
cp good.vmab 'folder/schön 日本'
said 0 verify 'folder/schön 日本'
expect_text "$out" 'folder/schön 日本: ok'

# Names and notes of an archive.
compile - names.vmab <<'END'
format vmab
drive 'x\x1b]0;t\x07\xc2\x9b1m\x9b\nl\xe2\x80\xae' 64K
config '\xe2\x81\xa6c\x1b[1m' text "x"
note 'n\x1b[1m\x9b\xc2\x9b\xe2\x80\xae'
checkpoint 'k\x1b[1m\x9b'
extent
zeros 'x\x1b]0;t\x07\xc2\x9b1m\x9b\nl\xe2\x80\xae' 0 1
END
said 0 verify names.vmab
said 0 list names.vmab
said 0 list --json names.vmab
expect_json "$out" 'len(d["drives"]) == 1 and "name_hex" in d["drives"][0]'
said 2 restore names.vmab -C back
said 1 config names.vmab nothing
said 2 restore names.vmab -d nothing=x
said 0 salvage --no-sync names.vmab -d @1=out.raw

# What is no vmabak serve.
"$PYTHON" -c 'import json, os, socket, sys
text = os.fsencode(sys.argv[1]).decode("utf-8", "replace").replace("\ufffd", "\x9b")
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind("s.sock")
server.listen(8)
good = {"return": {"pid": 1, "nbd": [text], "drives": [{"name": text, "path": text, "size_bytes": 1,
        "map": {"file": text, "trust": text, "generation": 1}}]}}
bad = {"error": {"code": "system", "message": text}}
for answer in (good, good, bad, bad, bad):
    connection, _ = server.accept()
    connection.recv(1 << 20)
    connection.send(json.dumps(answer).encode())
    connection.recv(1 << 20)' "$evil" &
on_exit "kill $! 2>/dev/null"
wait_until test -S s.sock
said 0 status s.sock
expect_text "$out" 'x\x1b]0;t\x07\xc2\x9b1m'
said 0 status --json s.sock
said 1 status s.sock
said 1 stop s.sock
said 1 backup serve:s.sock -o x.vmab

# The content of a config: exact in a pipe, cleaned on a terminal.
expect_code 0 "$VMABAK" config good.vmab c.conf
same_file "$out" c.conf
need_terminal
expect_code 0 script -qec "'$VMABAK' config good.vmab c.conf" /dev/null
tr -d '\r' <"$out" >shown
printf 'a\\x1b[1m\n\\xc2\\x9bb\n' | cmp - shown || fail "shown: $(cat -v shown)"
