#!/bin/sh
# prune.sh NODE_MODULES: takes out of production dependencies what no process of ours reads at run time.
set -eu
cd "$1"
# Node itself, which the image has, and checkers: optional dependencies, since there is one for each platform.
rm -rf node-linux-* @biomejs @effect/tsgo*
# A client of Redis that nothing here imports, and what is there for another runtime, Bare.
rm -rf @redis bare-*
# Sources and declarations of what is there compiled, and what is written for people.
rm -rf effect/src effect/ai-docs @types .package-lock.json
find . -type f \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' -o -iname '*.md' \) -delete
find . -type d -empty -delete
