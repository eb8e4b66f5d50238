# --filter and --filter-out: answers hold what they allow, as many as there are, and are judged by it.
. "$(dirname "$0")/lib.sh"
make_data
quick='-m 8 --epochs 3 --nodes 32 --partitioner kmeans'
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i plain.nlsh $quick -q
seq 1001 1600 >keys.txt
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i keyed.nlsh $quick --keys keys.txt -q

# ids FILE: those of the answers, none left out.
ids()
{
    awk '/^Nearest/ && $3 != "none" && $3 != "none:" { print $3 }' out | sort -n | uniq >"$1"
}

seq 0 3 599 >third.txt
seq 599 -1 0 | awk '$1 % 3' >rest.txt
for recall in 0.5 0.95; do
    run 0 search -i plain.nlsh -q query.fvecs -N 5 --recall $recall --filter third.txt
    ids found
    ok 'all are allowed' awk '$1 % 3 { exit 1 }' found
    ok 'five each' awk '/^Nearest/ && $3 != "none" { n++ } /^Query/ { q++ } END { exit n != 5 * q }' out
done
run 0 search -i plain.nlsh -q query.fvecs -N 5 -T 8 --filter third.txt
has out 'Recall@5: 1'
grep -e ^Nearest -e ^distance out >allowed
run 0 search -i plain.nlsh -q query.fvecs -N 5 -T 8 --filter-out rest.txt
grep -e ^Nearest -e ^distance out >left
ok 'the same by what is left out' cmp allowed left
run 0 search -i plain.nlsh -q query.fvecs -N 5 -T 8 --threads 2 --filter third.txt
grep -e ^Nearest -e ^distance out >left
ok 'the same on two threads' cmp allowed left
awk '{ print $1 + 1001 }' third.txt >third_keys.txt
run 0 search -i keyed.nlsh -q query.fvecs -N 5 -T 8 --filter third_keys.txt
grep ^distance out >keyed
grep ^distance allowed >left
ok 'the same by key' cmp keyed left
ids found
ok 'answers are keys' awk '$1 < 1001 { exit 1 }' found

# Both: what the one allows and the other does not take away. Fewer than N, too.
printf '7\n8\n9\n9\n' >few.txt
echo 8 >eight.txt
run 0 search -i plain.nlsh -q query.fvecs -N 5 --filter few.txt --filter-out eight.txt
ids found
printf '7\n9\n' >want
ok 'two are left' cmp found want
has out 'Recall@5: 1'
run 0 search -i plain.nlsh -q query.fvecs -N 1 --filter eight.txt -R 1e9
ok 'the R-near ones are allowed' awk '/^R-near/ { near = 1; next } /^[0-9]/ && near && $1 != 8 { exit 1 }' out

# What is wrong is said.
printf '7\n600\n1000\n' >strange.txt
for flag in --filter --filter-out; do
    run 65 search -i plain.nlsh -q query.fvecs $flag strange.txt
    has err 'strange.txt: 2 of 3 keys are not in plain.nlsh, the smallest is 600'
    run 66 search -i plain.nlsh -q query.fvecs $flag nothing.txt
    run 2 search -i plain.nlsh -q query.fvecs $flag third.txt --gt gt.ivecs
    has err '--gt is not of what it allows'
    run 2 search --models_index x.json -q query.fvecs $flag third.txt
done
run 65 search -i plain.nlsh -q query.fvecs --filter third.txt --filter-out third.txt
has err 'allows none of 600 vectors'
echo x >word.txt
run 65 search -i plain.nlsh -q query.fvecs --filter word.txt
has err 'word.txt, line 1: x is no whole number'
no_leftovers
finish
