# Builds that are killed at any moment, by SIGKILL and SIGTERM: what was to be replaced is whole, old or new;
# the next build clears up and gives the bytes that it would have given. NLSH_KILLS says how many (100),
# NLSH_TEST_SEED when.
. "$(dirname "$0")/lib.sh"
kills=${NLSH_KILLS:-100} seed=${NLSH_TEST_SEED:-1}
echo "$kills kills, seed $seed"
make_data
cat >settings.json <<END
{"m": 8, "epochs": 2, "nodes": 16, "partitioner": "kmeans"}
END

build()
{
    "$nlsh" build -d base.fvecs -i x.nlsh --config settings.json --threads 1 -q "$@" >out 2>err </dev/null
}

# The two indexes that may be there, and how long a build takes, in milliseconds.
ok 'the old index' build --epochs 1
mv x.nlsh old.nlsh
rm -rf cache
begin=$(date +%s%N)
ok 'the new index' build
took=$((($(date +%s%N) - begin) / 1000000))
mv x.nlsh new.nlsh
ok 'they differ' sh -c '! cmp -s old.nlsh new.nlsh'

# A line for each: the signal, when (in seconds, or once the index is being written), whether an old index is
# there (1) or none (0), and what follows: another kill, a build from what the cache holds (build), or one
# without a cache (fresh).
awk -v n="$kills" -v seed="$seed" -v ms="$took" 'BEGIN {
    srand(seed)
    for (i = 0; i < n; i++) {
        signal = rand() < .6 ? "KILL" : "TERM"
        when = rand() < .25 ? "writing" : sprintf("%.4f", rand() * ms / 1000)
        if (i == 1) when = 5 * ms / 1000 # one is done before that, however busy the machine is
        next_one = i % 4 < 3 && i < n - 1 ? "kill" : rand() < .7 ? "build" : "fresh"
        print signal, when, int(i / 4) % 2, next_one
    }
}' >plan

# killed SIGNAL WHEN: a build that gets the signal then; its exit code is in $code. A process that has ended
# but was not waited for has no exe.
killed()
{
    "$nlsh" build -d base.fvecs -i x.nlsh --config settings.json --threads 1 -q >out 2>err </dev/null &
    pid=$!
    if [ "$2" = writing ]; then
        while [ ! -s ".x.nlsh.nlsh-$pid-0.tmp" ] && [ -e /proc/$pid/exe ]; do :; done
    else
        sleep "$2"
    fi
    kill -s "$1" $pid 2>/dev/null
    { wait $pid; } 2>/dev/null # the shell would say how it ended
    code=$?
}

temporaries()
{
    find . -name '*.tmp*' | wc -l
}

# What lies at x.nlsh after a kill, whatever lay there before.
look()
{
    found=torn
    if [ ! -e x.nlsh ]; then
        found=none
    elif cmp -s x.nlsh old.nlsh; then
        found=old
    elif cmp -s x.nlsh new.nlsh; then
        found=new
    fi
}

in_time=0 none=0 old=0 new=0 n_left=0 built=0
while read -r signal when has_old next; do
    rm -f x.nlsh
    if [ "$has_old" -eq 1 ]; then cp old.nlsh x.nlsh; fi
    look
    before=$found n_before=$(temporaries)
    killed "$signal" "$when"
    look
    n=$(temporaries)
    case $signal:$code in
        KILL:137 | TERM:143) in_time=$((in_time + 1)) ;;
        *:0) ok "$signal at $when: done, but the index is $found" test $found = new ;;
        *) fail "$signal at $when: exit code $code" ;;
    esac
    ok "$signal at $when: $before became $found" test $found = $before -o $found = new
    ok "$signal at $when: $n temporary files" test "$n" -le 1
    if [ $code -eq 143 ]; then ok "SIGTERM at $when: it leaves no file" test "$n" -le "$n_before"; fi
    eval "$found=\$(($found + 1))"
    n_left=$((n_left + n))
    if [ "$next" = kill ]; then continue; fi
    if [ "$next" = fresh ]; then rm -rf cache; fi
    ok 'the next build' build
    ok "the next build ($next) gives the same bytes" cmp x.nlsh new.nlsh
    no_leftovers
    if [ $((built % 8)) -eq 0 ]; then run 0 verify x.nlsh; fi
    rm -rf cache
    built=$((built + 1))
done <plan
echo "$in_time killed in time; then there was no index $none times, the old one $old, the new one $new;" \
    "$n_left temporary files, $built whole builds of $took ms"

# METIS runs in a process of its own, after the neighbours are known.
u8bin many.u8bin 3000 8 1
for stop in TERM:143 INT:130 KILL:137; do
    : >err # else the last build's is read before this one's is there
    env --default-signal=INT "$nlsh" build -d many.u8bin -i y.nlsh -m 300 --epochs 1 --partitioner metis --no-cache \
        --threads 1 --progress json >out 2>err </dev/null &
    pid=$!
    while ! grep -q '"graph partition"' err && [ -e /proc/$pid/exe ]; do sleep 0.01; done
    kill -${stop%:*} $pid
    { wait $pid; } 2>/dev/null
    code=$?
    ok "SIG${stop%:*} while METIS runs: exit code $code" test $code -eq ${stop#*:}
    ok 'no index of METIS' test ! -e y.nlsh
    if [ $stop != KILL:137 ]; then has err 'interrupted'; fi
done
sleep 0.2
ok 'no METIS goes on' test -z "$(grep -ls "many[.]u8bin" /proc/[0-9]*/cmdline)"

ok 'most were killed before they were done' test $((in_time * 3)) -gt "$kills"
ok 'an old index stayed' test $old -gt 0
ok 'builds were done too' test $new -gt 0
ok 'some were killed as they wrote the index' test $n_left -gt 0
finish
