# shellcheck shell=sh disable=SC2034
# page_rows.sh - what the scripts that write pages read of rows, for those that set $kept and source this: bench/run.sh
# left the rows in $kept, and below it in a folder for each cap of NLSH_CPU.
ours='^nlsh$' peers='^(hnswlib|faiss.*|LoRANN|SymphonyQG|glass|NGT.*|PDX.*)$'

runs=$(for d in "$kept" "$kept"/*/; do if [ -s "$d/measured" ] && [ -s "$d/machine" ]; then echo "${d%/}"; fi; done)
# Rows, data sets and machine of a run are those that all below is about.
use() { # RUN
    work=$1 rows=$1/rows.csv
    measured=$(cat "$work/measured") machine_=$(cat "$work/machine") cap=${1#"$kept"}
    cap=${cap#/}
    sets=$(echo "$measured" | tr ' ' '\n' | sed 's/:.*//' | uniq)
    how=$machine_${cap:+ (\`NLSH_CPU=$cap\`)}
}
use "$(echo "$runs" | head -n 1)"
absent=$(cat "$work/absent" 2>/dev/null || true)

# fastest COLUMN SET MODE K RECALL METHODS [VERSIONS]: of the rows that reach the recall the fastest
# one's column; "-" where none does.
fastest() {
    awk -F, -v c="$1" -v d="$2" -v mode="$3" -v k="$4" -v r="$5" -v m="$6" -v v="${7:-.}" '
        $1 == d && $4 == mode && $6 == k && $7 >= r && $2 ~ m && $3 ~ v && $8 > best {
            best = $8; found = $c }
        END { print best ? found : "-" }' "${file:-$rows}"
}
# lead SET MODE K RECALL METHODS GOAL: ours over theirs, the goal, and whose the fastest was
lead() {
    awk -v a="$(fastest 8 "$1" "$2" "$3" "$4" "$ours")" -v b="$(fastest 8 "$1" "$2" "$3" "$4" "$5")" \
        -v goal="$6" -v who="$(fastest 2 "$1" "$2" "$3" "$4" "$5")" 'BEGIN {
            if (b == "-") { print "no peer"; exit }
            if (a == "-") { print "recall not reached"; exit }
            bold = a / b >= goal ? "**" : ""
            sub(/ fast scan.*/, "", who)
            printf "%s%.2fx%s of %sx (%s)\n", bold, a / b, bold, goal, who
        }'
}
is_here() { case " $(echo "$sets" | tr '\n' ' ') " in *" $1 "*) ;; *) return 1 ;; esac; }
goal() { # MODE K METHODS GOAL SET...
    mode=$1 k=$2 methods=$3 g=$4
    shift 4
    for s; do
        is_here "$s" && [ "$(fastest 8 "$s" "$mode" "$k" 0 "$methods")" != - ] || continue
        printf '| %s | %s | %s | %s | %s | %s |\n' "$s" "$mode" "$k" \
            "$(lead "$s" "$mode" "$k" 0.90 "$methods" "$g")" \
            "$(lead "$s" "$mode" "$k" 0.95 "$methods" "$g")" \
            "$(lead "$s" "$mode" "$k" 0.99 "$methods" "$g")"
    done
}
# less LABEL OURS THEIRS GOAL: a row with the ratio of two costs, bold where it is at most the goal
less() {
    awk -v label="$1" -v a="$2" -v b="$3" -v goal="$4" 'BEGIN {
        if (a + 0 <= 0 || b + 0 <= 0) {
            printf("| %s | %s | %s | - | %.2f |\n", label, (a + 0 > 0 ? a : "-"), (b + 0 > 0 ? b : "-"), goal)
            exit
        }
        bold = a / b <= goal ? "**" : ""
        printf "| %s | %.0f | %.0f | %s%.2f%s | %.2f |\n", label, a, b, bold, a / b, bold, goal
    }'
}
methods_of() { # SET: method,version in the order measured
    awk -F, -v d="$1" '$1 == d && $2 != "exact scan" && !seen[$2 $3]++ { print $2 "," $3 }' "$rows"
}
# Patterns of a method and of its version; a version of "." is any.
named() { # METHOD VERSION
    name="^$(printf '%s' "$1" | sed 's/[+]/[+]/g')\$" pattern=.
    if [ "$2" != . ]; then pattern="^$(printf '%s' "$2" | sed 's/[.+]/\\&/g')\$"; fi
}
number() { awk -v n="$1" 'BEGIN { if (n == "-" || n == "") print "-"; else printf "%.0f\n", n }'; }
