#!/bin/sh
# Runs a command with one version of clang-format or clang-tidy, whatever the distribution has: others format some
# places differently and find other things. Debian's package of that version is taken, else the wheel from PyPI.
# Where neither can be had it says so, and ends with status 0.
#
#   with-tool.sh clang-format|clang-tidy DIRECTORY COMMAND…     DIRECTORY keeps what was found or installed
set -eu
version=14
wheel=14.0.6
tool=$1
dir=$2
shift 2
[ "$tool" = clang-format ] || [ "$tool" = clang-tidy ] || { sed -n 6p "$0" >&2; exit 2; }

is_right() { "$1" --version 2>/dev/null | grep -q "version $version\\."; }

find_tool() {
    for candidate in "$dir/bin/$tool" "$tool-$version" "$tool"; do
        if is_right "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    # the wheel's own file: it has no launcher where there is no venv
    python3 -m pip --disable-pip-version-check install --quiet --no-deps --target "$dir/wheel-$tool" \
        "$tool==$wheel" >"$dir/pip.log" 2>&1 || return 1
    found=$(find "$dir/wheel-$tool" -path "*/data/bin/$tool" -type f | head -n 1)
    [ -n "$found" ] && is_right "$found" || return 1
    # the wheel has no stdbool.h and the like: those of a compiler that is here
    lib=${found%/bin/*}/lib/clang/$wheel
    headers=$(clang -print-resource-dir 2>/dev/null)/include
    [ -e "$headers/stdbool.h" ] || headers=$(dirname "$(gcc -print-file-name=include/stdbool.h)")
    mkdir -p "$lib"
    ln -sfn "$headers" "$lib/include"
    echo "$found"
}

mkdir -p "$dir/bin"
if ! path=$(find_tool); then
    echo "SKIPPED - $tool: no version $version (Debian's $tool-$version, or python3 with pip for PyPI's wheel)"
    exit 0
fi
case $path in
"$dir"/bin/*) ;;
/*) ln -sf "$path" "$dir/bin/$tool" ;;
*) ln -sf "$PWD/$path" "$dir/bin/$tool" ;;
esac
PATH=$(cd "$dir/bin" && pwd):$PATH
export PATH
exec "$@"
