# A man page out of what a tool prints for --help:
#   TOOL --help | awk -f man.awk -v name=kong-pdk-demo -v about='…' -v version=0.1.0 -v date=2026-11-26
function text(line) {
    gsub(/\\/, "\\e", line)
    gsub(/-/, "\\-", line)
    sub(/^[.']/, "\\\\\\&&", line)
    return line
}
BEGIN {
    printf ".TH %s 1 %s \"Kong plugins in C %s\"\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", toupper(name), date, version, text(name), about
}
/^usage: / {
    print ".B " text(substr($0, 8))
    print ".SH DESCRIPTION"
    next
}
# "  --option VALUE   what it does", or the option alone with that on the next lines
/^  -/ {
    match($0, /^  (-[^ ]*|[A-Z|…]+|,| )*/)
    option = $0
    rest = ""
    if (match(substr($0, 3), /   *[^ ]/)) {
        option = substr($0, 3, RSTART - 1)
        rest = substr($0, RSTART + RLENGTH + 1)
    }
    sub(/^  /, "", option)
    print ".TP\n.B " text(option)
    if (rest != "") print text(rest)
    next
}
/^$/ { print ".PP"; next }
{ sub(/^ +/, ""); print text($0) }
