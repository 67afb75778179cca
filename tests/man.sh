#!/bin/sh
# Holds the man pages, and the bash completion, against what the program says of itself and does.
#
#   tests/man.sh VMABAK
#
# One line a failure; the last line is "N passed, N failed, N skipped".
set -u
vmabak=$(realpath "${1:?usage: tests/man.sh VMABAK}")
man=$(realpath "$(dirname "$0")/../man")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$(dirname "$0")/counts.sh"

# check NAME EXPECTED FOUND: two sorted lists, a word a line.
check()
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	printf '%s\n' "$2" >"$work/expected"
	printf '%s\n' "$3" >"$work/found"
	echo "FAILED: $1: $(diff "$work/expected" "$work/found" |
		sed -n 's/^< /missing: /p; s/^> /too much: /p' | tr '\n' ' ')"
}

table=$("$vmabak" commands) || exit 1
verbs=$(echo "$table" | cut -f 1 | sort)

# The options of a verb in its table: "--name".
table_options()
{
	echo "$table" | awk -F '\t' -v verb="$1" '$1 == verb { for (i = 2; i <= NF; i++) print $i }' | sort
}

# What the help of a verb ("" for the program) says: "letter --name value?".
help_options()
{
	# shellcheck disable=SC2086 # no verb is no word
	"$vmabak" $1 --help | sed -nE 's/^  (-(.),|   ) (--[a-z0-9-]+)( [^ ]+)?.*/\2 \3 \4/p' |
		sed -E 's/^ /none /; s/(--[a-z0-9-]+) +([A-Z[]).*/\1 value/; s/ +[^ v]*$//' | sort
}

# What the page says, from its .It lines.
page_options()
{
	awk '
	function out() { if (name != "") print (letter == "" ? "none" : letter), name (value ? " value" : "") }
	/^\.It Fl/ {
		name = letter = ""; value = 0
		for (i = 2; i <= NF; i++) {
			if ($i == "Fl" && $(i + 1) ~ /^-/) {
				if (name != "") { out(); letter = "" }
				name = "-" $(i + 1); value = 0
			} else if ($i == "Fl") {
				out(); name = ""; letter = $(i + 1)
			} else if ($i == "Ar" || $i == "Oo")
				value = 1
		}
		out()
	}' "$1" | sort
}

check_options()
{
	[ -f "$2" ] || { check "$2 exists" yes no; return; }
	check "options in $(basename "$2"), as help has them" "$(help_options "$1")" "$(page_options "$2")"
}

# backup has a page for each kind of source. What is for drives is on vmabak-backup(1); each of the others has those
# options that its kind has and drives have not.
sources='qemu libvirt serve'

# source_options WORD: those of backup that are for such a source: "--name".
source_options()
{
	"$vmabak" commands "$1" | sed -n 's/^backup\t//p' | tr '\t' '\n' | sort
}

# Those lines of the help of backup whose options are in the file named.
of_help()
{
	help_options backup | while read -r letter name value; do
		! grep -qxe "$name" "$work/named" || echo "$letter $name${value:+ $value}"
	done
}

check_backup_pages()
{
	source_options drive.raw >"$work/drives"
	cp "$work/drives" "$work/named"
	check "options in vmabak-backup.1, as help has them" "$(of_help)" "$(page_options "$man/vmabak-backup.1")"
	cp "$work/drives" "$work/seen"
	for source in $sources; do
		source_options "$source:" >>"$work/seen"
		source_options "$source:" | grep -vxFf "$work/drives" >"$work/named"
		check "options in vmabak-backup-$source.1, as help has them" "$(of_help)" \
			"$(page_options "$man/vmabak-backup-$source.1")"
	done
	check "pages of sources have all options of backup" "$(table_options backup)" "$(sort -u "$work/seen")"
}

