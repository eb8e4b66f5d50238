#!/bin/sh
# arrows.sh ROOT: which folder of src/ may include which. A stage knows the folders (or single
# headers) listed beside it and nothing else; anything not listed is an error, so a new arrow is a
# change of this file.
# See docs/architecture.md. Public headers and the folder's own are free to all.
set -eu
cd "$1"

allowed() {
    case $1 in
    base) echo ;;
    kernels) echo base ;;
    kernels/x86 | kernels/arm) echo base kernels ;;
    router) echo base kernels ;;
    promise) echo base ;;
    codes) echo base kernels promise ;;
    index) echo base kernels router promise codes ;;
    search) echo base kernels router promise codes index ;;
    live) echo base kernels router promise codes index search ;;
    linalg) echo base kernels ;;
    vectors) echo base kernels ;; # the kernels' bounds on a dimension
    cache) echo base ;;
    graph) echo base kernels vectors linalg partition/kmeans.h ;;
    partition) echo base kernels linalg ;;
    router/train) echo base kernels linalg router ;;
    codes/make) echo base kernels linalg codes router/router.h ;;
    evaluate) echo base vectors/vectors.h ;;
    measure) echo base kernels vectors linalg graph router promise codes codes/make index search \
        evaluate ;;
    make) echo base kernels vectors linalg cache graph partition router router/train promise \
        codes codes/make index search live evaluate measure ;;
    tune) echo ;;
    # A study is a file, a sampler a pure function: neither knows of the other. tune/run/points is
    # where they meet.
    tune/study | tune/sample) echo base tune ;;
    tune/run) echo base vectors cache evaluate measure make tune tune/sample tune/study ;;
    # An index in shards: cut, and searched in step.
    shards) echo base kernels promise codes index search live ;;
    shards/make) echo base kernels router index make shards ;;
    baselines) echo base kernels vectors linalg partition/kmeans.h ;;
    *) echo "arrows.sh does not know $1" >&2; return 1 ;;
    esac
}

n_wrong=0
for file in $(find src baselines -name '*.[ch]' | sort); do
    folder=$(dirname "${file#src/}")
    may=" $(allowed "$folder") $folder "
    for included in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        to=$(dirname "$included")
        case $to in
        nlsh)
            # What lives in libnlsh may not lean on the other library's header; base/job carries
            # its struct of wishes and is the exception.
            case $folder/$included in
            router/nlsh/learn.h | codes/nlsh/learn.h | index/nlsh/learn.h | search/nlsh/learn.h | \
                kernels*/nlsh/learn.h)
                echo "$file: includes $included, which libnlsh has no part in"
                n_wrong=$((n_wrong + 1))
                ;;
            esac
            continue
            ;;
        esac
        case $may in
        *" $to "* | *" $included "*) ;;
        *)
            echo "$file: includes $included, but $folder may only use:${may% "$folder" }"
            n_wrong=$((n_wrong + 1))
            ;;
        esac
    done
done

# The command sees the public headers, its own, the methods it compares with, and of the libraries'
# own names, which programs of the same release may use, those that it would otherwise repeat.
for file in $(find cli examples -name '*.[ch]' 2>/dev/null | sort); do
    for included in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        case $included in
        nlsh/*.h | baselines/*.h | verbs/*.h | report/*.h | bench/*.h) ;;
        base/file.h | base/hash.h | base/output.h | base/matrix.h | base/names.h | vectors/read.h | \
            cache/directory.h | tune/run/plan.h | tune/study/studies.h | serve/serve.h | \
            ranks/ranks.h | shards/cut.h | shards/shards.h | shards/make/built.h) ;;
        */*)
            echo "$file: includes $included, which is not open to it"
            n_wrong=$((n_wrong + 1))
            ;;
        esac
    done
done

# The extension for SQLite has libnlsh inside: it may use what opens, searches and codes, and of the other library the
# header alone.
for file in $(find sqlite -name '*.[ch]' | sort); do
    for included in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        case $included in
        nlsh/nlsh.h | nlsh/learn.h) ;;
        base/* | kernels/* | router/*.h | promise/* | codes/*.h | index/* | search/* | live/*)
            case $included in
            base/job.h | base/names.h | router/train/* | codes/make/* | kernels/x86/* | kernels/arm/*)
                echo "$file: includes $included, which libnlsh does not have for others"
                n_wrong=$((n_wrong + 1))
                ;;
            esac
            ;;
        */*)
            echo "$file: includes $included, which is not open to it"
            n_wrong=$((n_wrong + 1))
            ;;
        esac
    done
done

# The server asks libnlsh, and looks into an index and a searcher for what its page shows.
for file in $(find serve -name '*.[ch]' | sort); do
    for included in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        case $included in
        nlsh/nlsh.h | serve/*.h | kernels/kernels.h | index/index.h | search/*.h) ;;
        base/clock.h | base/error.h | base/matrix.h | base/memory.h | base/rng.h) ;;
        *)
            echo "$file: includes $included, which is not open to it"
            n_wrong=$((n_wrong + 1))
            ;;
        esac
    done
done

# Ranks speak with each other; what about is the library's business. No other file knows MPI.
for file in $(find ranks -name '*.[ch]' | sort); do
    for included in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        case $included in
        ranks/ranks.h | base/ranks.h) ;;
        *)
            echo "$file: includes $included, which is not open to it"
            n_wrong=$((n_wrong + 1))
            ;;
        esac
    done
done
for file in $(grep -rl --include='*.[ch]' '<mpi\.h>' src cli serve sqlite baselines || true); do
    echo "$file: includes <mpi.h>, which only ranks/ may"
    n_wrong=$((n_wrong + 1))
done

# The Python modules stand on the public headers alone, and what opens and searches on nlsh.h alone.
for file in $(find python/src -name '*.[ch]' | sort); do
    for included in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        case $(basename "$file" | sed 's/\..*//')/$included in
        failure/nlsh/learn.h | vectors/nlsh/learn.h | names/nlsh/learn.h | content/nlsh/learn.h | \
            index/nlsh/learn.h | options/nlsh/learn.h | shared/nlsh/learn.h | writer/nlsh/learn.h | \
            search_module/nlsh/learn.h)
            echo "$file: includes $included, which a package that only searches has no part in"
            n_wrong=$((n_wrong + 1))
            ;;
        */nlsh/nlsh.h | */nlsh/learn.h) ;;
        */*/*)
            echo "$file: includes $included, which is not open to it"
            n_wrong=$((n_wrong + 1))
            ;;
        esac
    done
done

# Inside the command includes go one way: signals, exits, numbers, text, timing, layout, json; then talk; then the
# tables of verbs, and near; then args; then all else. A file may include what stands before it.
order='signals exits numbers text timing layout json talk verbs/verb verbs/shared near args'
before=''
for name in $order; do
    for file in cli/"$name".[ch]; do
        for included in $(sed -n 's/^#include "\([^"]*\)\.h".*/\1/p' "$file"); do
            case " $before $name nlsh/nlsh nlsh/learn " in
            *" $included "*) ;;
            *)
                echo "$file: includes $included.h, which stands behind it"
                n_wrong=$((n_wrong + 1))
                ;;
            esac
        done
    done
    before="$before $name"
done
if [ "$n_wrong" != 0 ]; then
    echo "$n_wrong includes against the arrows"
    exit 1
fi
