# limited COMMAND...: runs it; as root with NLSH_LIMIT=400M in a control group of memory (version 1) that holds it to so much,
# in which pages of files count as well. For other scripts to read.
limited() {
    if [ -z "${NLSH_LIMIT:-}" ]; then
        "$@"
        return
    fi
    group=/sys/fs/cgroup/memory/nlsh-$$
    mkdir -p "$group"
    echo "$NLSH_LIMIT" >"$group/memory.limit_in_bytes"
    sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" "$@"
    rmdir "$group"
}
