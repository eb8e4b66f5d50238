# Files of other programs: the hint is a command that a shell and Python can read; ground truth as
# big-ann has it; formats by a flag where names say nothing.
. "$(dirname "$0")/lib.sh"
make_data
make_index

# A python3 that compiles what it is given and runs nothing.
if command -v python3 >/dev/null; then
    real=$(command -v python3)
    mkdir shim
    printf '#!/bin/sh\nexec "%s" -c "import ast, sys; ast.parse(sys.argv[1])" "$2"\n' "$real" >shim/python3
    chmod +x shim/python3
    printf 'PAR1\000\000' >a.parquet
    for file in a.parquet; do
        run 65 convert $file x.fvecs
        sed -n 's/^hint: //p' err | sed 's/; queries are.*//' >command
        has command "$file" 'base.npy'
        ok "the hint for $file" env PATH="$PWD/shim:$PATH" sh ./command
    done
fi

# Text: the base once more, as CSV, TSV, GloVe's and word2vec's.
od -An -v -tu1 -w16 -j8 base.u8bin | sed 's/^ *//; s/  */ /g' >plain.txt
tr ' ' ',' <plain.txt >a.csv
{ seq -s '	' 16 | tr '1234567890' 'abcdefghij'; tr ' ' '\t' <plain.txt; } >a.tsv
awk '{ print "word" NR, $0 }' plain.txt >glove.txt
{ echo 600 16; cat glove.txt; } >wiki.vec
for file in plain.txt a.csv a.tsv glove.txt wiki.vec; do
    run 0 convert $file text.u8bin -q
    ok "$file is the base" cmp text.u8bin base.u8bin
done

# A .npz with one array, as numpy writes it; with two it says which there are.
cat >npz.py <<'END'
import sys, zipfile
for name, members in (("one.npz", ["x"]), ("two.npz", ["x", "neighbours"])):
    with zipfile.ZipFile(name, "w", int(sys.argv[1])) as z:
        for member in members:
            with z.open(member + ".npy", "w", force_zip64=True) as out:
                out.write(open("base.npy", "rb").read())
END
if command -v python3 >/dev/null; then
    run 0 convert base.fvecs base.npy -q
    for method in 0 8; do # stored, deflated
        ok 'a zip file' python3 npz.py $method
        run 0 convert one.npz npz.u8bin -q
        ok "a .npz of method $method" cmp npz.u8bin base.u8bin
        run 65 convert two.npz npz.u8bin
        has err '2 arrays' 'x.npy, neighbours.npy' "n.load('FILE.npz')['NAME']"
        head -c 3000 one.npz >cut.npz
        run 65 convert cut.npz npz.u8bin
        has err 'no whole zip file'
    done
fi

# Standard input, for a base and for queries, of any format.
"$nlsh" convert - piped.u8bin -q <glove.txt
ok 'text through a pipe' cmp piped.u8bin base.u8bin
cat base.fvecs | "$nlsh" convert - piped.u8bin -q
ok 'fvecs through a pipe' cmp piped.u8bin base.u8bin
cat base.fvecs | "$nlsh" build -d - -i piped.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans -q
ok 'an index through a pipe' cmp piped.nlsh small.nlsh
run 0 search -i small.nlsh -q query.fvecs -N 3 -T 2
grep -e Nearest -e distance out >want
od -An -v -tu1 -w16 -j8 query.u8bin | "$nlsh" search -i small.nlsh -q - -N 3 -T 2 >out 2>err
grep -e Nearest -e distance out >got
ok 'queries through a pipe' cmp want got
sed -n 7p plain.txt | "$nlsh" search -i small.nlsh -q - -N 1 >out 2>err
has out 'Nearest neighbor-1: 6' 'distanceApproximate: 0'
run 65 search -i small.nlsh -q -
has err 'standard input' 'empty'
printf '1 2 3\n' | "$nlsh" search -i small.nlsh -q - >out 2>err
has err 'have 3 values each'

# Compressed by zstd: the same vectors, index, answers and ground truth; where the build went without, the remedy.
zst base.fvecs
zst query.fvecs
"$nlsh" convert base.fvecs.zst zst.u8bin -q 2>err
code=$?
if [ $code -eq 69 ]; then
    has err 'built without' 'zstd -d base.fvecs.zst'
else
    ok "a .zst is read ($code)" cmp zst.u8bin base.u8bin
    cat base.fvecs.zst | "$nlsh" convert - zst.u8bin -q
    ok '.zst through a pipe' cmp zst.u8bin base.u8bin
    for memory in '' '--memory 1G'; do
        # shellcheck disable=SC2086
        run 0 build -d base.fvecs.zst -i zst.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans $memory
        ok "the same index $memory" cmp zst.nlsh small.nlsh
    done
    run 0 search -i small.nlsh -q query.fvecs.zst -N 3 -T 2
    grep -e Nearest -e distance out >got
    ok 'queries in a .zst' cmp want got
    run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs -N 10 --quiet
    zst gt.ivecs
    run 0 evaluate -i small.nlsh -q query.fvecs --gt gt.ivecs.zst
    head -c 30000 base.fvecs.zst >cut.fvecs.zst
    for memory in '' '--memory 1G'; do
        # shellcheck disable=SC2086
        run 65 build -d cut.fvecs.zst -i no.nlsh -m 8 $memory
        has err 'cut.fvecs.zst: the zstd stream is cut short' 'fetch or compress the file again'
    done
    { cat base.fvecs.zst; echo; } >more.fvecs.zst
    run 65 convert more.fvecs.zst zst.u8bin
    has err '1 bytes behind the end of the zstd stream'
    run 65 info base.fvecs.zst
    has err 'zstd data'
