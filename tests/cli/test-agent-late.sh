# A guest agent that takes a connection and says nothing is waited for until --timeout is over, and not for longer.
. "$(dirname "$0")/lib.sh"
need_strace

make_random a.raw 100000
expect_code 0 "$VMABAK" backup -q -o a.vmab root=a.raw
cat >silent <<END
#!$PYTHON -S
import socket, sys
path = next(a for a in sys.argv if a.startswith("socket,id=agent,")).split("path=")[1]
agent = socket.socket(socket.AF_UNIX)
agent.bind(path)
agent.listen()
held = []
while True:
    held.append(agent.accept())
END
chmod 755 silent
expect_code 4 strace -f -o trace -e trace=poll,connect "$VMABAK" test a.vmab --qemu "$PWD/silent" --timeout 3 --guest-agent
expect_text "$err" 'an answer of its guest agent did not come'
grep -q 'connect(.*/agent"' trace || fail 'the agent was not asked'
# Nothing in it waits for longer; once more than a second, as it begins when no more than one has passed.
! grep -E 'poll\(.*, 1, ([4-9]|[1-9][0-9])[0-9]{3}' trace || fail 'it waits for too long'
