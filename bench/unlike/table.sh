#!/bin/sh
# table.sh FOLDER [BENCH]: the table of docs/recall.md about queries from elsewhere, as CSV. FOLDER holds the sets and
# their indexes as they are named below; what is not there is left out. Exits with 1 where a query from elsewhere is
# not noticed, one of the base's own kind is, or a cautious search falls short.
#
#   fashion.nlsh, fashion-t10k.gz   Fashion-MNIST's training images, and its test images
#   mnist-t10k.gz                   MNIST's test images
#   use.nlsh, use-base.npy          sentence embeddings (--metric cosine): word glosses,
#   use-query.npy, use-other.npy    other glosses, and descriptions of packages
#   glove.nlsh, glove-base.fvecs    word vectors (--metric cosine),
#   glove-query.fvecs               and others
#   sift.nlsh, sift-query.bvecs
set -u
folder=$1 bench=${2:-build/release/bench_unlike} wrong=0
echo "name,queries,k,asked,reached,error,candidates,outside,expected,far,noticed,cautious,error,candidates"

# ask INDEX SET NAME [FLAGS]
ask() {
    index=$folder/$1 set_=$folder/$2 name=$3
    shift 3
    if [ ! -e "$index" ] || [ ! -e "$set_" ]; then return; fi
    "$bench" --index "$index" --set "$set_" --name "$name" "$@" || wrong=1
}

# own INDEX SET NAME: five samples of the base's own kind
own() {
    for first in 0 1 2 3 4; do
        line=$(ask "$1" "$2" "$3" --first $((first * 1000)) --queries 1000)
        echo "$line"
        case $line in *,unlike,*) wrong=1 ;; esac
    done
}

ask fashion.nlsh mnist-t10k.gz "MNIST's digits"
ask fashion.nlsh fashion-t10k.gz "shifted by three pixels" --shift 3
ask fashion.nlsh fashion-t10k.gz "upside down" --flip
ask use.nlsh use-base.npy "the mean of two glosses" --means 2
ask glove.nlsh glove-base.fvecs "the mean of three words" --means 3
own fashion.nlsh fashion-t10k.gz "Fashion-MNIST"
own use.nlsh use-query.npy "glosses"
own glove.nlsh glove-query.fvecs "words"
own sift.nlsh sift-query.bvecs "SIFT"
line=$(ask use.nlsh use-other.npy "descriptions of packages")
echo "$line"
case $line in *,unlike,*) wrong=1 ;; esac
exit $wrong
