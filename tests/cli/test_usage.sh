# Command lines that are wrong, and the many ways to write a right one.
. "$(dirname "$0")/lib.sh"
make_data

# Each: its words, what is said. The whole is expected/usage.txt.
while read -r line; do
    # shellcheck disable=SC2086
    set -- $line
    run 2 "$@"
    ok "no data on stdout: nlsh $line" test ! -s out
    printf '$ nlsh %s\n' "$line" >>usage.txt
    cat err >>usage.txt
done <<'END'
bild
serach -q x
quux
--knn 3
build -d x
build -i x
build -d x -i y --kn 3
build -d x -i y --bach_size 3
build -d x -i y -type sfit
build -d x -i y --labels sot
build -d x -i y -T 4
build -d x -i y --quux 4
build -d x -i y --json=1
build -d x -i y z
build -d
search -i x -q y -N 0
search -i x -q y -N -3
search -i x -q y -N 3.5
search -i x -q y -N ten
search -i x -q y -T 0
search -i x -q y -T -1
search -i x -q y -T 1.5
search -i x -q y -R three
search -i x -q y --recall 1
search -i x -q y -T 5 --recall 0.9
search --models_index x -q y --recall 0.9 -T 0.05
compare x -q y -T 1,5 --recall 0.9,0.95
search -i x -q y -range maybe
search -q -i x
bench -d x -q y -T 1,2,x
bench -d x -q y -T 1,2.5
info
info x -i y
search x -q y -i z
search x y -q z
verify x y
cache
cache lst
cache drop
convert x
convert x y --to fvec
help serch
END
sed 's/^hint: it may be.*/hint: .../' usage.txt >usage.masked
same usage.masked usage.txt

# One dash or two, a space or "=", "-" or "_": all the same.
run 0 build -d base.fvecs -i a.nlsh --dry-run -knn 7 --batch-size=64
has out 'knn            7' 'batch_size     64'
run 0 build --d=base.fvecs --i a.nlsh -dry_run -batch_size 64
has out 'batch_size     64'
# A choice, a word of a setting, a method: in any case of letters.
run 0 build -d base.fvecs -i a.nlsh --dry-run -type Auto --labels Hard --partitioner KMeans -m AUTO
has out 'labels         hard' 'partitioner    kmeans'
run 0 bench -d base.fvecs -q query.fvecs --methods IVFFlat --probes 1 --seconds 0.01
# The last of two counts.
run 0 build -d base.fvecs -i a.nlsh --dry-run --knn 7 --knn 9
has out 'knn            9'
# "--" ends the flags; a name may begin with a dash.
run 0 convert -q -- base.fvecs -x.npy
ok 'a file named -x.npy' test -f ./-x.npy
run 66 info -- --nothing
has err '--nothing'
run 66 search -q=-odd -i small.nlsh
# INDEX without -i, wherever it stands; -k is -N.
make_index
run 0 search -i small.nlsh -q query.fvecs -N 3 -T 2 --format csv
cp out wanted
run 0 search small.nlsh -q query.fvecs -k 3 -T 2 --format csv
ok 'a bare INDEX and -k' cmp wanted out
run 0 search -q query.fvecs --k=3 -T 2 --format csv small.nlsh
ok 'at the end, too' cmp wanted out
run 0 evaluate small.nlsh -q query.fvecs -k 3 --csv -
run 0 bench -d base.fvecs -q query.fvecs small.nlsh --methods nlsh -T 1 --seconds 0.01
has out 'index: small.nlsh'
run 0 add small.nlsh -d query.fvecs
run 0 compact small.nlsh
run 0 verify small.nlsh
finish
