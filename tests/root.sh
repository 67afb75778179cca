#!/bin/sh
# The root of the tree holds just what is listed here: what a fuzzer, a debugger or an editor left is seen before it is
# committed. What git ignores does not count. And no file of the program has more than 500 lines.
cd "$(dirname "$0")/.." || exit 1
listed='.ci .clang-format .gitignore CONTRIBUTING.md LICENSE Makefile README.md archive base cli cow device drive examples
	findings format machine man nbd reader store spec tests writer'
found=$(git ls-files --cached --others --exclude-standard 2>/dev/null | cut -d / -f 1 | sort -u)
[ -n "$found" ] || found=$(ls -A | grep -vxE 'build|\.git')
code=0
for name in $found; do
	case " $(echo $listed) " in
	*" $name "*) ;;
	*) echo "root.sh: does not belong in the root: $name" && code=1 ;;
	esac
done
long=$(find base cli cow device drive format machine archive nbd reader store writer -name '*.[ch]' -exec wc -l {} + |
	awk '$1 > 500 && $2 != "total"')
[ -z "$long" ] || { echo "root.sh: more than 500 lines: $long" && code=1; }
exit $code