fi
run 2 convert base.u8bin x.fvecs.zst
has err '.zst is read, not written'

# Ground truth: ivecs, big-ann's ids with and without distances, numpy's; all the same answer.
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs --distances gt.fvecs -N 10 --quiet
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.npy -N 10 --quiet
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ibin -N 10 --quiet
{ cat gt.ibin; "$nlsh" convert gt.fvecs gt.fbin -q && tail -c +9 gt.fbin; } >GT_20
run 0 evaluate -i small.nlsh -q query.fvecs --gt gt.ivecs --csv expected.csv
for gt in gt.npy gt.ibin GT_20; do
    run 0 evaluate -i small.nlsh -q query.fvecs --gt $gt --csv got.csv
    ok "$gt gives the same curve" cmp got.csv expected.csv
done

# An HDF5 file as ann-benchmarks has it, where there are h5py and libhdf5.
cat >h5.py <<'END'
import h5py, numpy as n
def rows(name):
    return n.fromfile(name, "u1")[8:].reshape(-1, 16).astype("f4")
with h5py.File("a.hdf5", "w") as f:
    f["train"], f["test"] = rows("base.u8bin"), rows("query.u8bin")
    f["neighbors"] = n.fromfile("gt.ivecs", "i4").reshape(20, 11)[:, 1:]
END
if /usr/bin/python3 h5.py 2>/dev/null; then
    run 0 convert a.hdf5:train h5.u8bin -q
    ok 'the base of an HDF5 file' cmp h5.u8bin base.u8bin
    run 0 evaluate -i small.nlsh -q a.hdf5:test --gt a.hdf5:neighbors --csv got.csv
    ok 'its queries and neighbours give the same curve' cmp got.csv expected.csv
    run 65 evaluate -i small.nlsh -q a.hdf5:test --gt a.hdf5:train
    has err 'no ids' 'neighbors'
    run 65 convert a.hdf5 h5.u8bin
    has err 'a.hdf5:train'
    run 66 convert b.hdf5:train h5.u8bin
fi

# Ground truth that counts from 1, of other vectors, or by another metric is refused. An ivecs row is
# here 1 + 10 words.
plus_1()
{
    od -An -v -tu4 -w44 gt.ivecs | awk '
        function word(v,   i) { for (i = 0; i < 4; i++) { printf "\\0%03o", v % 256; v = int(v / 256) } }
        { word($1); for (i = 2; i <= NF; i++) word(NR == 1 && i == 2 ? 600 : $i + 1) }' >octal.txt
    printf '%b' "$(cat octal.txt)" >from_1.ivecs
}
plus_1
run 65 search -i small.nlsh -q query.fvecs --gt from_1.ivecs
has err 'count from 1' 'neighbour 600'
u8bin other.u8bin 600 16 3
run 0 groundtruth -d other.u8bin -q query.fvecs -o other.ivecs -N 10 --quiet
run 0 groundtruth -d base.fvecs -q query.fvecs -o ip.ivecs -N 10 --metric ip --quiet
for gt in other.ivecs ip.ivecs; do
    run 65 search -i small.nlsh -q query.fvecs --gt $gt
    has err "$gt" 'first neighbour is not among' 'by l2'
    run 65 evaluate -i small.nlsh -q query.fvecs --gt $gt
    run 65 compare small.nlsh -q query.fvecs --gt $gt
done

# Names that say nothing, and names that lie: the flag decides, for base and queries alike.
cp base.u8bin b && cp query.u8bin q
for command in 'build -i x.nlsh -m 8 --epochs 2 --nodes 16 --partitioner kmeans -d b' 'graph -d b -o g.ivecs' \
    'groundtruth -d b -q q -o t.ivecs' 'search -i small.nlsh -q q' 'search -i small.nlsh -q q -d b' \
    'evaluate -i small.nlsh -q q' 'compare small.nlsh -q q' 'bench -d b -q q -i small.nlsh --seconds 0.1' \
    'tune -d b -i t --dry-run'; do
    # shellcheck disable=SC2086
    run 65 $command
    # shellcheck disable=SC2086
    run 0 $command --input_format u8bin
done
run 2 search -i small.nlsh -q q --input_format u9bin
has err 'u8bin'
cp base.u8bin base.1M.u8bin.crop_nb_600
run 0 convert base.1M.u8bin.crop_nb_600 crop.fvecs -q
ok "big-ann's crop by its name" cmp crop.fvecs base.fvecs
no_leftovers
finish
