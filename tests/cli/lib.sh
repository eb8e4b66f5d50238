# lib.sh - what the command-line tests share. A test sources it, then makes checks, then calls
# finish. $nlsh is the command; the work happens in a directory of its own, which goes at the end.

nlsh=$1
case $nlsh in
    /*) ;;
    *) nlsh=$PWD/$nlsh ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/nlsh-cli.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
export NLSH_CACHE="$work/cache" LC_ALL=C
unset NO_COLOR NLSH_CPU
failures=0 checks=0

fail()
{
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*" >&2
}

# run CODE ARGUMENT...: runs nlsh into the files out and err and compares its exit code.
run()
{
    wanted=$1
    shift
    "$nlsh" "$@" >out 2>err </dev/null
    code=$?
    checks=$((checks + 1))
    if [ $code -ne "$wanted" ]; then
        fail "nlsh $*: exit code $code, not $wanted"
        sed 's/^/    /' out err | head -20 >&2
    fi
}

# has FILE TEXT...: each text stands in the file.
has()
{
    file=$1
    shift
    for text; do
        checks=$((checks + 1))
        grep -qF -e "$text" "$file" && continue
        fail "$file lacks: $text"
        head -20 "$file" | sed 's/^/    /' >&2
    done
}

lacks()
{
    checks=$((checks + 1))
    if grep -qF -e "$2" "$1"; then fail "$1 has: $2"; fi
}

# ok WHAT COMMAND...: the command succeeds.
ok()
{
    what=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$what"
}

# with_python WHAT ARGUMENT...: python3 succeeds, where there is one: a bare machine has none.
with_python()
{
    if ! command -v python3 >/dev/null; then return; fi
    what=$1
    shift
    ok "$what" python3 "$@"
}

# same FILE NAME: the file is the expected output of that name. NLSH_ACCEPT=1 writes it anew.
same()
{
    checks=$((checks + 1))
    if [ -n "$NLSH_ACCEPT" ]; then cp "$1" "$here/expected/$2"; fi
    diff -u "$here/expected/$2" "$1" >&2 || fail "not as expected/$2"
}

# No temporary file is left in the work directory.
no_leftovers()
{
    checks=$((checks + 1))
    left=$(find . -name '*.tmp*')
    [ -z "$left" ] || fail "left behind: $left"
}

# u8bin FILE ROWS DIM SEED: rows around a few centres, always the same for a seed.
u8bin()
{
    awk -v n="$2" -v dim="$3" -v seed="$4" '
        function next_random() { state = (state * 16807) % 2147483647; return state / 2147483647 }
        function byte(v) { printf "\\0%03o", v }
        function word(v,   i) { for (i = 0; i < 4; i++) { byte(v % 256); v = int(v / 256) } }
        BEGIN {
            state = 4711
            for (c = 0; c < 12; c++)
                for (d = 0; d < dim; d++) centre[c, d] = int(40 + next_random() * 160)
            state = seed * 7919 + 1
            word(n); word(dim)
            for (i = 0; i < n; i++) {
                c = int(next_random() * 12)
                for (d = 0; d < dim; d++) byte(int(centre[c, d] + next_random() * 40))
            }
        }' >octal.txt
    printf '%b' "$(cat octal.txt)" >"$1"
    rm octal.txt
}

# make_data [ROWS]: base.fvecs of so many rows (600) and query.fvecs, small.
make_data()
{
    u8bin base.u8bin "${1:-600}" 16 1
    u8bin query.u8bin 20 16 2
    "$nlsh" convert base.u8bin base.fvecs -q && "$nlsh" convert query.u8bin query.fvecs -q || exit 1
}

# zst FILE: FILE.zst, a zstd frame of one block as it stands; less than 128 KiB.
zst()
{
    wc -c <"$1" | awk '
        function bytes(v, n) { for (; n > 0; n--) { printf "\\0%03o", v % 256; v = int(v / 256) } }
        { printf "\\0050\\0265\\0057\\0375\\0240"; bytes($1, 4); bytes($1 * 8 + 1, 3) }' >octal.txt
    { printf '%b' "$(cat octal.txt)"; cat "$1"; } >"$1.zst"
    rm octal.txt
}

# small.nlsh from them, in a moment.
make_index()
{
    "$nlsh" build -d base.fvecs -i small.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans -q || exit 1
}

finish()
{
    printf '%d checks, %d failed\n' "$checks" "$failures"
    [ "$failures" -eq 0 ]
    exit
}
