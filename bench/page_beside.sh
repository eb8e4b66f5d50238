#!/bin/sh
# page_beside.sh WORK NOTES [DOCS] - ours beside other libraries, sections of a page on standard output: goals, NOTES as it
# is, queries a second, latency and memory. The plots of DOCS/plots, where DOCS is given.
set -eu
kept=$1 notes=$2 docs=${3:-}
# shellcheck source=page_rows.sh
. "$(dirname "$0")/page_rows.sh"
[ -s "$rows" ] || exit 0
cat <<END

## What it must show

Queries a second at a recall@k of at least .90, .95 and .99: ours over the fastest of all peers, in one process
(bench/peers/compare.c), the fastest of the rounds; bold where the goal is reached. single: one query
a call, pinned to a core; batch1: all queries in one call, pinned; batch2: two threads. Ours has default
settings; each peer is shown at the best of its own grid of indexes and settings. LoRANN, SymphonyQG, glass,
hnswlib 0.8 and faiss 1.15 are not Debian's: they were built outside the project, for the instruction set that
their version names, and joined as bench/peers/peer.h says. An index that was built for one instruction set serves all,
and its building time stands for all.
END
for run in $runs; do
    use "$run"
    # Goals: with AVX2, and with more.
    case $cap in
    avx2) images='2 3' sift='1.5 2' floats='2 2' many=1.5 building=0.3333 ;;
    *) images='3 4' sift='2.5 3' floats='2.5 2.5' many=2 building=0.1667 ;;
    esac
    cat <<END

### $how

| data | asked | k | .90 | .95 | .99 |
|---|---|---|---|---|---|
END
    goal single 10 "$peers" "${images% *}" fashion-mnist mnist
    goal single 10 "$peers" "${sift% *}" sift1m
    goal single 10 "$peers" "${floats% *}" glove100 use512
    for mode_ in batch1 batch2; do
        goal $mode_ 10 "$peers" "${images#* }" fashion-mnist mnist
        goal $mode_ 10 "$peers" "${sift#* }" sift1m
        goal $mode_ 10 "$peers" "${floats#* }" glove100 use512
    done
    goal single 100 "$peers" "$many" fashion-mnist mnist sift1m glove100 use512
    cat <<END

| at recall@10 .95, single: p99, us | ours | SymphonyQG | ratio | goal |
|---|---|---|---|---|
END
    for s in $sets; do
        less "$s" "$(fastest 10 "$s" single 10 0.95 "$ours")" \
            "$(fastest 10 "$s" single 10 0.95 '^SymphonyQG$')" 1
    done
    cat <<END

| building, processor seconds | ours | SymphonyQG | ratio | goal |
|---|---|---|---|---|
END
    for s in fashion-mnist mnist sift1m glove100 use512; do
        is_here "$s" || continue
        less "$s" "$(fastest 11 "$s" single 10 0 "$ours")" "$(fastest 11 "$s" single 10 0 '^SymphonyQG$')" $building
    done
    if is_here sift1m; then
        printf '\nIndex of SIFT-1M: ours %s MB (goal: below 300), SymphonyQG %s MB.\n' \
            "$(number "$(fastest 12 sift1m single 10 0.95 "$ours")")" \
            "$(number "$(fastest 12 sift1m single 10 0.95 '^SymphonyQG$')")"
    fi
done
cat <<END

## What bounds the cells that are not reached

END
cat "$notes"
cat <<END

## Queries a second

recall@10. A version that names its instruction set was built for it.
END
for run in $runs; do
    use "$run"
    asked=$(for mode in single batch1 batch2; do grep -q ",$mode," "$rows" && echo $mode; done || true)
    printf '\n### %s\n\n| data | method |%s\n|---|---|%s\n' "$how" \
        "$(for mode in $asked; do printf ' %s .90 | .95 | .99 |' $mode; done)" \
        "$(for mode in $asked; do printf -- '---|---|---|'; done)"
    for s in $sets; do
        { methods_of "$s" && awk -F, -v d="$s" '$1 == d && $2 == "exact scan" { print "exact scan,."; exit }' "$rows"; } | while IFS=, read -r m v; do
            shown="$m $v"
            if [ "$m" = 'exact scan' ]; then shown='exact scan, ours'; fi
            named "$m" "$v"
            printf '| %s | %s |' "$s" "$shown"
            for mode in $asked; do
                for r in 0.90 0.95 0.99; do
                    printf ' %s |' "$(number "$(fastest 8 "$s" "$mode" 10 "$r" "$name" "$pattern")")"
                done
            done
            echo
        done
    done
    drawn=$(for s in $sets; do
        for mode in $asked; do
            plot=plots/${cap:+$cap-}$s-$mode.svg
            if [ -e "$docs/$plot" ]; then printf '\n![%s, %s](%s)' "$s" "$mode" "$plot"; fi
        done
    done)
    if [ -n "$drawn" ]; then echo "$drawn"; fi
    for k in $(awk -F, '$6 != 10 && NR > 1 && !seen[$6]++ { print $6 }' "$rows"); do
        cat <<END

recall@$k, single:

| data | method | .90 | .95 | .99 |
|---|---|---|---|---|
END
        for s in $sets; do
            methods_of "$s" | while IFS=, read -r m v; do
                named "$m" "$v"
                printf '| %s | %s |' "$s" "$m $v"
                for r in 0.90 0.95 0.99; do
                    printf ' %s |' "$(number "$(fastest 8 "$s" single "$k" "$r" "$name" "$pattern")")"
                done
                echo
            done
        done
    done
done
cat <<END

## Latency, memory, building

At the fastest setting with recall@10 of .95 or more, single. Build: seconds of processor time on
one core (ours: over both; the graph included where the table of building has it). Index: its file;
resident: how much more of memory the process held after it had been searched.
END
for run in $runs; do
    use "$run"
    cat <<END

### $how

| data | method | setting | p50 us | p95 us | p99 us | candidates | index MB | resident MB | build s |
|---|---|---|---|---|---|---|---|---|---|
END
    for s in $sets; do
        methods_of "$s" | while IFS=, read -r m v; do
            named "$m" "$v"
            one() { file=$2 fastest "$1" "$s" single 10 0.95 "$name" "$pattern"; }
            printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$s" "$m $v" \
                "$(one 5 "$rows")" "$(one 9 "$work/$s.costs.csv")" "$(one 10 "$work/$s.costs.csv")" \
                "$(one 11 "$work/$s.costs.csv")" "$(number "$(one 9 "$rows")")" \
                "$(number "$(one 12 "$rows")")" "$(one 12 "$work/$s.costs.csv")" "$(one 11 "$rows")"
        done
    done
done
