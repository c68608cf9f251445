# The reference of the library, out of the comments of its headers. usage:
#   awk -f docs.awk -v format=md|man -v version=0.1.0 -v date=2026-01-31 kong.h kong_event.h …
#
# A header begins with a comment, which says what is in it. "/* --- Title --- */" begins a section of it.
# A comment directly above a declaration belongs to it and to those that follow without a blank line. Of
# a macro only its head is shown. Text that is indented in a comment is shown as it is. What stands behind
# "--- Not for use" is left out.

function flush_text() {
    if (paragraph != "") {
        if (format == "md") print (bullet ? "- " : "") escape_md(paragraph) "\n"
        else if (bullet) print ".IP \\(bu 2\n" wrapped(paragraph)
        else { space(); print wrapped(paragraph) }
    }
    paragraph = ""
    bullet = 0
}

# A paragraph's beginning, which roff does not want right behind a heading.
function space() {
    if (!fresh) print ".PP"
    fresh = 0
}

# Markdown's own characters, but for those in `code`.
function escape_md(text,    parts, count, i, out) {
    gsub(/…/, "...", text)
    count = split(text, parts, "`")
    for (i = 1; i <= count; i++) {
        if (i % 2 == 1) {
            gsub(/[*]/, "\\*", parts[i])
            gsub(/</, "\\&lt;", parts[i])
        }
        out = out (i > 1 ? "`" : "") parts[i]
    }
    return out
}

function escape_man(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/…/, "...", text)
    return text
}

# Text for man: lines of less than 80 characters, none of which is taken for a request.
function wrapped(text,    words, count, i, line, out) {
    count = split(escape_man(text), words, " ")
    line = out = ""
    for (i = 1; i <= count; i++) {
        if (line != "" && length(line) + 1 + length(words[i]) > 78) {
            out = out guard(line) "\n"
            line = ""
        }
        line = line == "" ? words[i] : line " " words[i]
    }
    return out guard(line)
}

