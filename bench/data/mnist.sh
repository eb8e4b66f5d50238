#!/bin/sh
# mnist.sh FOLDER: MNIST's four files, fetched into a folder and compared with what was published. `./dev data mnist` calls it.
# $NLSH_MNIST_URL says from where; the publisher's own page no longer gives them to programs.
set -eu
cd "$1"
url=${NLSH_MNIST_URL:-https://storage.googleapis.com/cvdf-datasets/mnist}
while read -r sum name; do
    if [ ! -e "$name.gz" ]; then
        echo "fetching $url/$name.gz"
        curl -fsSL -o "$name.gz.new" "$url/$name.gz"
        mv "$name.gz.new" "$name.gz"
    fi
    if [ "$(gzip -dc "$name.gz" | sha256sum)" != "$sum  -" ]; then
        echo "error: $1/$name.gz is not the file that was published" >&2
        echo "hint: remove it, and fetch it again, or from elsewhere with NLSH_MNIST_URL" >&2
        exit 1
    fi
done <<END
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte
END
