# bench: the table, as text, CSV and JSON; with an index and without.
. "$(dirname "$0")/lib.sh"
make_data
make_index

run 0 bench -d base.fvecs -q query.fvecs -i small.nlsh -T 1,8,0.05 --recall 0.9 --probes 1,8,9
has out 'exact scan' 'plain float' 'IVF-Flat' '1 of 8' 'Neural LSH' 'T = 0.05' 'recall 0.9'
lacks out '9 of 8'
ok 'the table fits 100 columns' awk 'length > 100 { bad = 1 } END { exit bad }' out
run 0 bench -d base.fvecs -q query.fvecs -i small.nlsh -T 1,8,0.05 --recall 0.9 --probes 1,8 --csv
awk -F, 'NR == 1 { next }
    { rows++; if (NF != 10) bad = 1; if ($7 <= 0 || $3 > 1 || $4 > 1) bad = 2 }
    /^exact scan/ || /T = 8/ || /8 of 8/ { if ($3 != 1 || $4 != 1 || $5 != 600) bad = 3 }
    /best/ { if ($8 != 1) bad = 4 }
    END { if (rows != 8) bad = 5; exit bad }' out || fail "bench --csv: $?"
checks=$((checks + 1))
run 0 bench -d base.fvecs -q query.fvecs -T 2 --recall 0.9 --probes 1 --json
has out '"method": "IVF-Flat"' '"setting": "T = 2"' '"recall_at_n"'
ok 'the index made for the table is gone' test -z "$(ls "${TMPDIR:-/tmp}"/nlsh-bench-* 2>/dev/null)"
run 65 bench -d query.fvecs -q query.fvecs -i small.nlsh
no_leftovers
finish
