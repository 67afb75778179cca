# Completion for bash: commands, options, what options take; from the table of commands.
. "$(dirname "$0")/lib.sh"

need bash
"$VMABAK" completion bash >script
bash -n script || fail "bash does not take it"
: >one.vmab
# complete WORD...: what is offered for the last of them.
complete()
{
	bash -c '. ./script
		words=$(complete -p vmabak | sed -n "s/.*-F \([^ ]*\).*/\1/p")
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
		$words vmabak "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@" >offered 2>said || fail "$(cat said)"
	[ ! -s said ] || fail "said: $(cat said)"
}
complete vmabak ''
expect_text offered backup restore list config verify convert help
complete vmabak re
[ "$(tr -d ' \n' <offered)" = restore ] || fail "offered $(cat offered)"
"$VMABAK" commands >commands
while read -r verb options; do
	complete vmabak "$verb" --
	# shellcheck disable=SC2086 # words
	for option in $options; do
		case $option in --*) expect_text offered "${option%%=*}" ;; esac
	done
done <commands
complete vmabak backup --format ''
expect_text offered vmab vma

# What is offered comes from what an argument is: a machine's word, any file, an archive, a folder.
mkdir folder
: >drive.raw
# offers EXPECTED WORD...: exactly that, in any order.
offers()
{
	expected=$1
	shift
	complete vmabak "$@"
	found=$(sort offered | tr '\n' ' ' | sed 's/^ *//; s/ *$//')
	[ "$found" = "$expected" ] || fail "$*: offered '$found', not '$expected'"
}
rm -f offered said commands script.log
offers 'qemu:' backup q
offers 'libvirt:' backup l
offers 'drive.raw' backup qemu : dr
offers 'drive.raw' backup serve : dr
offers '' backup libvirt : dr
offers 'drive.raw' backup root = dr
offers 'drive.raw' serve dr
offers '' serve qe
offers 'drive.raw' status dr
offers 'folder' list f
offers 'one.vmab' list o
offers '' list dr
# The same name is not the same thing everywhere: a drive is a name, or a name and a target.
offers '' backup -d dr
offers '' restore -d dr
offers 'drive.raw' restore -d root = dr
offers 'drive.raw' restore --drive = root = dr
offers 'drive.raw' salvage --map dr
offers 'drive.raw' serve --map root = dr
offers 'folder' restore -C ''
offers 'folder' backup --spill-dir = ''
offers '' backup --scratch dr
offers '' backup --note dr
offers 'gzip none zstd' convert --compress ''
offers 'convert' help conv