function guard(line) {
    return line ~ /^['.]/ ? "\\&" line : line
}

function begin_code() {
    if (!in_code && format == "md") print "```c"
    else if (!in_code) { space(); print ".RS 4\n.nf" }
    in_code = 1
}

function end_code() {
    if (in_code) print format == "md" ? "```\n" : ".fi\n.RE"
    in_code = 0
}

function code(line) {
    begin_code()
    if (format == "md") { print line; return }
    line = escape_man(line)
    print line == "" ? "\\&" : guard(line)
}

function heading(level, title) {
    flush_text()
    if (format == "md") print (level == 1 ? "## " : level == 2 ? "### " : "#### ") escape_md(title) "\n"
    else if (level == 1) print ".SH " toupper(escape_man(title))
    else print ".SS " escape_man(title)
    fresh = 1
}

# The lines of a comment, without its marks, as paragraphs and code.
function print_comment(    i, line, blank) {
    blank = 0
    for (i = 1; i <= comment_lines; i++) {
        line = comment[i]
        if (line ~ /^    /) {
            flush_text()
            if (blank && in_code) code("")
            code(substr(line, 5))
            blank = 0
            continue
        }
        if (line == "") {
            flush_text()
            blank = 1
            continue
        }
        end_code()
        blank = 0
        # What begins a line of its own in the headers does so here.
        if (line ~ /^(Phases:|- |nil:|KONG_E_[A-Z]+:)/ || after_phases) flush_text()
        after_phases = (line ~ /^Phases:/ || in_phases) && line ~ /\.$/
        in_phases = (line ~ /^Phases:/ || in_phases) && line !~ /\.$/
        if (sub(/^- /, "", line)) bullet = 1
        sub(/^ +/, "", line)
        paragraph = paragraph == "" ? line : paragraph " " line
    }
    after_phases = in_phases = 0
    end_code()
    flush_text()
}

# A declaration joins those right above it; their common comment follows them.
function print_declaration(    i) {
    for (i = 1; i <= declaration_lines; i++) code(declaration[i])
    declaration_lines = 0
}

function finish() {
    end_code()
    if (pending) print_comment()
    pending = 0
}

function add_comment(text) {
    sub(/^ \*( |$)/, "", text)
    sub(/^\/\* ?/, "", text)
    sub(/ *\*\/ *$/, "", text)
    comment[++comment_lines] = text
}

# The first sentence of a header's first comment.
function first_sentence(file,    line, text, at_end) {
    while (!at_end && (getline line <file) > 0) {
        at_end = line ~ /\*\/ *$/ || (text != "" && line ~ /^ \*$/)
        sub(/^\/?\*+ ?/, "", line)
        sub(/^ \* ?/, "", line)
        sub(/ *\*\/ *$/, "", line)
        text = text (text == "" ? "" : " ") line
    }
    close(file)
    if (match(text, /\.( |$)/)) text = substr(text, 1, RSTART)
    return text
}

# GitHub's name of a heading that is a file's name.
function anchor(title) {
    gsub(/\./, "", title)
    return title
}

function print_contents(    i, title) {
    for (i = 1; i < ARGC; i++) {
        if (ARGV[i] !~ /\.h$/) continue
        title = ARGV[i]
        sub(/.*\//, "", title)
        print "- [" title "](#" anchor(title) "): " escape_md(first_sentence(ARGV[i]))
    }
    print ""
}

BEGIN {
    if (format == "md") {
        print "# kong-pdk " version "\n\nKong plugins in C. `#include <kong.h>`, and for tests `#include <kong_test.h>`.\n"
        print_contents()
    } else {
        print ".TH KONG-PDK 3 \"" date "\" \"kong-pdk " version "\" \"Kong plugins in C\""
        print ".SH NAME\nkong\\-pdk \\- Kong plugins in C\n.SH SYNOPSIS\n.nf\n.B #include <kong.h>\n"  \
              ".B cc my.c $(pkg\\-config \\-\\-cflags \\-\\-libs kong\\-pdk)\n"  \
              ".B cc test_my.c $(pkg\\-config \\-\\-cflags \\-\\-libs kong\\-pdk\\-test)\n.fi"
    }
}

FNR == 1 {
    finish()
    name = FILENAME
    sub(/.*\//, "", name)
    hidden = first_done = in_comment = depth = in_declaration = in_macro = 0
    heading(1, name)
}

hidden { next }

# Comments on lines of their own.
in_comment || (/^\/\*/ && !in_declaration && !in_macro) {
    if (!in_comment) { finish(); comment_lines = 0 }
    in_comment = $0 !~ /\*\/ *$/
    add_comment($0)
    if (in_comment) next
    if (comment[1] ~ /^--- Not for use/) { hidden = 1; next }
    if (comment[1] ~ /^--- .* -+$/) {
        title = comment[1]
        gsub(/^--- | -+$/, "", title)
        heading(2, title)
    } else if (!first_done) {
        first_done = 1
        print_comment()
    } else {
        pending = 1
    }
    next
}

in_macro { in_macro = /\\$/; next }

/^ *# *define / && !in_declaration {
    in_macro = /\\$/
    line = $0
    sub(/^ *# *define +/, "", line)
    if (match(line, /^[A-Za-z_0-9]+\([^)]*\)/)) {
        declaration[++declaration_lines] = substr(line, 1, RLENGTH)
        print_macro = 1
        text = substr(line, RLENGTH + 1)
        if (match(text, /\/\* .* \*\//)) declaration[declaration_lines] = declaration[declaration_lines] " " substr(text, RSTART, RLENGTH)
        print_declaration()
    }
    next
}

/^ *#/ && !in_declaration { next }
/^extern "C" \{$/ { next }
/^}$/ && !in_declaration { next }

/^ *$/ && !in_declaration { finish(); next }

{
    line = $0
    bare = line
    gsub(/\/\*[^*]*\*\//, "", bare)
    if (!in_declaration && line ~ /^static inline .*\{$/) {
        sub(/ \{$/, ";", line)
        sub(/^static inline /, "", line)
        declaration[++declaration_lines] = line
        in_body = 1
    } else if (!in_body) {
        declaration[++declaration_lines] = line
    }
    in_declaration = 1
    depth += gsub(/[{]/, "{", bare) - gsub(/[}]/, "}", bare)
    if (depth == 0 && (bare ~ /[;}] *$/)) {
        in_declaration = in_body = 0
        print_declaration()
    }
}

END { finish() }
