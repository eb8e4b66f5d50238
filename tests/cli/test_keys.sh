# --keys: names of vectors from a file. What is wrong in it is said with its place.
. "$(dirname "$0")/lib.sh"
make_data
quick='-m 8 --epochs 3 --nodes 32 --partitioner kmeans'

# bad TEXT LINE: a build with the keys of the file k.txt fails and says so.
bad()
{
    # shellcheck disable=SC2086
    run 65 build -d base.fvecs -i x.nlsh $quick --keys k.txt
    has err "$@" 'k.txt'
    ok "no index with $1" test ! -e x.nlsh
}

seq 1001 1600 >good.txt
sed 7s/.*/-3/ good.txt >k.txt
bad 'line 7: -3 is below 0'
sed 600s/.*/x/ good.txt >k.txt
bad 'line 600: x is no whole number'
sed 2s/.*// good.txt >k.txt
bad 'line 2: an empty line'
sed 2s/.*/1.5/ good.txt >k.txt
bad 'line 2: 1.5 is no whole number'
sed 9s/.*/1003/ good.txt >k.txt
bad 'line 9: 1003 is there twice, first on line 3'
sed 9s/.*/18446744073709551615/ good.txt >k.txt
bad 'line 9: 18446744073709551615 is the number that means no key'
sed 9s/.*/18446744073709551616/ good.txt >k.txt
bad 'line 9: 18446744073709551616 is too large'
head -n 599 good.txt >k.txt
bad '599 keys, the base 600 vectors'
(cat good.txt; echo 5) >k.txt
bad '601 keys, the base 600 vectors'
: >k.txt
bad '0 keys'
# shellcheck disable=SC2086
run 66 build -d base.fvecs -i x.nlsh $quick --keys nothing.txt
run 2 build --mode tune -d base.fvecs -i x --keys good.txt

# Three forms of the same keys.
"$nlsh" convert base.fvecs there.npy -q # only to see that the work directory is whole
if command -v python3 >/dev/null; then
    python3 - <<'END'
import struct
keys = list(range(1001, 1601))
open("row.ivecs", "wb").write(struct.pack("<i600i", 600, *keys))
open("column.ivecs", "wb").write(b"".join(struct.pack("<ii", 1, k) for k in keys))
def npy(name, descr, shape, values, code):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (descr, shape)
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    data = struct.pack("<%d%s" % (len(values), code), *values)
    open(name, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)
npy("i4.npy", "<i4", "(600,)", keys, "i")
npy("i8.npy", "<i8", "(600, 1)", keys, "q")
npy("u8.npy", "<u8", "(1, 600)", keys, "Q")
npy("large.npy", "<u8", "(600,)", [2**64 - 2 - k for k in keys], "Q")
npy("negative.npy", "<i8", "(600,)", keys[:9] + [-7] + keys[10:], "q")
npy("table.npy", "<i8", "(300, 2)", keys, "q")
npy("float.npy", "<f8", "(600,)", keys, "d")
END
    for form in good.txt row.ivecs column.ivecs i4.npy i8.npy u8.npy large.npy; do
        # shellcheck disable=SC2086
        run 0 build -d base.fvecs -i "of_$form.nlsh" $quick --keys $form -q
    done
    for form in row.ivecs column.ivecs i4.npy i8.npy u8.npy; do
        ok "$form gives the index of good.txt" cmp "of_$form.nlsh" of_good.txt.nlsh
    done
    # shellcheck disable=SC2086
    run 65 build -d base.fvecs -i x.nlsh $quick --keys negative.npy
    has err 'value 10: -7 is below 0'
    for form in table.npy float.npy; do
        # shellcheck disable=SC2086
        run 65 build -d base.fvecs -i x.nlsh $quick --keys $form
        has err 'one-dimensional'
    done
fi

# Answers are by key, and so is the ground truth that they are compared with; --gt is by row.
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i keyed.nlsh $quick --keys good.txt -q
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i plain.nlsh $quick -q
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs -N 5 --quiet
if "$nlsh" info keyed.nlsh --json | grep -q '"keys": true'; then
    for with in '' '--gt gt.ivecs' '-d base.fvecs'; do
        # shellcheck disable=SC2086
        run 0 search -i keyed.nlsh -q query.fvecs -N 5 -T 2 $with
        grep -e ^Recall -e ^Average out >keyed
        awk '/^Nearest/ { print $3 }' out >keyed_ids
        # shellcheck disable=SC2086
        run 0 search -i plain.nlsh -q query.fvecs -N 5 -T 2 $with
        grep -e ^Recall -e ^Average out >plain
        awk '/^Nearest/ { print $3 == "none:" || $3 == "none" ? $3 : $3 + 1001 }' out >plain_ids
        ok "recall by key as by row: $with" cmp keyed plain
        ok "each answer is the row's key: $with" cmp keyed_ids plain_ids
    done
    run 0 compare keyed.nlsh -q query.fvecs -N 5 -T 8 --csv -
    ok 'all buckets: recall 1' awk -F, 'NR == 2 { exit !($(NF - 12) == 1 && $(NF - 11) == 1) }' out
    run 0 bench -d base.fvecs -q query.fvecs -i keyed.nlsh -T 8 --probes 8 --methods ivfflat,routed,nlsh --seconds 0.01 --csv
    ok 'all buckets, all methods: recall 1' awk -F, 'NR > 1 && (/T = 8/ || /8 of 8/) { n++; if ($4 != 1) exit 1 } END { exit n < 3 }' out
    run 0 evaluate -i keyed.nlsh -q query.fvecs -N 5 --csv keyed.csv
    run 0 evaluate -i plain.nlsh -q query.fvecs -N 5 --csv plain.csv
    ok 'the same curve' cmp keyed.csv plain.csv
fi
no_leftovers
finish
