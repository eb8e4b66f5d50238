# Where memory runs out the answer is whole, or an error: never a part of it with exit code 0. A library
# that is loaded before libc's makes the n-th allocation fail, for every n.
. "$(dirname "$0")/lib.sh"
make_data
make_index

cat >fail.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
typedef int main_fn(int, char **, char **);
static main_fn *real_main;
/* Counted inside of main(): the libraries start before it, gcov writes behind it, and they give up in their own ways. */
static long left;
static int due(void) { return left > 0 && --left == 0 ? (errno = ENOMEM, 1) : 0; }
void *malloc(size_t n) { return due() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return due() ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return due() ? NULL : __libc_realloc(p, n); }
static int failing_at(long n, int argc, char **argv, char **env)
{
    left = n;
    int code = real_main(argc, argv, env);
    left = 0;
    return code;
}
static void open_as(int fd, const char *path)
{
    int opened = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (opened < 0 || dup2(opened, fd) != fd) _exit(99);
    close(opened);
}
static size_t read_file(const char *path, char *bytes, size_t most)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, most);
    if (n < 0) _exit(99);
    close(fd);
    return (size_t)n;
}
/* A line for each n: the exit code, whether the file out is as the file whole, and how long err is. To start a process
 * takes longer than what it is asked: each is a copy of one that has started. */
static int each(int argc, char **argv, char **env)
{
    static char whole[1 << 16], out[1 << 16], err[1 << 16];
    size_t size = read_file("whole", whole, sizeof whole);
    for (int n = 1, quiet = 0; n <= 3000 && quiet < 120; n++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            open_as(1, "out");
            open_as(2, "err");
            return failing_at(n, argc, argv, env);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) return 99;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        int same = read_file("out", out, sizeof out) == size && memcmp(out, whole, size) == 0;
        dprintf(1, "%d %d %zu\n", code, same, read_file("err", err, sizeof err));
        quiet = code == 0 ? quiet + 1 : 0;
    }
    return 0;
}
static int counted_main(int argc, char **argv, char **env)
{
    const char *n = getenv("FAIL_AT");
    if (getenv("FAIL_EACH") != NULL) return each(argc, argv, env);
    return failing_at(n ? atol(n) : 0, argc, argv, env);
}
int __libc_start_main(main_fn *f, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader)(void), void *stack)
{
    int (*next)(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
    *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = f;
    return next(counted_main, argc, argv, init, fini, loader, stack);
}
END
if ! ${CC:-cc} -shared -fPIC -O1 -o fail.so fail.c 2>/dev/null || ! LD_PRELOAD=$PWD/fail.so true 2>/dev/null; then
    echo 'no compiler: skipped'
    exit 77
fi
if ! LD_PRELOAD=$PWD/fail.so "$nlsh" version >/dev/null 2>&1; then
    echo 'nothing may be loaded before this build: skipped'
    exit 77
fi

# survives WHAT ARGUMENT...: fails the n-th allocation until the command no longer makes so many: 120 times in a row
# it notices nothing.
survives()
{
    what=$1
    shift
    "$nlsh" "$@" >whole 2>/dev/null </dev/null || fail "$what"
    OPENBLAS_NUM_THREADS=1 FAIL_EACH=1 LD_PRELOAD=$PWD/fail.so "$nlsh" "$@" >each </dev/null || fail "$what: each"
    n=0 failed=0 quiet=0
    while read -r code is_same said; do
        n=$((n + 1)) checks=$((checks + 1))
        if [ "$code" -eq 0 ]; then
            [ "$is_same" -eq 1 ] || fail "$what: allocation $n failed, exit code 0, and another answer"
            quiet=$((quiet + 1))
            continue
        fi
        quiet=0 failed=$((failed + 1))
        case $code in 66 | 70 | 73) ;; *) fail "$what: allocation $n failed, exit code $code" ;; esac
        [ "$said" -gt 0 ] || fail "$what: allocation $n failed, and nothing was said"
    done <each
    ok "$what: some allocations matter ($failed of $n)" test $failed -gt 0
    ok "$what: to the last allocation" test $quiet -eq 120 -o $n -eq 3000
}

# METIS jumps out of itself where memory runs out, and says so in two ways.
for n in 20 30 45 60 90 130 200 300 450; do
    rm -f x.nlsh
    FAIL_AT=$n LD_PRELOAD=$PWD/fail.so "$nlsh" build -d base.fvecs -i x.nlsh -m 8 --epochs 1 --nodes 16 \
        --partitioner metis --no-cache --threads 1 -q >out 2>err </dev/null
    code=$?
    ok "METIS without allocation $n: exit code $code" test $code -eq 70
    has err 'METIS: out of memory'
    ok 'no index' test ! -e x.nlsh
done

survives 'info --json' info small.nlsh --json
survives info info small.nlsh
survives 'version --json' version --json
survives 'verify --json' verify small.nlsh --json
run 0 build -d base.fvecs -i y.nlsh -m 8 --epochs 1 --nodes 16 --threads 1 -q --cache kept
survives 'cache list --json' cache list --json --cache kept
survives 'cache list' cache list --cache kept
zst base.fvecs
if "$nlsh" convert base.fvecs.zst x.npy -q 2>/dev/null; then # a build with libzstd
    survives 'convert from .zst' convert base.fvecs.zst x.npy
fi
finish
