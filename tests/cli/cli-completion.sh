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
