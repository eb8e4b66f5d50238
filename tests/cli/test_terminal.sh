# What a terminal would obey never reaches it: control characters in names, flags and files.
. "$(dirname "$0")/lib.sh"
make_data
make_index

# ESC, BEL, DEL, a C1 byte, C1 as UTF-8; and what must stay: UTF-8 of 2 to 4 bytes.
evil=$(printf 'a\033]0;x\007b\177c\233d\302\233e')
good=$(printf 'n\303\251\342\202\254\360\237\214\215')

# clean FILE...: no control character in them, also none as UTF-8.
clean()
{
    for file; do
        checks=$((checks + 1))
        bytes=$(od -An -v -tx1 "$file" | tr -d '\n')
        case $bytes in
        *' 1b'* | *' 07'* | *' 7f'* | *' c2 9b'*) fail "$file: control characters" ;;
        esac
        # A C1 byte that is no part of a character would stand behind "c" here.
        case $bytes in *' 63 9b'*) fail "$file: a C1 byte" ;; esac
    done
}

cp small.nlsh "$evil.nlsh" && cp small.nlsh "$good.nlsh"
run 66 info "$evil"
clean out err
has err 'a?]0;x?b?c?d?e'
run 66 info "$good"
has err "$good"
run 2 "$evil"
clean err
run 2 build "--$evil"
clean err
run 2 build -d base.fvecs -i x -type "$evil"
clean err
run 2 build -d base.fvecs -i x.nlsh --labels "$evil"
clean err
run 0 info "$evil.nlsh"
clean out
run 0 info "$good.nlsh"
has out "$good.nlsh"
run 0 verify "$evil.nlsh"
clean out err
run 0 compare "$evil.nlsh" "$good.nlsh" -q query.fvecs --progress always
clean out err
has out "$good: "
run 0 bench -d base.fvecs -q query.fvecs -i "$evil.nlsh" -T 1 --methods nlsh --seconds 0.01
clean out err
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i "$evil.nlsh" -m 8 --epochs 1 --nodes 8 --partitioner kmeans
clean out err
run 65 search -i small.nlsh -q query.fvecs --gt "$evil.nlsh"
clean err
run 66 info "$evil" --quiet
clean err
run 66 build -d "$evil" -i x.nlsh --progress json
clean err

# Settings of a strange index: its own text with an escape in it. Info does not look at checksums.
offset=$(grep -abo '"kmeans"' small.nlsh | head -n 1 | cut -d : -f 1)
cp small.nlsh strange.nlsh
printf '"\302\233eans"' | dd of=strange.nlsh bs=1 seek="$offset" conv=notrunc 2>/dev/null
run 0 info strange.nlsh
clean out
has out '?eans'
printf '"\033[2J1"' | dd of=strange.nlsh bs=1 seek="$offset" conv=notrunc 2>/dev/null
for as in '' --json; do
    # shellcheck disable=SC2086
    run 65 info strange.nlsh $as # JSON has no raw escapes: this is no longer an object
    has err 'strange.nlsh: its settings cannot be read'
    clean out err
done
no_leftovers
finish
