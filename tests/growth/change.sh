#!/bin/sh
# change.sh HOW HEADER: the header as an older or a newer version might have it, on standard output.
#
#   shorter  every struct with a struct_size lacks its last member, but for those that have only one
#   longer   every such struct has one member more, of_the_future
#
# What it has done stands in the macro NLSH_CHANGED_shorter or NLSH_CHANGED_longer.
set -eu
echo "#define NLSH_CHANGED_$1 1"
awk -v how="$1" '
# Text without its comments.
function bare(text,    from, to) {
    while ((from = index(text, "/*")) > 0) {
        to = index(substr(text, from + 2), "*/")
        text = substr(text, 1, from - 1) substr(text, from + to + 3)
    }
    return text
}
# A struct from its first line to its last, comments taken out.
function changed(text,    members, n, i, out) {
    n = split(text, members, ";") # the last but one ends in the closing brace
    if (how == "longer") return substr(text, 1, match(text, /};[^;]*$/) - 1) "    uint64_t of_the_future;\n};"
    if (n <= 4) return text # struct_size, one member, the brace, what is behind it
    for (i = 1; i <= n - 3; i++) out = out members[i] ";"
    return out "\n};"
}
/^struct nlsh_[a-z_]+ \{$/ { inside = 1; text = "" }
{
    if (!inside) { print; next }
    text = text $0 "\n"
    if ($0 !~ /^};/) next
    inside = 0
    plain = bare(text)
    print (plain ~ /\{\n *size_t struct_size;/ ? changed(plain) : text)
}' "$2"
