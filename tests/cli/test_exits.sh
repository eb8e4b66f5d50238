# Every exit code, and that what is refused leaves nothing behind.
. "$(dirname "$0")/lib.sh"
make_data
make_index
cp small.nlsh whole.nlsh

run 0 verify small.nlsh
has out 'agrees with its checksum'
# 1: one byte changed in the last section; the section is named.
cp small.nlsh bad.nlsh
size=$(wc -c <bad.nlsh)
old=$(od -An -tu1 -j $((size - 100)) -N 1 bad.nlsh | tr -d ' ')
printf '%b' "$(printf '\\0%03o' $(((old + 1) % 256)))" |
    dd of=bad.nlsh bs=1 seek=$((size - 100)) conv=notrunc 2>/dev/null
run 1 verify bad.nlsh
has err 'error: ' 'bad.nlsh' 'hint: '
run 1 verify bad.nlsh --json
has out '"ok": false'
# 65: damaged, not what it says it is, not belonging together.
head -c 1000 base.fvecs >cut.fvecs
run 65 build -d cut.fvecs -i x.nlsh
has err 'cut.fvecs'
head -c 500 small.nlsh >cut.nlsh
run 65 info cut.nlsh
run 65 info base.fvecs
run 65 build -d base.fvecs -i x.nlsh -type mnist
has err 'base.fvecs' 'mnist' 'hint: '
run 65 build -d base.u8bin -i x.nlsh -type sift
cp base.fvecs noname
run 65 build -d noname -i x.nlsh -type mnist
run 65 search -i small.nlsh -q query.fvecs -d query.fvecs
has err 'query.fvecs' 'small.nlsh' 'hint: '
u8bin other.u8bin 600 16 3
run 65 search -i small.nlsh -q query.fvecs -d other.u8bin
has err 'content hash'
u8bin narrow.u8bin 20 8 3
run 65 search -i small.nlsh -q narrow.u8bin
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs -N 5
run 65 search -i small.nlsh -q query.fvecs --gt gt.ivecs -N 6
run 65 search -i small.nlsh -q base.fvecs --gt gt.ivecs -N 5
echo '{"m": 8,' >broken.json
run 65 build -d base.fvecs -i x.nlsh --config broken.json
# 66: not there, or not readable.
run 66 build -d nothing.fvecs -i x.nlsh
has err 'nothing.fvecs'
run 66 info nothing.nlsh
run 66 search -i small.nlsh -q nothing.fvecs
run 66 build -d base.fvecs -i x.nlsh --config nothing.json
mkdir folder
run 66 build -d folder -i x.nlsh
# 73: no such directory, a directory in the way.
run 73 build -d base.fvecs -i nowhere/x.nlsh
has err 'nowhere' 'hint: '
run 73 search -i small.nlsh -q query.fvecs -o folder
run 73 graph -d base.fvecs -o nowhere/x.graph
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod a-w locked
    run 73 search -i small.nlsh -q query.fvecs -o locked/r.txt
    run 73 build -d base.fvecs -i locked/x.nlsh
    chmod a-r noname
    run 66 build -d noname -i x.nlsh -type sift
fi
# An input is never overwritten.
run 2 build -d base.fvecs -i base.fvecs
has err 'overwrite'
run 2 search -i small.nlsh -q query.fvecs -o small.nlsh
ln -s small.nlsh link.nlsh
run 2 search -i small.nlsh -q query.fvecs -o link.nlsh
# 2 from the library's judgement.
run 2 build -d base.fvecs -i x.nlsh -m 601
run 2 graph -d base.fvecs -o x.graph --knn 600
# 69: an instruction set of that name does not exist.
NLSH_CPU=abacus
export NLSH_CPU
run 69 search -i small.nlsh -q query.fvecs
unset NLSH_CPU
# The same for KaHIP, before the graph is made; the hint has both ways on.
NLSH_KAHIP=$work/no.so run 69 build -d base.fvecs -i x.nlsh --partitioner kahip --knn 7 \
    --cache kahip_cache --progress json
has err "$work/no.so" NLSH_KAHIP '--partitioner metis'
lacks err 'k-NN graph'
ok 'no graph was made' test ! -e kahip_cache
ok 'the index is untouched' cmp small.nlsh whole.nlsh
ok 'no refused build wrote its index' test ! -e x.nlsh
no_leftovers
finish
