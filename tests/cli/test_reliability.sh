# evaluate --reliability: the router's probabilities beside what was found.
. "$(dirname "$0")/lib.sh"
make_data
make_index
run 0 evaluate -i small.nlsh -q query.fvecs -d base.fvecs --csv c.csv --reliability r.csv
has err 'calibration gap'
has r.csv 'low,high,pairs,predicted,observed,error'
ok 'bins: every pair once, probabilities and shares add up to 1 a query' awk -F, '
    NR > 1 { n += $3; p += $3 * $4; s += $3 * $5; if ($4 < $1 || $4 > $2 || $1 < high || $6 < 0) exit 1; high = $2 }
    END { exit !(n == 20 * 8 && p > 19.99 && p < 20.01 && s > 19.999 && s < 20.001) }' r.csv
cp r.csv one.csv
run 0 evaluate -i small.nlsh -q query.fvecs -d base.fvecs --csv c2.csv --reliability r.csv --threads 3
ok 'the same from any number of threads' cmp r.csv one.csv
ok 'the curve is there too' cmp c.csv c2.csv
run 2 evaluate -i small.nlsh -q query.fvecs --reliability small.nlsh
run 73 evaluate -i small.nlsh -q query.fvecs --csv c3.csv --reliability nowhere/r.csv
ok 'nothing half done' test ! -e c3.csv
no_leftovers
finish
