# Help, man page and completion: they render, agree with each other and fit a terminal.
. "$(dirname "$0")/lib.sh"
verbs='build search graph groundtruth info verify evaluate calibrate create add delete compact cache convert compare bench report shard sqlite serve help version'

run 0 help
same out overview.txt
run 0 --help
same out overview.txt
run 2
has err 'Commands'
ok 'no data on stdout without a command' test ! -s out

"$nlsh" help --man >nlsh.1 || fail 'help --man'
"$nlsh" help --completion >nlsh.bash || fail 'help --completion'
for verb in $verbs; do
    run 0 "$verb" --help
    cp out "help.$verb"
    ok "examples come first in $verb --help" test "$(sed -n 3p out)" = Examples
    has out "nlsh $verb" Usage --help
    ok "stderr of $verb --help is empty" test ! -s err
    ok "$verb --help fits 80 columns" awk 'length > 80 { bad = 1; print } END { exit bad }' out
    run 0 "$verb" -h
    cmp -s out "help.$verb" || fail "$verb -h differs from --help"
    run 0 help "$verb"
    cmp -s out "help.$verb" || fail "help $verb differs from $verb --help"
    # Every flag in help is in the man page and in the completion.
    # (--help is said once for all.)
    for flag in $(sed -n 's/^  \(-[-a-zA-Z_]*\).*/\1/p' "help.$verb"); do
        [ "$flag" != -h ] || continue
        has nlsh.1 "$(printf '%s' "$flag" | sed 's/-/\\-/g')"
        has nlsh.bash "$flag"
    done
done
has help.search '-N N' '-T T' '-range {true,false}' '[0.95]'
has help.build '--kahip_mode' '--label_knn' '--config FILE' '--dry-run'
# The examples are commands that the parser takes: no usage error.
grep -h '^  nlsh build' help.build | grep -v -e '\\$' -e '\[flags' | while read -r line; do
    # shellcheck disable=SC2086
    set -- $line
    shift
    "$nlsh" "$@" >/dev/null 2>err
    code=$?
    if [ $code -ne 66 ]; then echo "$line: code $code" >>bad_examples; fi
done
ok 'examples parse' test ! -e bad_examples

if command -v mandoc >/dev/null; then
    mandoc -Tlint nlsh.1 >lint 2>&1 || true
    ok 'mandoc has no complaint above style' sh -c '! grep -v STYLE lint'
    # Bold is written as a letter, a backspace and the letter again.
    mandoc -Tascii nlsh.1 2>/dev/null | sed "s/.$(printf '\b')//g" >page
    has page 'EXIT STATUS'
fi
if command -v bash >/dev/null; then
    ok 'completion is valid bash' bash -n nlsh.bash
    complete_as()
    {
        bash -c '. ./nlsh.bash; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nlsh
            echo "${COMPREPLY[*]}"' bash "$@"
    }
    ok 'verbs complete' test "$(complete_as nlsh ev)" = evaluate
    ok 'flags complete' test "$(complete_as nlsh build --imb)" = --imbalance
    ok 'choices complete' test "$(complete_as nlsh build --labels s)" = soft
    ok 'words complete' test "$(complete_as nlsh cache c)" = clear
    ok 'the one-dash spelling completes' test "$(complete_as nlsh search -ty)" = -type
    ok 'a second name completes' test "$(complete_as nlsh search -k)" = -k
    ok 'commands complete behind help' test "$(complete_as nlsh help ev)" = evaluate
fi
# Of zsh and fish, too; every flag of help is in both.
run 0 help --completion zsh
cp out nlsh.zsh
run 0 help --completion fish
cp out nlsh.fish
run 2 help --completion tcsh
has err 'no completion for tcsh' 'bash, zsh and fish'
for flag in $(sed -n 's/^  -[-a-zA-Z_]*, \(-[-a-zA-Z_]*\).*/\1/p; s/^  \(-[-a-zA-Z_]*\).*/\1/p' "help.search"); do
    has nlsh.zsh "'$flag["
    name=${flag#-}
    has nlsh.fish " ${name#-}"
done
if command -v zsh >/dev/null; then
    ok 'completion is valid zsh' zsh -n nlsh.zsh
fi
if command -v fish >/dev/null; then
    fish_completes()
    {
        HOME=$work fish -c "source nlsh.fish; complete -C '$1'" | sed 's/\t.*//'
    }
    ok 'fish: verbs complete' test "$(fish_completes 'nlsh ev')" = evaluate
    ok 'fish: choices complete' test "$(fish_completes 'nlsh build --labels s')" = soft
    ok 'fish: the one-dash spelling completes' test "$(fish_completes 'nlsh search -ty')" = -type
fi
# Bold headings on a terminal only, unless --color says otherwise.
bold=$(printf '\033[1m')
for line in 'help search' 'search --help'; do
    # shellcheck disable=SC2086
    run 0 $line
    lacks out "$bold"
    # shellcheck disable=SC2086
    run 0 $line --color always
    has out "${bold}Usage"
done
NO_COLOR=1 run 0 help search --color=always
has out "${bold}Usage"
finish
