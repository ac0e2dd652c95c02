#!/bin/sh
# Builds the helper: sh build.sh FOLDER product|test. `test` makes causeway-tracker-test, which makes faults on request.
set -eu
source=$(cd "$(dirname "$0")" && pwd)
folder=$1
name=causeway-tracker
defines=
if [ "${2:-product}" = test ]; then
  name=causeway-tracker-test
  defines=-DTEST_BUILD
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# clang for BPF does not look into the folder of the architecture, where Debian has <asm/types.h>. The compiled
# programs do not depend on the folder that they are built in: a hash of them says which ones a kernel has loaded.
(cd "$source" && clang -O2 -g -fdebug-compilation-dir=. -Wall -Werror -target bpf -mcpu=v3 $defines \
  -I"/usr/include/$(gcc -print-multiarch)" -c marks.bpf.c -o "$work/marks.o")
llvm-strip -g "$work/marks.o"
programs=$(sha256sum "$work/marks.o" | cut -c 1-16)
gcc -O2 -Wall -Wextra -Werror -Wno-sign-compare -static -s $defines -DMARKS="\"$work/marks.o\"" -DPROGRAMS="\"$programs\"" \
  -o "$work/$name" $(ls "$source"/*.c | grep -v '\.bpf\.c$') "$source/marks.S" -lbpf -lelf -lz
mkdir -p "$folder"
# Renamed into place: a reader never sees half a program.
cp "$work/$name" "$folder/.$name.$$"
mv "$folder/.$name.$$" "$folder/$name"
