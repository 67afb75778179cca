# For scripts that count for themselves: $passed, $failed and $skipped. Their last line is
# "N passed, N failed, N skipped".
passed=0 failed=0 skipped=0

skip()
{
	skipped=$((skipped + 1))
	echo "skipped: $1"
}

# For want of a program that tests/install-dependencies.sh installs; where that was run it is a failure.
lacks()
{
	if [ -n "${VMABAK_INSTALLED:-}" ]; then
		failed=$((failed + 1))
		echo "FAILED: tests/install-dependencies.sh should have installed what is missing: $1"
	else
		skip "$1"
	fi
}
