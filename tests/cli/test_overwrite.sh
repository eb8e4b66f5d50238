# What lies where an index is to be written: it is replaced only where nothing is lost, or by --force.
. "$(dirname "$0")/lib.sh"
make_data
make_index
u8bin other.u8bin 600 16 3
quick='-m 8 --epochs 1 --nodes 8 --partitioner kmeans'

# An index of the same vectors: as ever, from whatever file they come.
cp small.nlsh x.nlsh
# shellcheck disable=SC2086
run 0 build -d base.u8bin -i x.nlsh $quick
ok 'it was replaced' sh -c '! cmp -s x.nlsh small.nlsh'

# An index of other vectors, a damaged index, another file, an empty one: they stay.
cp small.nlsh kept.other
head -c 3000 small.nlsh >kept.damaged
echo 'years of work' >kept.text
: >kept.empty
for kind in other damaged text empty; do
    cp kept.$kind x.nlsh
    # shellcheck disable=SC2086
    run 73 build -d other.u8bin -i x.nlsh $quick
    has err 'x.nlsh' --force
    ok "$kind: it stays" cmp x.nlsh kept.$kind
    # shellcheck disable=SC2086
    run 0 build -d other.u8bin -i x.nlsh --dry-run $quick
    # shellcheck disable=SC2086
    run 0 build -d other.u8bin -i x.nlsh --force $quick
    run 0 verify x.nlsh
done
# --force does not go so far as to overwrite the input.
run 2 build -d base.fvecs -i base.fvecs --force
no_leftovers
finish
