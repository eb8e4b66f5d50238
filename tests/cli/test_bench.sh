# bench: the table, as text, CSV and JSON; with an index and without.
. "$(dirname "$0")/lib.sh"
make_data
make_index

run 0 bench -d base.fvecs -q query.fvecs -i small.nlsh -T 1,8,0.05 --recall 0.9 --probes 1,8,9
has out 'exact scan' 'plain float' 'IVF-Flat' '1 of 8' 'Neural LSH' 'T = 0.05' 'recall 0.9'
lacks out '9 of 8'
ok 'the table fits 80 columns' awk 'length > 80 { bad = 1 } END { exit bad }' out
run 0 bench -d base.fvecs -q query.fvecs -i small.nlsh -T 1,8,0.05 --recall 0.9 --probes 1,8 --csv
awk -F, 'NR == 1 { next }
    { rows++; if (NF != 12) bad = 1; if ($7 <= 0 || $3 > 1 || $4 > 1) bad = 2 }
    /^exact scan/ || /T = 8/ || /8 of 8/ { if ($3 != 1 || $4 != 1 || $5 != 600) bad = 3 }
    /best/ { if ($8 != 1) bad = 4 }
    END { if (rows != 8) bad = 5; exit bad }' out || fail "bench --csv: $?"
checks=$((checks + 1))
run 0 bench -d base.fvecs -q query.fvecs -T 2 --recall 0.9 --probes 1 --json
has out '"method": "IVF-Flat"' '"setting": "T = 2"' '"recall_at_n"'
ok 'the index made for the table is gone' test -z "$(ls "${TMPDIR:-/tmp}"/nlsh-bench-* 2>/dev/null)"
# Every method, a CSV and two pictures; all probed is exact.
run 0 bench -d base.fvecs -q query.fvecs -i small.nlsh --probes 1,8 -T 1,8 -o all.csv \
    --methods brute,lsh,hypercube,ivfflat,ivfpq,routed,nlsh --seconds 0.01
has out 'LSH: ' 'hashes a table' 'corners' 'IVF-PQ: codes of 1 byte; 200 ranked exactly' 'NLSH exact'
ok 'the table of all methods fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
for method in 'exact scan' LSH Hypercube IVF-Flat IVF-PQ 'NLSH exact' 'Neural LSH'; do
    has all.csv "$method,"
done
ok 'rows of the CSV' awk -F, 'NR > 1 { if (NF != 12 || $4 > 1 || $5 > 600 || $7 <= 0 || $12 < 9600) exit 1 }' all.csv
ok 'all cells, all corners, all buckets: exact' awk -F, '
    $2 ~ /^8 of 8 cells(; codes of 1 byte; 200 ranked exactly)?$/ || $2 == "T = 8" { n++; if ($4 != 1 && $1 != "IVF-PQ") exit 1; if ($5 != 600) exit 1 }
    END { exit n < 4 }' all.csv
ok 'the router chooses the same buckets in both scans' awk -F, '
    $2 == "T = 1" { c[$1] = $5 } END { exit !c["NLSH exact"] || c["NLSH exact"] != c["Neural LSH"] }' all.csv
if command -v gnuplot >/dev/null; then
    for picture in candidates qps; do
        has all.$picture.svg '</svg>' 'recall@10' 'Hypercube'
    done
fi
# Without an index, none is made where no method needs it; the exact scan is still the measure.
run 0 bench -d base.fvecs -q query.fvecs --methods ivfflat --probes 1 --csv
ok 'one row' test "$(wc -l <out)" -eq 2
has out '1 of 25 cells,'
lacks err 'partition'
# Without gnuplot the table is written, and it is said what to install.
mkdir tools && for tool in sed awk; do ln -s "$(command -v $tool)" tools; done
PATH=$work/tools run 0 bench -d base.fvecs -q query.fvecs --methods ivfflat --probes 1 -o bare.csv
ok 'a table without pictures' test -s bare.csv -a ! -e bare.qps.svg
has err 'install gnuplot'
run 2 bench -d base.fvecs -q query.fvecs --methods lsh,hypercub
has err 'did you mean hypercube'
run 2 bench -d base.fvecs -q query.fvecs --methods lsh,
run 73 bench -d base.fvecs -q query.fvecs -o nowhere/x.csv
run 2 bench -d base.fvecs -q query.fvecs -o base.fvecs
run 65 bench -d query.fvecs -q query.fvecs -i small.nlsh
no_leftovers
finish
