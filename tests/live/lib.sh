# For tests of live backup: dependent writers and their judge. After tests/cli/lib.sh; the drives are
# A and B, the files A.raw and B.raw, the sockets A.sock and B.sock unless $uri_A and $uri_B say otherwise.
: "${LIVE_TOOLS:=$SRC/build/release}"
export LIVE_TOOLS

need_live_tools()
{
	need_feature libnbd
	for lib_program in writers replay-check; do
		[ -x "$LIVE_TOOLS/$lib_program" ] || fail "no $LIVE_TOOLS/$lib_program: run make live-tools"
	done
}

# make_drives BYTES-OF-A BYTES-OF-B: half random, half holes, and copies A.initial and B.initial.
make_drives()
{
	lib_seed=1
	for lib_name in A B; do
		make_random $lib_name.raw $(($1 / 2)) $lib_seed
		truncate -s "$1" $lib_name.raw
		cp --sparse=always $lib_name.raw $lib_name.initial
		lib_seed=2
		[ $# = 1 ] || shift
	done
}

# start_writers OPTION...: $writers is their process; they have begun when it returns.
start_writers()
{
	"$LIVE_TOOLS/writers" "$@" "${uri_A:-nbd+unix:///?socket=A.sock}" \
		"${uri_B:-nbd+unix:///?socket=B.sock}" >writers.out 2>writers.err &
	writers=$!
	on_exit "kill -9 $writers 2>/dev/null"
	wait_until writers_began
}

writers_began()
{
	grep -q ready writers.out 2>/dev/null && return
	kill -0 $writers 2>/dev/null || fail "the writers ended: $(cat writers.err)"
	return 1
}

# They must not have seen an error. writers.out is what they tell, as JSON.
stop_writers()
{
	kill $writers
	lib_code=0
	wait $writers || lib_code=$?
	[ $lib_code = 0 ] || fail "writers: exit code $lib_code: $(cat writers.err)"
	sed -i 1d writers.out
}

# judge IMAGE-A IMAGE-B...: whether they are what the writers had written at one instant.
judge()
{
	"$LIVE_TOOLS/replay-check" A.initial B.initial -- "$@" >judgement
}

# ---- vmabak serve ----

# start_serve [OPTION]... NAME=DRIVE...: $serve is the process, control and nbd.sock its sockets.
start_serve()
{
	rm -f control
	"$VMABAK" serve --control control --nbd unix:nbd.sock "$@" >serve.out 2>serve.err &
	serve=$!
	on_exit "kill -9 $serve 2>/dev/null"
	wait_until serve_began
	uri_A='nbd+unix:///A?socket=nbd.sock'
	uri_B='nbd+unix:///B?socket=nbd.sock'
}

serve_began()
{
	[ -S control ] && return
	kill -0 $serve 2>/dev/null || fail "serve ended: $(cat serve.err)"
	return 1
}

# A client that has just been killed may be counted for a moment.
stop_serve()
{
	wait_until "$VMABAK" stop control
	ended_with 0 $serve
}

# back_up_live ARCHIVE [OPTION]...: and restores it to A.out and B.out.
back_up_live()
{
	lib_archive=$1
	shift
	case $lib_archive in
	*.pipe)
		"$VMABAK" backup -q serve:control "$@" -o - 2>"$err" >"$lib_archive" || fail "backup: $(cat "$err")"
		;;
	*)
		expect_code 0 "$VMABAK" backup -q --no-sync serve:control --json "$@" -o "$lib_archive"
		cp "$out" backup.json
		;;
	esac
	expect_code 0 "$VMABAK" restore -q --no-sync --force "$lib_archive" -d A=A.out -d B=B.out
	rm "$lib_archive"
}

# start_judge: one judge that follows from backup to backup, so that it need not begin anew each time.
start_judge()
{
	rm -f ask
	mkfifo ask
	"$LIVE_TOOLS/replay-check" A.initial B.initial -- - <ask >answers 2>&1 &
	judge=$!
	on_exit "kill $judge 2>/dev/null"
	exec 3>ask
	n_asked=0
}

# ask_judge IMAGE-A IMAGE-B: which may go away then.
ask_judge()
{
	echo "$1 $2" >&3
	n_asked=$((n_asked + 1))
	wait_until judge_answered
	case $(tail -n 1 answers) in ok*) ;; *) fail "backup $n_asked: $(tail -n 1 answers)" ;; esac
}

judge_answered()
{
	[ "$(grep -c '^ok\|^FAILED' answers)" -ge $n_asked ] && return
	kill -0 $judge 2>/dev/null || fail "the judge ended: $(cat answers)"
	return 1
}

# live_backups N: of A and B, one after the other, in all the ways there are; each must be an instant.
live_backups()
{
	lib_n=0
	while [ $lib_n -lt "$1" ]; do
		case $((lib_n % 6)) in
		0) back_up_live out.vmab ;;
		1) back_up_live out.pipe --compress none ;;
		2) back_up_live out.vmab --buffer 16M --threads 1 ;;
		3) back_up_live out.vma ;;
		4)
			back_up_live out.vmab --compress none --buffer 16M --rate 20M
			mv backup.json slow.json # of these clusters wait in the scratch file
			;;
		5) back_up_live out.vma.zst --threads 4 ;;
		esac
		ask_judge A.out B.out
		lib_n=$((lib_n + 1))
	done
}
