#!/bin/sh
# The models of chains and of merging (tests/cli/chain-model.sh, merge-model.sh) with other changes each time. A failure tells the seed: VMABAK_SEED.
#
#   tests/chains.sh VMABAK ROUNDS
set -eu
here=$(cd "$(dirname "$0")" && pwd)
round=0
while [ $round -lt "$2" ]; do
	round=$((round + 1))
	VMABAK_SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	export VMABAK_SEED
	"$here/cli/run.sh" "$1" chain-model merge-model >/tmp/vmabak-chains.$$ 2>&1 || {
		cat /tmp/vmabak-chains.$$
		rm -f /tmp/vmabak-chains.$$
		echo "FAILED with VMABAK_SEED=$VMABAK_SEED"
		exit 1
	}
done
rm -f /tmp/vmabak-chains.$$
echo "$round rounds of chains of nine instants, and of eight that are merged"
