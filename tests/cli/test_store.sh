# Vectors that are kept as f16, as bf16, or as bytes with a scale: build, info, verify, search in every way, shards, what comes later, and what does not fit.
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

for kind in 'l2 f16' 'ip f16' 'cosine f16' 'l2 i8' 'ip i8' 'cosine i8' 'cosine bf16'; do
    metric=${kind% *} store=${kind#* }
    # shellcheck disable=SC2086
    run 0 build -d base.fvecs -i half.nlsh $settings --metric $metric --store $store --force
    has err "vectors are kept as $store: off by"
    run 0 verify half.nlsh
    run 0 info half.nlsh
    case $store in
    i8) kept='2,000 x 16 f32' bytes='32,000 bytes' ;;
    *) kept="2,000 x 16 $store" bytes='64,000 bytes' ;;
    esac
    has out "$kept" "store=$store" "$bytes"
    [ $store = i8 ] && has out 'kept as       bytes, each times 0.0'
    run 0 search -i half.nlsh -q query.fvecs --format csv -o plain.csv --recall .9,.99
    # what is asked of the base's own f32 finds them, and their true neighbours may be others than those of what is kept
    run 0 evaluate -d base.fvecs -i half.nlsh -q query.fvecs
    run 0 groundtruth -d base.fvecs -q query.fvecs -N 10 --metric $metric -o truth.ivecs
    run 0 search -i half.nlsh -q query.fvecs --gt truth.ivecs -k 10 --recall .9 -o other.csv --format csv
    for memory in codes all; do
        run 0 search -i half.nlsh -q query.fvecs --format csv -o other.csv --recall .9,.99 --memory $memory
        ok "--memory $memory, $kind" cmp plain.csv other.csv
    done
    rm -f half.shards*
    run 0 shard -i half.nlsh -o half.shards --shards 3
    for i in 0 1 2; do run 0 verify half.shards.$i.nlsh; done
    run 0 search -i half.shards -q query.fvecs --format csv -o other.csv --recall .9,.99
    # but for the true distances: with cosine those of one file are of rows brought to length 1 again
    cut -d, -f1-6 plain.csv >keys
    cut -d, -f1-6 other.csv >other_keys
    ok "shards, $kind" cmp keys other_keys
    # the same keys, whatever the instructions; distances differ by rounding only
    for cpu in scalar avx2; do
        NLSH_CPU=$cpu "$nlsh" search -i half.nlsh -q query.fvecs --format csv -o other.csv --recall .99999 2>err ||
            continue # not on this machine
        run 0 search -i half.nlsh -q query.fvecs --format csv -o exact.csv --recall .99999
        cut -d, -f1,4 exact.csv | sort >keys
        cut -d, -f1,4 other.csv | sort >other_keys
        ok "$cpu, $kind" cmp keys other_keys
    done
    run 0 add -i half.nlsh -d more.fvecs --keys more.keys
    has err 'rounded to that'
    run 0 delete -i half.nlsh 17 18
    run 0 verify half.nlsh
    run 0 search -i half.nlsh -q query.fvecs --format csv -o plain.csv --recall .99999
    run 0 compact -i half.nlsh
    run 0 verify half.nlsh
    run 0 info half.nlsh
    has out "2,048${kept#2,000}"
    run 0 search -i half.nlsh -q query.fvecs --format csv -o other.csv --recall .99999
    ok "compacted, $kind" cmp plain.csv other.csv
done

echo '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 70000.5' >>more.txt
"$nlsh" convert more.txt large.fvecs -q
run 65 build -d large.fvecs -i no.nlsh -m 4 --store f16
has err 'row 50, column 15 is 70000.5' 'the largest that f16 holds is 65504' 'store f32'
# all are at most 6; this one goes on far beyond, in one value
run 0 build -d base.fvecs -i half.nlsh -m 4 --epochs 1 --store i8 --force
run 2 add -i half.nlsh -d large.fvecs
has err 'vector 50: value 15 is 70000.5' 'bytes with the scale' 'build anew'
run 0 create -i empty.nlsh --dim 16 --stores bf16
run 0 add -i empty.nlsh -d more.fvecs
has err 'keeps floats as bf16'
run 2 build -d base.fvecs -i no.nlsh --store f17
has err '{auto,f16,f32,bf16,i8}'
finish
