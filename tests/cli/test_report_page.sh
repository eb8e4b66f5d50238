# report in a browser: every kind of page, light and dark, on a screen and on a phone, by the rules of
# tests/page/report.py; and pages that break a rule each, which must be found. Skipped without a browser.
. "$(dirname "$0")/lib.sh"
look=$here/../page/report.py kept=$here/../page/kept
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$chromium" ] || ! command -v python3 >/dev/null; then
    echo 'skipped: no chromium to look at reports with (./dev test installs it where it can), or no python3'
    exit 77
fi
make_data
make_index

# ---- every kind of page --------------------------------------------------------------------------
# What the kept pictures are of: numbers that no machine changes. Names as long as names get, more methods than styles.
cat >models.csv <<'END'
model,settings,T,recall_at_1,recall_at_10,af,candidates,candidates_p95,qps,qps_min,qps_max,passes,speedup,build_seconds,index_bytes,file
plain,"{""m"": 64, ""lr"": 0.008, ""labels"": ""soft""}",1,0.77,0.7254,1.025,161.6,187,52437,12766,65338,20,52.48,,8656352,plain.nlsh
plain,"{""m"": 64, ""lr"": 0.008, ""labels"": ""soft""}",4,0.985,0.9785,1.001,636.4,689,19093,12766,25338,20,19.1,,8656352,plain.nlsh
plain,"{""m"": 64, ""lr"": 0.008, ""labels"": ""soft""}",0.01,0.996,0.9959,1.0002,660.6,1368,27540,22766,35338,20,27.5,,8656352,plain.nlsh
finer,"{""m"": 128, ""lr"": 0.008, ""labels"": ""soft""}",1,0.699,0.6365,1.037,81.6,93,36195,12766,65338,20,36.2,,9365152,finer.nlsh
finer,"{""m"": 128, ""lr"": 0.008, ""labels"": ""soft""}",4,0.958,0.9444,1.003,318.3,350,26708,12766,65338,20,26.7,,9365152,finer.nlsh
finer,"{""m"": 128, ""lr"": 0.008, ""labels"": ""soft""}",16,0.999,0.9983,1.0001,1250.9,1301,13045,12766,65338,20,13,,9365152,finer.nlsh
END
{
    echo 'method,setting,recall_at_1,recall_at_10,candidates,qps'
    for i in 1 2 3 4 5 6 7 8 9; do
        echo "a_name_of_a_method_that_has_no_blank_where_a_line_could_end_number_$i,a setting of some words $i,1,0.9$i,${i}00,${i}000"
        echo "a_name_of_a_method_that_has_no_blank_where_a_line_could_end_number_$i,and another one $i,1,0.99$i,${i}0000,${i}00"
    done
} >long.csv
run 0 report models.csv -o models.html
run 0 report long.csv -o long.html
run 0 report small.nlsh -o plain.html
run 0 report small.nlsh -d base.fvecs -q query.fvecs -N 5 -o index.html
run 0 evaluate -i small.nlsh -q query.fvecs -d base.fvecs --csv curve.csv --reliability bins.csv
run 0 report curve.csv bins.csv models.csv small.nlsh -o many.html
run 0 tune -d base.fvecs -i ./run -m 8 --tune_trials 6 --tune_folds 1 --tune_epochs 2 --final_epochs 2 --top_k 2 -q
run 0 report run -o run.html

# NLSH_ACCEPT=1 keeps pictures anew; NLSH_SHOTS=FOLDER keeps the pages as they are seen.
if [ -n "$NLSH_ACCEPT" ]; then mkdir -p "$kept" && python3 "$look" "$chromium" "$kept" --accept models.html; fi
if ! python3 "$look" "$chromium" "$kept" ${NLSH_SHOTS:+--shots "$NLSH_SHOTS"} models.html long.html plain.html \
    index.html many.html run.html >found 2>&1; then
    cat found >&2
    fail 'reports in a browser'
fi
has found '6 pages in 4 shapes, 0 failures'

# ---- the rules are no decoration -----------------------------------------------------------------
# broken NAME WHAT SCRIPT: a page with a fault, by sed.
mkdir broken
broken()
{
    sed "$3" models.html >"broken/$1.html"
    ok "broken/$1.html differs" test -n "$(cmp models.html "broken/$1.html" 2>&1)"
    printf '%s%s\n' "$1, light, 390 wide: " "$2" >>wanted
}
: >wanted
broken wide 'nothing sticks out sideways' 's|</h1>|&<div style="width:500px">a</div>|'
broken small 'no letter is smaller than 11 pixels' 's/font-size:12.5px/font-size:9px/'
broken pale 'words have a contrast of 4.5' 's/--faint:#5c5c62/--faint:#8a8a90/'
broken faint 'lines and dots have a contrast of 4.5' 's/--c1:#0067b1/--c1:#62b4f2/'
broken json 'no JSON is left' 's|</h1>|&<p>{"m": 8}</p>|'
broken silent 'every dot and bar says what it is' 's|<title>plain, 4|<desc>plain, 4|'
broken crowded 'numbers of an axis are apart' 's/font-size:12.5px/font-size:36px/'
broken narrow 'what scrolls has room beside what stays' 's|<th scope="row">plain|<th scope="row">a_name_that_is_as_wide_as_a_phone_has_pixels|'
broken twice 'a title comes once' 's|<main>|&<h2>models.csv</h2>|'
broken mute 'the verdict has numbers' '/class="verdict"/s|[0-9]||g'
broken blind 'a dot is met by the mouse' 's|</style>|use{pointer-events:none}&|'
cp models.html "broken/models.html" # a picture is kept of that name
sed -i 's|^<path d="M[^"]*" class="s1"/>||' broken/models.html
echo 'models, light, 390 wide: the drawing looks as it was kept' >>wanted
sed 's|<main>|&<img src="http://127.0.0.1:9/a.png" alt="">|' models.html >broken/loads.html
echo 'loads: the browser does not complain' >>wanted
python3 "$look" "$chromium" "$kept" broken/*.html >found 2>&1
while read -r line; do has found "FAILED  $line"; done <wanted
no_leftovers
finish
