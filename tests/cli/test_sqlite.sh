# `nlsh sqlite`: commands to a table in an SQLite file. The table is made by the extension, so nlsh0.so and the shell of
# SQLite are needed.
. "$(dirname "$0")/lib.sh"
module=$(dirname "$nlsh")/sqlite/nlsh0.so
command -v sqlite3 >/dev/null || { echo 'skipped: no sqlite3'; exit 77; }
[ -e "$module" ] || { echo 'skipped: no nlsh0.so'; exit 77; }
# a sanitizer's runtime would have to be loaded before the shell
sqlite3 :memory: ".load $module" 'SELECT 1' >/dev/null 2>&1 || { echo 'skipped: sqlite3 does not load nlsh0.so'; exit 77; }
sql() { sqlite3 -cmd ".load $module" photos.db "$1"; }

sql "CREATE VIRTUAL TABLE photos USING nlsh(e float[8]);
     CREATE TABLE other(x);
     WITH RECURSIVE i(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM i WHERE n < 1200)
     INSERT INTO photos(rowid, e) SELECT n, json_array(n % 7, n % 11, n % 13, n / 100, n % 5, n % 3,
         n % 17, 1) FROM i;" || fail 'the table is made'

run 0 sqlite verify photos.db photos
has err 'photos.db: table photos: verify done'
run 0 sqlite train photos.db PHOTOS --threads 2 --no-cache
ok 'something was learned' test "$(sql "SELECT value != 0 FROM photos_info WHERE name = 'generation'")" = 1
ok 'a vector is found' test "$(sql "SELECT rowid FROM photos WHERE e MATCH (SELECT vector FROM
    photos_vectors WHERE id = 77) AND k = 1")" = 77
sql 'DELETE FROM photos WHERE rowid < 100'
ok 'entries of what is gone are there' test "$(sql "SELECT value FROM photos_info WHERE name = 'stale'")" = 99
run 0 sqlite optimize photos.db photos --quiet
ok 'and then not' test "$(sql "SELECT value FROM photos_info WHERE name = 'stale'")" = 0
run 0 sqlite verify photos.db photos
run 0 sqlite calibrate photos.db photos --no-cache
run 0 sqlite verify photos.db photos

sql "UPDATE photos_buckets SET n = n + 1 WHERE bucket = 0"
run 1 sqlite verify photos.db photos
has err 'bucket 0 has'
run 65 sqlite train photos.db nothing
has err 'no table is called nothing'
run 65 sqlite train photos.db other
has err 'holds no vectors of nlsh'
run 66 sqlite train nothing.db photos
run 2 sqlite dance photos.db photos
has err 'no command dance'
run 2 sqlite train photos.db
echo 'no database, and long enough not to be taken for a torn one' >text.db
run 65 sqlite verify text.db photos
finish
