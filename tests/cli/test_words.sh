# Words that are keys: from GloVe's text to answers that are words.
. "$(dirname "$0")/lib.sh"

# 300 words in three rings of numbers, some of them odd: with spaces, numbers, signs, quotes.
awk 'BEGIN {
    for (i = 0; i < 300; i++) {
        word = i == 3 ? ". . ." : i == 4 ? "2008" : i == 5 ? "say,\"hi\"" : i == 6 ? "-" : "w" i
        printf "%s %g %g %g %g\n", word, i % 3 * 50, i, i % 7, (i * i) % 11
    }
}' >glove.txt
run 0 convert glove.txt glove.fvecs --keys-out glove.words
ok 'a word a line, in the order of the rows' test "$(sed -n '4p;5p;7p;8p' glove.words | tr '\n' /)" = '. . ./2008/-/w7/'
ok 'as many as vectors' test "$(wc -l <glove.words)" -eq 300
(echo 300 4; cat glove.txt) | gzip >titled.txt.gz
run 0 convert titled.txt.gz titled.fvecs --keys-out titled.words
ok 'a title, gzipped: the same words' cmp glove.words titled.words

run 65 convert glove.fvecs x.npy --keys-out x.words
has err 'fvecs holds no words' 'only text has words'
echo '0.1 0.2 0.3' >plain.txt
run 65 convert plain.txt x.npy --keys-out x.words
has err 'plain.txt: line 1 has no word before its numbers'
ok 'nothing is written then' test ! -e x.npy -a ! -e x.words
run 2 convert - x.npy --keys-out x.words
has err 'standard input'
run 73 convert glove.txt x.npy --keys-out no/x.words
run 2 convert glove.txt x.words --to fvecs --keys-out x.words

quick='-m 8 --epochs 3 --nodes 32 --partitioner kmeans -q'
# shellcheck disable=SC2086
run 0 build -d glove.fvecs -i glove.nlsh $quick --keys glove.words
head -n 8 glove.txt >few.txt
run 0 search -i glove.nlsh -q few.txt -N 2 -T 8 --words glove.words
awk '/^Nearest neighbor-1/ { sub(/^[^:]*: /, ""); print }' out >answers
head -n 8 glove.words >wanted
ok 'the nearest of each word is the word itself' cmp wanted answers
run 0 search -i glove.nlsh -q few.txt -N 2 -T 8 --words glove.words --format csv
has out '5,nearest,1,"say,""hi""",0,0' '4,nearest,1,"2008",0,0'
run 0 search -i glove.nlsh -q few.txt -N 2 -T 8 --words glove.words --format json -R 2
has out '"id":"say,\"hi\""' '"rNear":["w0"'
run 0 search -i glove.nlsh -q few.txt -N 1 -T 8 --format csv
ok 'without --words keys stay bare numbers' awk -F, 'NR == 2 { exit !($4 ~ /^[0-9]+$/) }' out

# Words allow, delete and are put, too.
head -n 20 glove.words >allowed.words
run 0 search -i glove.nlsh -q few.txt -N 3 -T 8 --words glove.words --filter allowed.words --format csv
cut -d, -f4 out | tr -d '"' | grep ^w | sort -u >answers
ok 'only words that are allowed' sh -c 'test -s answers && ! grep -v -x -F -f allowed.words answers'
echo w0 >gone.words
run 0 delete -i glove.nlsh --keys gone.words
has err '1 of 1 vectors'
echo 'king 0 1000 0 0' >new.txt
echo king >new.words
run 0 add -i glove.nlsh -d new.txt --keys new.words
run 65 search -i glove.nlsh -q new.txt -N 1 -T 8 --words glove.words
has err '--words: no word has the key' 'nlsh build --keys'
cat new.words >>glove.words
run 0 search -i glove.nlsh -q new.txt -N 1 -T 8 --words glove.words
has out 'Nearest neighbor-1: king'

# What is wrong in a file of words is said with its line and the word.
(sed 9s/.*/w2/ titled.words) >twice.words
# shellcheck disable=SC2086
run 65 build -d glove.fvecs -i x.nlsh $quick --keys twice.words
has err 'line 9: w2 is there twice, first on line 3'
sed 9s/.*// titled.words >hole.words
# shellcheck disable=SC2086
run 65 build -d glove.fvecs -i x.nlsh $quick --keys hole.words
has err 'hole.words, line 9: an empty line'
run 66 search -i glove.nlsh -q few.txt --words nothing.words
run 2 search --models_index index.json -q few.txt --words glove.words
no_leftovers
finish
