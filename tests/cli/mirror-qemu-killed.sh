# The process that mirrors drives of a QEMU is killed at random moments, also in the midst of a pivot, while dependent writers
# go at them: the guest goes on, status tells of it, what is started again is what was written in the end, and an abort
# leaves nothing.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror_kills.sh"

start_killing raw
kill_rounds "${VMABAK_ROUNDS:-4}"
end_killing