# Pages name no option that is nowhere.
check_mentions()
{
	known=$(for verb in "" $verbs; do help_options "$verb"; done | cut -d ' ' -f 2 | sort -u)
	for page in "$man"/*.[15]; do
		named=$(grep -oE 'Fl -[a-z][a-z0-9-]*' "$page" | sed 's/Fl /-/' | sort -u)
		check "options that $(basename "$page") mentions" "" "$(for option in $named; do
			echo "$known" | grep -qx -e "$option" || echo "$option"
		done)"
	done
}

for verb in $verbs; do
	check "table and help of $verb" "$(table_options "$verb")" "$(help_options "$verb" | cut -d ' ' -f 2 | sort)"
	[ "$verb" = backup ] || check_options "$verb" "$man/vmabak-$verb.1"
done
check_backup_pages
check_options "" "$man/vmabak.1"
check "pages of commands" "$( (echo "$verbs"; for source in $sources; do echo "backup-$source"; done) | sort)" \
	"$(for page in "$man"/vmabak-*.1; do basename "$page" .1; done | sed 's/vmabak-//' | sort)"
check "pages of sources that vmabak-backup.1 lists" "$(printf '%s\n' $sources | sort)" \
	"$(sed -n 's/^\.It Cm \([a-z]*\): .*/\1/p' "$man/vmabak-backup.1" | sort)"
check "commands that vmabak.1 lists" "$verbs" "$(sed -n 's/^\.It Xr vmabak-\([a-z-]*\) 1$/\1/p' "$man/vmabak.1" | sort)"
check_mentions

if command -v mandoc >/dev/null; then
	for page in "$man"/*.[15]; do
		check "mandoc on $(basename "$page")" "" "$(mandoc -T lint -W warning "$page" 2>/dev/null)"
	done
else
	lacks "no mandoc here: the pages were not linted"
fi

# ---- JSON ----

# The members a page lists: "a.b", "a[].b"; $2: the heading above them.
page_members()
{
	awk -v heading="$2" '
	/^\.S[hs] / { here = $0 == heading }
	here && /^\.It Va / { for (i = 3; i <= NF; i++) if ($i != ",") print $i }' "$1" | sort
}

# The members of JSON documents on standard input, in the same form. Names of libraries vary.
members()
{
	python3 -c '
import json, sys
def walk(value, path):
    if isinstance(value, dict):
        for key in value: walk(value[key], path + ("." if path else "") + key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for one in value: walk(one, path + "[]")
    else:
        found.add("libraries.NAME" if path.startswith("libraries.") else path)
found = set()
decoder, text = json.JSONDecoder(), sys.stdin.read().strip()
while text:
    document, end = decoder.raw_decode(text)
    walk(document, "")
    text = text[end:].strip()
print("\n".join(found))' | sort
}

# Drives, configs, a whole archive, one with a wrong bit and one that was cut.
make_example()
{
	head -c 200000 /dev/urandom >web.raw
	truncate -s 1M web.raw
	echo 'cores: 2' >web.conf
	printf 'cores: 2\nscsi0: local-lvm:vm-100-disk-0,size=1M\n' >100.conf
	"$vmabak" backup -q -o web.vmab -c web.conf root=web.raw
	"$vmabak" convert -q web.vmab -o vzdump-qemu-100.vma.zst 2>/dev/null
	zstd -qdc vzdump-qemu-100.vma.zst >web.vma
	zstd -q web.vma
	cp web.vmab bad.vmab
	printf x | dd of=bad.vmab bs=1 seek=50000 conv=notrunc status=none
	head -c 100000 web.vmab >cut.vmab
	: >empty.vmab
	"$vmabak" backup -q -o thursday.vmab root=web.raw
	"$vmabak" backup -q --parent thursday.vmab -o friday.vmab root=web.raw
	qemu-img convert -O qcow2 web.raw data.qcow2
	cp data.qcow2 web.img
	echo '65536 4096' >ranges.txt
}

# A serve that has web.raw, at ctl.sock.
with_serve()
{
	"$vmabak" serve --control ctl.sock --nbd unix:nbd.sock root=web.raw 2>/dev/null >&2 &
	until [ -S ctl.sock ]; do sleep 0.1; done
}

# A storage daemon with a monitor at web.qmp that exports web.raw, until the function's argument,
# a command, has ended.
with_qemu()
{
	qemu-storage-daemon --daemonize --pidfile qemu.pid \
		--chardev "socket,path=$PWD/web.qmp,server=on,wait=off,id=c" --monitor chardev=c \
		--nbd-server addr.type=unix,addr.path="$PWD/qemu.nbd" \
		--blockdev driver=file,filename=web.raw,node-name=root \
		--export type=nbd,id=root,node-name=root,writable=on >&2 || return 1
	"$@"
	with_qemu_code=$?
	kill "$(cat qemu.pid)"
	while [ -e qemu.pid ]; do sleep 0.1; done
	return $with_qemu_code
}

mirror_of_qemu()
{
	"$vmabak" mirror start --json qemu:web.qmp --nbd-server "$PWD/qemu.nbd" -d root=of-qemu.raw
	"$vmabak" mirror wait --json qemu:web.qmp
	"$vmabak" mirror abort --json qemu:web.qmp
}

# A folder with a chain.
with_folder()
{
	mkdir -p folder
	"$vmabak" backup -q --to folder --name web root=web.raw
	"$vmabak" backup -q --to folder --name web root=web.raw
}

# The documents that a verb prints when all goes well.
example_of()
{
	case $1 in
	backup)
		with_serve
		"$vmabak" backup serve:ctl.sock --json -o backup.vmab -c web.conf
		"$vmabak" stop ctl.sock
		with_qemu "$vmabak" backup qemu:web.qmp --json -o pushed.vmab 2>/dev/null
		with_qemu "$vmabak" backup qemu:web.qmp --pull --nbd-server "$PWD/qemu.nbd" \
			--scratch "$PWD" --json -o pulled.vmab 2>/dev/null
		printf '# vmabak changes 1\n# size 1048576\n# end 0\n' >none.list
		"$vmabak" backup --json --parent web.vmab --changed root=none.list --since-unchecked -o listed.vmab root=web.raw
		;;
	checkpoint)
		with_serve
		"$vmabak" backup serve:ctl.sock -q -o checkpoint.vmab
		"$vmabak" checkpoint create --json mine serve:ctl.sock
		"$vmabak" checkpoint list --json serve:ctl.sock
		"$vmabak" checkpoint size --json serve:ctl.sock
		"$vmabak" checkpoint export --json mine -o mine.ckpt serve:ctl.sock
		"$vmabak" checkpoint delete --json mine serve:ctl.sock
		"$vmabak" checkpoint rebuild --json --parent web.vmab serve:ctl.sock
		"$vmabak" stop ctl.sock
		;;
	mirror)
		with_serve
		"$vmabak" mirror status --json serve:ctl.sock
		"$vmabak" mirror start --json serve:ctl.sock -d root=mirror.raw
		"$vmabak" mirror wait --json serve:ctl.sock
		"$vmabak" mirror pivot --json -q serve:ctl.sock
		"$vmabak" stop ctl.sock
		with_qemu mirror_of_qemu
		;;
	copy) "$vmabak" copy --json web.raw copied.raw ;;
	qemu-drives) with_qemu "$vmabak" qemu-drives web.qmp --json ;;
	status)
		with_serve
		"$vmabak" backup serve:ctl.sock -q --rate 100K -o status.vmab 2>/dev/null &
		while "$vmabak" status --json ctl.sock | grep -q '"backup": null'; do sleep 0.1; done
		"$vmabak" status --json ctl.sock
		"$vmabak" stop --force ctl.sock
		;;
	stop)
		with_serve
		"$vmabak" stop --json ctl.sock
		;;
	restore) "$vmabak" restore --json web.vmab -C restored ;;
	list)
		"$vmabak" list --json web.vmab
		with_folder
		"$vmabak" list --json folder
		: >tape
		TAPE=$PWD/tape
		export TAPE
		LD_PRELOAD=$(dirname "$vmabak")/tape.so "$vmabak" backup -q -o tape root=web.raw
		LD_PRELOAD=$(dirname "$vmabak")/tape.so "$vmabak" list --json tape
		unset TAPE
		;;
	prune)
		with_folder
		"$vmabak" prune --json folder --keep-last 1
		;;
	config) "$vmabak" config --json web.vmab ;;
	verify)
		"$vmabak" verify --json web.vmab bad.vmab 2>/dev/null
		"$vmabak" verify --json --chain friday.vmab
		mkdir verify
		cp friday.vmab verify
		"$vmabak" verify --json --chain verify/friday.vmab 2>/dev/null
		;;
	salvage)
		"$vmabak" backup -q --parent thursday.vmab -c web.conf -o chained.vmab root=web.raw
		cp thursday.vmab lossy.vmab
		printf x | dd of=lossy.vmab bs=1 seek=50000 conv=notrunc status=none
		"$vmabak" salvage --json chained.vmab lossy.vmab -C salvaged 2>/dev/null
		;;
	test)
		printf '#!/bin/sh\necho login:\nexec sleep 100\n' >no-qemu
		chmod 755 no-qemu
		"$vmabak" test --json web.vmab --qemu "$PWD/no-qemu"
		;;
	export)
		"$vmabak" export --json -q web.vmab --nbd unix:export.sock &
		until [ -S export.sock ]; do sleep 0.1; done
		kill $!
		wait $!
		;;
	mount)
		mkdir mnt
		"$vmabak" mount --json web.vmab mnt && fusermount3 -u mnt
		;;
	ls | get)
		mkdir -p tree
		echo hello >tree/hello
		truncate -s 4M files.raw
		mkfs.ext4 -q -F -d tree files.raw >&2
		"$vmabak" backup -q --force -o files.vmab files=files.raw
		if [ "$1" = ls ]; then
			"$vmabak" ls --json files.vmab files
			"$vmabak" ls --json files.vmab files:/
		else
			"$vmabak" get --json files.vmab files:/hello 2>/dev/null
			"$vmabak" get --json -r files.vmab files:/ -o got 2>/dev/null
		fi
		;;
	sums) "$vmabak" sums --json web.vmab -o web.sums ;;
	changes)
		printf '# vmabak changes 1\n# size 4096\n# since a\n# until b\n0 512\n# end 1\n' | "$vmabak" changes --json -
		;;
	diff)
		mkdir diff
		cp web.raw diff/changed.raw
		printf different | dd of=diff/changed.raw bs=1 seek=5000 conv=notrunc status=none
		"$vmabak" backup -q -o diff/full.vmab root=web.raw
		"$vmabak" backup -q --parent diff/full.vmab -o diff/changed.vmab root=diff/changed.raw
		"$vmabak" diff --json diff/full.vmab diff/changed.vmab
		;;
	merge) "$vmabak" merge --json friday.vmab -o merge.vmab ;;
	convert) "$vmabak" convert --json web.vmab -o convert.vma 2>/dev/null ;;
	*) echo '{"no example in tests/man.sh": 0}' ;;
	esac
}

check_json()
{
	page=$man/vmabak-json.5
	common=$(page_members "$page" '.Sh MEMBERS OF EVERY RESULT')
	# What was fetched is seen by tests/cli/web-archives.sh.
	check "JSON members of a failure" "$common" \
		"$( ("$vmabak" list --json empty.vmab 2>/dev/null | members; echo fetched_bytes) | sort)"
	for verb in $verbs version; do
		case $verb in help | serve | snapshot | completion) continue ;; esac
		if [ "$verb" = version ]; then
			found=$("$vmabak" --version --json | members)
		else
			found=$(example_of "$verb" | members)
		fi
		check "JSON members of $verb" \
			"$( (page_members "$page" ".Ss $verb"; echo command; echo exit_code; echo warnings) | sort)" "$found"
	done
	printf '\377' >binary
	"$vmabak" backup -q -o binary.vmab -c binary
	check "JSON members of a config that is not text" \
		"$( ("$vmabak" config --json web.vmab | members; echo data_hex) | sort)" \
		"$("$vmabak" config --json binary.vmab | members)"
}

# ---- examples ----

# The blocks of a page under EXAMPLES, each into a file.
split_examples()
{
	awk -v to="$2" '
	/^\.Sh / { here = $2 == "EXAMPLES" }
	here && /^\.Bd/ { n++; inside = 1; next }
	/^\.Ed/ { inside = 0 }
	here && inside { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print > (to n) }' "$1"
}

# Runs a block where the drives are files and the other machine is this one. Lines with a prompt
# are followed by what they must print.
run_example()
{
	sed -E 's,/dev/nst0,./tape,g; s,/dev/vg[a-z0-9/]+,./device,g; s,/run/web\.(sock|qmp),web.\1,g; s,/run/vmabak/web\.sock,ctl.sock,g; s,/backup\b,folder,g; s/size=20G/size=1M/' "$1" >script
	if grep -q '^\$ ' script; then
		grep -v '^\$ ' script >expected
		sed -n 's/^\$ //p' script >commands
		PATH=$work/bin:$PATH sh commands >found 2>&1
		cmp -s expected found
	elif grep -qE '<\(|pipefail' script; then
		bash -c "set -e; PATH=$work/bin:\$PATH; $(cat script)" >out 2>&1
	else
		PATH=$work/bin:$PATH sh -e script >out 2>&1
	fi
}

# A drive with a file system.
with_file_system()
{
	mkdir -p tree/etc
	echo 'LABEL=root / ext4' >tree/etc/fstab
	rm web.vmab
	truncate -s 4M fs.raw
	mkfs.ext4 -q -F -d tree fs.raw
	"$vmabak" backup -q -o web.vmab root=fs.raw
}

check_examples()
{
	mkdir "$work/bin"
	ln -s "$vmabak" "$work/bin/vmabak"
	printf '#!/bin/sh\nshift\nexec sh -c "$*"\n' >"$work/bin/ssh"
	chmod +x "$work/bin/ssh"
	printf '#!/bin/sh\ncase $* in "domfsfreeze web" | "domfsthaw web") ;; *) exit 1 ;; esac\n' >"$work/bin/virsh"
	chmod +x "$work/bin/virsh"
	# The remote "store:" of rclone.
	export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_STORE_TYPE=alias RCLONE_CONFIG_STORE_REMOTE="$work/store"
	for page in "$man"/*.1; do
		name=$(basename "$page")
		split_examples "$page" "$work/block-$name-"
		for block in "$work/block-$name"-*; do
			rm -rf "$work/run"
			cp -r "$work/example" "$work/run"
			cd "$work/run" || exit 1
			if grep -q mbuffer "$block" && ! command -v mbuffer >/dev/null; then
				lacks "no mbuffer here: an example of $name was not tried"
				continue
			fi
			if grep -q rclone "$block" && ! command -v rclone >/dev/null; then
				lacks "no rclone here: an example of $name was not tried"
				continue
			fi
			if grep -q ddrescuelog "$block" && ! command -v ddrescuelog >/dev/null; then
				lacks "no ddrescuelog here: an example of $name was not tried"
				continue
			fi
			if grep -q -e libvirt: -e --define "$block"; then
				skip "an example of $name needs a domain of libvirt: tests/cli/libvirt-*.sh"
				continue
			fi
			# Only what reads archives finds them there already.
			if grep -qE -e '-o web\.vmab|cat >web\.vmab' "$block"; then rm web.vmab; fi
			if grep -q '>web.vma.zst' "$block"; then rm web.vma.zst; fi
			if grep -q 'vmabak verify \*' "$block"; then rm bad.vmab cut.vmab empty.vmab; fi
			truncate -s 1M device
			if grep -qE 'vmabak (ls|get) ' "$block"; then with_file_system; fi
			if grep -q '/backup' "$block"; then with_folder; fi
			if grep -q 'socket=/run/web\.sock' "$block"; then
				qemu-nbd --fork -k "$PWD/web.sock" -r -x root -f raw web.raw
			fi
			if grep -q '/run/vmabak/web\.sock' "$block"; then with_serve; fi
			if grep -q '/run/web\.qmp' "$block"; then
				with_qemu run_example "$block"
			else
				run_example "$block"
			fi
			ran=$?
			if [ -S ctl.sock ]; then "$vmabak" stop ctl.sock; fi
			check "example of $name: $(head -n 1 "$block")" 0 $ran
		done
	done
}

if command -v python3 >/dev/null && command -v qemu-img >/dev/null; then
	mkdir "$work/example" "$work/json"
	cd "$work/example" && make_example
	cp "$work/example"/* "$work/json" && cd "$work/json" && check_json
	check_examples
else
	lacks "no python3 or qemu-img here: JSON members and examples were not tried"
fi

# ---- completion ----

# What is offered for a line: complete WORD...
complete_line()
{
	bash -c '. "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _vmabak; printf "%s\n" "${COMPREPLY[@]}"' \
		- "$work/completion" "$@" | sort
}

check_completion()
{
	"$vmabak" completion bash >"$work/completion"
	check "the completion is bash" "" "$(bash -n "$work/completion" 2>&1)"
	check "completion of verbs" "$( (echo "$verbs"; echo --help; echo --version) | sort)" "$(complete_line vmabak '')"
	for verb in $verbs; do
		check "completion of options of $verb" "$(table_options "$verb")" "$(complete_line vmabak "$verb" --)"
	done
	check "completion of a value" "$(printf 'vma\nvmab')" "$(complete_line vmabak backup --format '')"
	mkdir "$work/files"
	cd "$work/files" && touch a.vmab b.vma.zst notes.txt
	check "completion of archives" "$(printf 'a.vmab\nb.vma.zst')" "$(complete_line vmabak verify '')"
}

if command -v bash >/dev/null; then
	check_completion
else
	lacks "no bash here: the completion was not tried"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
