# A section that a newer nlsh wrote, and this one does not know: info says that it is left out.
. "$(dirname "$0")/lib.sh"
make_data
make_index

cat >newer.c <<'END'
#define XXH_INLINE_ALL
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
/* FILE: gives the last section that readers may leave out a number that none knows: docs/index-format.md. */
int main(int argc, char **argv)
{
    static unsigned char bytes[64 + 32 * 256];
    FILE *file = argc > 1 ? fopen(argv[1], "r+b") : NULL;
    uint32_t n, id = 77;
    if (file == NULL || fread(bytes, 1, sizeof bytes, file) < 64) return 1;
    memcpy(&n, bytes + 24, 4);
    unsigned char *last = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if ((bytes[64 + 32 * i + 4] & 1) == 0) last = bytes + 64 + 32 * i;
    }
    if (last == NULL) return 1;
    memcpy(last, &id, 4);
    static unsigned char hashed[56 + 32 * 256];
    memcpy(hashed, bytes, 56);
    memcpy(hashed + 56, bytes + 64, 32 * n);
    uint64_t hash = XXH3_64bits(hashed, 56 + 32 * n);
    memcpy(bytes + 56, &hash, 8);
    rewind(file);
    return fwrite(bytes, 1, 64 + 32 * n, file) != 64 + 32 * n || fclose(file) != 0;
}
END
if ! ${CC:-cc} -O1 -o newer newer.c 2>/dev/null; then
    echo 'no compiler or no xxhash: skipped'
    exit 77
fi
run 0 info small.nlsh --json
lacks out '"used": false'
run 0 info small.nlsh
lacks out 'left out'
cp small.nlsh new.nlsh
ok 'a newer index was made' ./newer new.nlsh
run 0 verify new.nlsh
run 0 info new.nlsh
has out 'unknown' 'left out'
has err '1 section is left out' 'newer nlsh'
ok 'info of it fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
run 0 info new.nlsh --json
has out '"unknown"' '"used": false' '"used": true'
finish
