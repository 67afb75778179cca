# Sourced by those that measure: keep_memory and let_go_of_memory. See keep_memory.py; does nothing
# where a kernel does not report free memory to a host. $KEEP_MEMORY=no: not there either.

keeper=
keep_memory()
{
	[ -d /sys/module/page_reporting ] && [ "$(id -u)" = 0 ] && [ "${KEEP_MEMORY:-}" != no ] || return 0
	: >keeper.out
	# shellcheck disable=SC2154 # the folder of the one who sources this
	/usr/bin/python3 "$here/keep_memory.py" >keeper.out 2>&1 &
	keeper=$!
	until grep -q kept keeper.out; do
		kill -0 "$keeper" 2>/dev/null || break
		sleep 0.2
	done
	printf 'memory: %s\n' "$(cat keeper.out)"
}

let_go_of_memory()
{
	[ -z "$keeper" ] || kill "$keeper" 2>/dev/null || true
	rm -f keeper.out
}
