#!/bin/sh
# warm.sh APP: keeps beside our sources what Node makes of them, without types and compiled, so that no process in a
# container has to: a container cannot keep anything from one start to the next.
set -eu
kept="$1/.compile-cache"
export NODE_COMPILE_CACHE="$kept" NODE_COMPILE_CACHE_PORTABLE=1
for command in bridge functions node; do "$1/runtime/cli/main.js" "$command" --help >/dev/null; done
# Node has a folder for each user. Whoever makes the image, our processes are nobody, and the node runtime is root.
made=$(echo "$kept"/*)
[ -d "$made" ] || { echo "Node kept nothing in $kept" >&2; exit 1; }
common="$kept/$(basename "${made%-*}")"
[ "$made" = "$common-0" ] || mv "$made" "$common-0"
ln -s "$(basename "$common")-0" "$common-65532"
chmod -R a+rX "$kept"
