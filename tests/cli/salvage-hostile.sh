# What is made to cost time or memory costs little: time grows with the size of the archive only.
# long: large archives, made for it
. "$(dirname "$0")/lib.sh"

need_python xxhash zstandard
ulimit -c 0
for kind in $("$PYTHON" "$CLI/hostile.py"); do
	"$PYTHON" "$CLI/hostile.py" "$kind" 8 hostile
	code=0
	"$PYTHON" "$CLI/measure.py" --processor 30 --memory 64 "$VMABAK" salvage --no-sync hostile \
		-C out >"$out" 2>"$err" || code=$?
	case $kind,$code in
	heads,4 | no_head,4 | frames_in_frames,4 | runs,0 | payloads,5 | frames,5 | magics,5 | vma_*,5) ;;
	*) fail "$kind: exit code $code: $(head -c 1000 "$err")" ;;
	esac
	rm -rf out
done
