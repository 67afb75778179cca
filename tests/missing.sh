#!/bin/sh
# Says what a build lacks, as pkg-config and as this system name it.
#
#   tests/missing.sh LIBRARY...
cd "$(dirname "$0")/.." || exit 1
packages=$(tests/install-dependencies.sh --build --print 2>/dev/null | xargs)
cat >&2 <<END
vmabak needs $*: pkg-config does not find it.
${packages:+Missing packages: $packages
}'make demo' installs what is missing and builds; README.md lists what to install by hand.
END
exit 1
