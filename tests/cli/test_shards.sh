# An index in shards: cut, searched in one process, with a part of it missing.
. "$(dirname "$0")/lib.sh"
make_data 2000
"$nlsh" build -d base.fvecs -i whole.nlsh -m 24 --epochs 3 --nodes 32 --partitioner kmeans --leaves 1 -q || exit 1

# One shard is the file itself, and others hold all of it together.
run 0 shard -i whole.nlsh -o one.shards --shards 1
ok 'one shard has the bytes of the index' cmp whole.nlsh one.shards.0.nlsh
run 0 shard -i whole.nlsh -o x.shards --shards 3 --json
has out '"vectors": 2000' '"file": "x.shards.2.nlsh"'
has err 'x.shards: 3 shards of 2,000 vectors'
for i in 0 1 2; do
    run 0 verify x.shards.$i.nlsh
    run 0 info x.shards.$i.nlsh
    has out "shard         $i of 3, of an index of 2,000 vectors"
done
no_leftovers
run 0 info x.shards
has out 'which names 3 shards' '2,000 x 16 in 24 buckets'
run 0 verify x.shards

# Results are the whole's, to the byte: of every setting, and every form that has no times.
for how in '--recall .5,.9,.99' '-T 1,2,24,0.1' '-T 3 -N 40 --cautious'; do
    # shellcheck disable=SC2086
    run 0 search -i whole.nlsh -q query.fvecs --format csv -o whole.csv $how
    for set in one x; do
        # shellcheck disable=SC2086
        run 0 search -i $set.shards -q query.fvecs --format csv -o $set.csv $how
        ok "$set.shards: $how" cmp whole.csv $set.csv
    done
done
has err '3 shards on 1 rank'
run 0 search -i x.shards -q query.fvecs --json -o x.txt
has out '"shards": {' '"missing": 0' '"buckets_not_searched": 0.0' '"imbalance": 1.'
lacks x.txt 'Buckets not searched'

# True neighbours from a file are those that would be found, and are looked at.
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs -N 20
seq 5000 2 8998 >keys.txt
run 0 search -i whole.nlsh -q query.fvecs --format csv -o whole.csv -T 2
run 0 search -i x.shards -q query.fvecs --format csv -o x.csv -T 2 --gt gt.ivecs
ok '--gt has the same rows and distances' cmp whole.csv x.csv
run 0 search -i x.shards -q query.fvecs --format csv -o x.csv -T 2 --gt gt.ivecs --memory codes
ok 'and so it has with vectors on the disk' cmp whole.csv x.csv
"$nlsh" build -d base.fvecs -i keyed.nlsh --keys keys.txt -m 24 --epochs 3 --nodes 32 --partitioner kmeans -q || exit 1
run 0 shard -i keyed.nlsh -o keyed.shards --shards 2
run 0 search -i keyed.nlsh -q query.fvecs --format csv -o whole_keyed.csv -T 2
run 0 search -i keyed.shards -q query.fvecs --format csv -o x.csv -T 2 --gt gt.ivecs
ok '--gt goes by row and answers by key' cmp whole_keyed.csv x.csv
run 0 search -i x.shards -q query.fvecs --gt gt.ivecs --json -T 2 -o x.txt
has out '"tTrueAverage": null'
run 0 groundtruth -d query.fvecs -q query.fvecs -o wrong.ivecs -N 10
run 65 search -i x.shards -q query.fvecs --gt wrong.ivecs -N 10 -o none.csv
has err 'wrong.ivecs: for '
ok 'no results beside a wrong truth' test ! -e none.csv
run 65 search -i x.shards -q query.fvecs --gt gt.ivecs -N 21
run 65 search -i x.shards -q base.fvecs --gt gt.ivecs
has err 'holds the neighbours of 20 queries'

run 65 evaluate -i x.shards -d base.fvecs -q query.fvecs
has err 'not an nlsh index but a manifest of shards'

# What a shard alone cannot do, and what shards cannot.
run 69 search -i x.shards.1.nlsh -q query.fvecs
has err 'x.shards.1.nlsh is shard 1 of 3' 'hint: search by the manifest'
run 69 add -i x.shards.1.nlsh -d query.fvecs
has err 'a change needs all of them'
run 69 shard -i x.shards.1.nlsh -o y.shards --shards 2
run 2 search -i x.shards -q query.fvecs -R 3
has err '-R does not go with an index in shards'
run 2 search -i whole.nlsh -q query.fvecs --partial
has err '--partial is for an index in shards'
run 2 shard -i whole.nlsh -o y.shards --shards 25
has err '25 shards of 24 buckets'
cp whole.nlsh changed.nlsh
run 0 add -i changed.nlsh -d query.fvecs
run 69 shard -i changed.nlsh -o y.shards --shards 2
has err 'run `nlsh compact` on it first'
ok 'nothing is left of what failed' test ! -e y.shards

OMPI_COMM_WORLD_SIZE=2
export OMPI_COMM_WORLD_SIZE
run 69 search -i x.shards -q query.fvecs
has err 'mpirun started 2 processes, and this nlsh was built without MPI'
unset OMPI_COMM_WORLD_SIZE

# A shard that is missing or damaged is an error, or left out and told.
mv x.shards.2.nlsh away
run 66 search -i x.shards -q query.fvecs -o none.csv
has err 'x.shards.2.nlsh'
ok 'no results of a part' test ! -e none.csv
run 0 search -i x.shards -q query.fvecs --partial --json -T 24 -o x.txt
has err '1 of 3 shards is missing: of the buckets that queries asked for'
has out '"missing": 1' '"buckets_not_searched": 0.'
lacks out '"buckets_not_searched": 0.0,'
has x.txt 'Buckets not searched: 0.'
run 0 search -i x.shards -q query.fvecs --partial --gt gt.ivecs --format csv -T 24 -o part.csv
ok 'neighbours of a missing shard are infinitely far' grep -q ',nearest,.*,inf$' part.csv
head -c 9000 away >x.shards.2.nlsh
run 65 search -i x.shards -q query.fvecs
has err 'x.shards.2.nlsh: cut short'
run 0 search -i x.shards -q query.fvecs --partial -T 24 -o y.txt
has y.txt 'Buckets not searched: 0.'
run 0 shard -i whole.nlsh -o y.shards --shards 2
cp y.shards.1.nlsh x.shards.2.nlsh
run 65 search -i x.shards -q query.fvecs
has err 'x.shards.2.nlsh is not the file that its manifest was written with'
run 65 verify x.shards
mv away x.shards.2.nlsh
echo '{"format": "nlsh shards", "version": 2}' >y.shards
run 69 search -i y.shards -q query.fvecs
has err 'a manifest of version 2, and this nlsh reads 1'
finish
