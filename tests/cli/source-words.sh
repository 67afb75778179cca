# A machine is one word, qemu:SOCKET, libvirt:DOMAIN or serve:SOCKET, and the only source of a backup. What is not for
# the kind of source that was named is refused before anything is looked for.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100000 1
cp drive.raw qemu:web
all=$(ls -A)
refused()
{
	expect_error 2 "$@"
	[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
}

for word in qemu: libvirt: serve:; do
	refused 'no name after the colon' "$VMABAK" backup -o a.vmab $word
done
for sources in 'qemu:a qemu:b' 'libvirt:a serve:b' 'drive.raw qemu:a' 'serve:a drive.raw' 'root=drive.raw libvirt:a'; do
	# shellcheck disable=SC2086 # words
	refused 'is the only source of a backup' "$VMABAK" backup -o a.vmab $sources
done

# Which kinds of source each option is for.
while IFS='|' read -r kinds option; do
	for kind in drives push pull libvirt serve; do
		case $kind in
		drives) source=drive.raw ;;
		push) source=qemu:none.sock ;;
		pull) source='qemu:none.sock --pull' ;;
		*) source=$kind:none ;;
		esac
		case " $kinds " in *" $kind "*) continue ;; esac
		eval "refused \"\${option%% *} is for \" \"\$VMABAK\" backup -o a.vmab $source $option"
	done
done <<'END'
drives|--allow-writers
drives|--direct
drives push pull libvirt|--track
push pull|--state state
drives|--used root=list
push pull libvirt serve|--drive root
libvirt|--quiesce
push pull|--guest-agent agent.sock
push pull libvirt serve|--freeze-command true
push pull libvirt serve|--thaw-command true
push pull libvirt serve|--freeze-timeout 5
push pull|--pull
pull|--nbd-server nbd.sock
push|--sync full
libvirt|--connect qemu:///session
libvirt pull|--scratch /tmp
push serve|--buffer 16M
push serve|--spill 1G
push serve|--spill-dir /tmp
push serve|--on-full wait
END
# Those that are for all are none of these; and no other option of the command is left out above.
"$VMABAK" commands | sed -n 's/^backup\t//p' | tr '\t' '\n' | sort >options
sort >expected <<'END'
--allow-writers
--audit
--buffer
--changed
--compress
--config
--connect
--dedup
--direct
--drive
--extent-size
--force
--format
--freeze-command
--freeze-timeout
--full-every
--guest-agent
--help
--incremental
--json
--lock-wait
--name
--nbd-server
--next-volume
--no-holes
--no-sums
--no-sync
--no-vma-checksums
--note
--on-full
--output
--parent
--parents
--progress
--progress-fd
--pull
--quiesce
--quiet
--rate
--record-size
--resume
--resume-check
--retain-until
--s3-endpoint
--s3-parts
--scratch
--since-unchecked
--spill
--spill-dir
--state
--strict
--sums
--sync
--thaw-command
--threads
--to
--token
--track
--used
--uuid
--verbose
END
same_file expected options
rm expected options

# A file of such a name is one behind a path.
expect_code 0 "$VMABAK" backup -o a.vmab ./qemu:web root=./qemu:web
expect_code 0 "$VMABAK" restore a.vmab -C back
same_file drive.raw back/disk0.raw
same_file drive.raw back/root.raw
# So is a word that only begins like one.
expect_error 1 'qemu-web: No such file' "$VMABAK" backup -o b.vmab qemu-web

# Options stand in the groups of the table, in this order.
expect_code 0 "$VMABAK" backup --help
grep -E '^[A-Z][A-Za-z ]*:$' "$out" | grep -v '^Example' >groups
cat >expected <<'END'
What:
Increments:
Where to:
Consistency:
A running machine:
Tuning:
Common:
END
same_file expected groups
under()
{
	[ "$(awk -v option="$2" '/^[A-Z].*:$/ { group = $0 } $1 == option || $2 == option { print group; exit }' "$out")" = "$1:" ] ||
		fail "$2 is not under $1"
}
under What --drive
under 'Where to' --output
under Consistency --guest-agent
under 'A running machine' --pull
under Tuning --buffer
under Common --json
