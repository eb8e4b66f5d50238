# A ground truth that cannot be true: it counts from 1, is of other data or by another metric.
. "$(dirname "$0")/lib.sh"
make_data
make_index
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs -N 10 --quiet

# changed FILE AWK: gt.ivecs with each id (query q, rank i from 1) replaced by what AWK gives.
changed()
{
    od -An -v -tu4 -w44 gt.ivecs | awk '
        function word(v,   i) { for (i = 0; i < 4; i++) { printf "\\0%03o", v % 256; v = int(v / 256) } }
        { word($1); q = NR - 1; for (i = 1; i < NF; i++) { id = $(i + 1); word('"$2"') } }' >octal.txt
    printf '%b' "$(cat octal.txt)" >"$1"
}

changed same.ivecs id
ok 'changed changes nothing by itself' cmp same.ivecs gt.ivecs
for gt in gt.ivecs same.ivecs; do
    run 0 search -i small.nlsh -q query.fvecs --gt $gt
    run 0 compare small.nlsh -q query.fvecs --gt $gt
done
# From 1, with the last row's number in it and without.
changed last.ivecs 'q == 0 && i == 3 ? 600 : id + 1'
changed plus1.ivecs 'id + 1 < 600 ? id + 1 : 1'
for gt in last.ivecs plus1.ivecs; do
    for command in 'search -i small.nlsh' 'evaluate -i small.nlsh' 'compare small.nlsh'; do
        # shellcheck disable=SC2086
        run 65 $command -q query.fvecs --gt $gt
        has err $gt '1-based?'
    done
done
# Of other vectors, by another metric.
u8bin other.u8bin 600 16 3
run 0 groundtruth -d other.u8bin -q query.fvecs -o other.ivecs -N 10 --quiet
run 0 groundtruth -d base.fvecs -q query.fvecs -o ip.ivecs -N 10 --metric ip --quiet
for gt in other.ivecs ip.ivecs; do
    run 65 search -i small.nlsh -q query.fvecs --gt $gt
    has err $gt 'first neighbour is not among'
    lacks err '1-based'
    run 65 evaluate -i small.nlsh -q query.fvecs --gt $gt
    run 65 compare small.nlsh -q query.fvecs --gt $gt
done
# A graph file says its metric.
run 0 groundtruth -d base.fvecs -q query.fvecs -o ip.graph -N 10 --metric ip --quiet
run 65 search -i small.nlsh -q query.fvecs --gt ip.graph
has err 'metric ip'
# Right where a few queries are looked up (rows 0, 4, 8 ...), wrong elsewhere; right at rank 1 only.
changed some.ivecs 'q % 4 == 0 ? id : (id + 300) % 600'
run 65 search -i small.nlsh -q query.fvecs -T 8 --gt some.ivecs
has err 'some.ivecs' 'of 20 queries the search found a nearer vector'
run 65 compare small.nlsh -q query.fvecs -T 8 --gt some.ivecs
changed ranks.ivecs 'i == 1 ? id : (id + 300) % 600'
run 65 search -i small.nlsh -q query.fvecs -T 8 --gt ranks.ivecs -o r.txt
has err 'ranks.ivecs' 'cannot be below 1'
ok 'no results' test ! -e r.txt
no_leftovers
finish
