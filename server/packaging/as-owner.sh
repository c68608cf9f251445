#!/bin/sh
# Runs a command as the owner of this directory, when root runs it: `sudo make install` leaves nothing of root's in the tree.
owner=$(stat -c %u .)
group=$(stat -c %g .)
if [ "$(id -u)" != 0 ] || [ "$owner" = 0 ]; then
    exec "$@"
fi
if command -v setpriv >/dev/null; then
    exec setpriv --reuid "$owner" --regid "$group" --clear-groups -- "$@"
fi
echo "as-owner: no setpriv here (package util-linux): build as the owner of this directory first, then install" >&2
exit 2
