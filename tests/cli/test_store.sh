# Vectors that are kept as f16: build, info, verify, search in every way, shards, what comes later, and what does not fit.
. "$(dirname "$0")/lib.sh"

# floats FILE ROWS SEED: rows of 16 values around 40 centres, as text.
floats()
{
    awk -v n="$2" -v seed="$3" 'BEGIN {
        srand(7); for (i = 0; i < 640; i++) centre[i] = rand() * 8 - 4
        srand(seed)
        for (i = 0; i < n; i++) {
            c = int(rand() * 40) * 16
            for (d = 0; d < 16; d++) printf "%s%.6f", d ? " " : "", centre[c + d] + rand() + rand()
            print ""
        }
    }' >"$1"
}
floats base.txt 2000 1
floats query.txt 30 2
floats more.txt 50 3
for set in base query more; do "$nlsh" convert $set.txt $set.fvecs -q || exit 1; done
seq 5000 5049 >more.keys
settings='-m 16 --epochs 3 --nodes 32 --partitioner kmeans --leaves 1'

for metric in l2 ip cosine; do
    # shellcheck disable=SC2086
    run 0 build -d base.fvecs -i half.nlsh $settings --metric $metric --store f16 --force
    has err 'vectors are kept as f16: off by'
    run 0 verify half.nlsh
    run 0 info half.nlsh
    has out '2,000 x 16 f16' 'store=f16' '64,000 bytes'
    run 0 search -i half.nlsh -q query.fvecs --format csv -o plain.csv --recall .9,.99
    # what is asked of the base's own f32 finds them
    run 0 evaluate -d base.fvecs -i half.nlsh -q query.fvecs
    for memory in codes all; do
        run 0 search -i half.nlsh -q query.fvecs --format csv -o other.csv --recall .9,.99 --memory $memory
        ok "--memory $memory, $metric" cmp plain.csv other.csv
    done
    rm -f half.shards*
    run 0 shard -i half.nlsh -o half.shards --shards 3
    for i in 0 1 2; do run 0 verify half.shards.$i.nlsh; done
    run 0 search -i half.shards -q query.fvecs --format csv -o other.csv --recall .9,.99
    # but for the true distances: with cosine those of one file are of rows brought to length 1 again
    cut -d, -f1-6 plain.csv >keys
    cut -d, -f1-6 other.csv >other_keys
    ok "shards, $metric" cmp keys other_keys
    # the same keys, whatever the instructions; distances differ by rounding only
    for cpu in scalar avx2; do
        NLSH_CPU=$cpu "$nlsh" search -i half.nlsh -q query.fvecs --format csv -o other.csv --recall .99999 2>err ||
            continue # not on this machine
        run 0 search -i half.nlsh -q query.fvecs --format csv -o exact.csv --recall .99999
        cut -d, -f1,4 exact.csv | sort >keys
        cut -d, -f1,4 other.csv | sort >other_keys
        ok "$cpu, $metric" cmp keys other_keys
    done
    run 0 add -i half.nlsh -d more.fvecs --keys more.keys
    has err 'rounded to that'
    run 0 delete -i half.nlsh 17 18
    run 0 verify half.nlsh
    run 0 search -i half.nlsh -q query.fvecs --format csv -o plain.csv --recall .99999
    run 0 compact -i half.nlsh
    run 0 verify half.nlsh
    run 0 info half.nlsh
    has out '2,048 x 16 f16'
    run 0 search -i half.nlsh -q query.fvecs --format csv -o other.csv --recall .99999
    ok "compacted, $metric" cmp plain.csv other.csv
done

echo '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 70000.5' >>more.txt
"$nlsh" convert more.txt large.fvecs -q
run 65 build -d large.fvecs -i no.nlsh -m 4 --store f16
has err 'row 50, column 15 is 70000.5' 'the largest that f16 holds is 65504' 'store f32'
run 2 build -d base.fvecs -i no.nlsh --store f17
has err '{auto,f16,f32}'
finish
