#!/usr/bin/env bash
# kong_schema.h: what is wrong with a table's types does not compile, in C and in C++20; what is right does, without a
# warning.
#
#   check-rows.sh CC CXX     CXX: "" where there is none
set -euo pipefail
cd "$(dirname "$0")/../.."
bad=0 tried=0
warn=(-Wall -Wextra -Wconversion -Wshadow -Werror -Iserver/include -Iproto -fsyntax-only)

# try yes|no TITLE <source
try() {
    local source compiled language
    source=$(cat)
    for language in c c++; do
        if [[ $language == c ]]; then command=("$cc" -std=gnu11); else command=("$cxx" -std=c++20); fi
        [[ -n ${command[0]} ]] || continue
        tried=$((tried + 1))
        if printf '%s\n%s\n' "$head" "$source" | "${command[@]}" "${warn[@]}" -x $language - 2>/dev/null; then compiled=yes; else compiled=no; fi
        [[ $compiled == "$1" ]] || { echo "rows: $language: $2: compiles $compiled, not $1"; bad=1; }
    done
}

cc=$1 cxx=$2
head='#include "kong.h"
struct one { const char *text; int64_t number; };
struct two { const char *text; int64_t number; };
KONG_ENTRY(weight, double);
struct all { struct one inner; const char *my_greeting; const char *standard; KONG_MAP_OF_ENTRIES(struct weight) weights; };
extern const struct kong_schema schema;
static const KONG_FIELDS(struct one) ones[] = {KONG_STRING_FIELD(struct one, text), KONG_INTEGER_FIELD(struct one, number)};'

try yes "fields of the struct" <<<'const struct kong_schema schema = KONG_SCHEMA(struct one, ones);'
try no "fields of another struct" <<<'const struct kong_schema schema = KONG_SCHEMA(struct two, ones);'
try no "a record with fields of another struct" <<<'
struct outer { struct two inner; };
static const KONG_FIELDS(struct outer) outers[] = {KONG_RECORD_FIELD(struct outer, inner, KONG_RECORD_OF(struct two, ones))};
const struct kong_schema schema = KONG_SCHEMA(struct outer, outers);'
try no "a row of another type" <<<'
static const KONG_FIELDS(struct one) rows[] = {KONG_BOOLEAN_FIELD(struct one, number)};
const struct kong_schema schema = KONG_SCHEMA(struct one, rows);'
try yes "names that are none in C, entries with a name" <<<'
static double weigh(const struct weight *weight) { return weight->value; }
double sum(const struct all *all);
double sum(const struct all *all) { return weigh(&all->weights.entries[0]); }
static const KONG_FIELDS(struct all) rows[] = {
    KONG_RECORD_FIELD(struct all, inner, KONG_RECORD_OF(struct one, ones)),
    KONG_STRING_FIELD(struct all, my_greeting, .name = "my-greeting", .required = true),
    KONG_STRING_FIELD(struct all, standard, .name = "default"),
    KONG_MAP_FIELD(struct all, weights, KONG_STRING_ITEM(), KONG_NUMBER_ITEM()),
};
const struct kong_schema schema = KONG_SCHEMA(struct all, rows);'
[[ $bad -eq 0 ]] && echo "rows: $tried tables tried, those with a mistake do not compile"
exit $bad
