#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the CPU library and its tests for another system and runs them in an emulator:
#     tests/cross/run.sh aarch64    64-bit Arm Linux, under qemu-user
#     tests/cross/run.sh windows    MinGW-w64, under Wine
# Not part of tests/run.sh: an emulator takes minutes. Everything that is made lies in
# build/<system>; cmocka is built there from the source of the Debian package.
set -euo pipefail

root="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)"
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

system="${1:-}"
CROSS_NEEDS=("command dpkg-source dpkg-dev")
case "$system" in
    aarch64)
        toolchain="$root/tests/cross/aarch64-linux.cmake"
        CROSS_NEEDS+=(
            "command aarch64-linux-gnu-g++ g++-aarch64-linux-gnu"
            "command qemu-aarch64-static qemu-user-static"
        )
        ;;
    windows)
        toolchain="$root/tests/cross/windows-mingw.cmake"
        CROSS_NEEDS+=(
            "command x86_64-w64-mingw32-g++-posix g++-mingw-w64-x86-64-posix"
            "command wine wine"
            "file /usr/lib/wine/wine64 wine64"
        )
        ;;
    *) fail "usage: tests/cross/run.sh aarch64|windows" ;;
esac
build="$root/build/$system"
needs="$build/needs"  # cmocka and headers, where the preset looks for them

# The source of a Debian package, by a package list of our own: the system's stays as it is.
fetch_source() {  # package
    local apt="$needs/apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    echo "deb-src http://deb.debian.org/debian bookworm main" >"$apt/sources.list"
    local options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list"
        -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
        -o "Dir::Cache=$apt/cache")
    apt-get "${options[@]}" update
    (cd "$needs" && apt-get "${options[@]}" source "$1")
}

build_cmocka() {
    fetch_source cmocka
    local source
    source="$(echo "$needs"/cmocka-*/)"
    cmake -S "$source" -B "$needs/cmocka" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$toolchain" \
        -DCMAKE_BUILD_TYPE=Release -DWITH_STATIC_LIB=ON -DWITH_EXAMPLES=OFF \
        -DCMAKE_INSTALL_PREFIX="$needs"
    cmake --build "$needs/cmocka"
    cmake --install "$needs/cmocka"
}

# Headers without a system of their own; the rest of /usr/include must stay out of sight.
link_headers() {
    mkdir -p "$needs/include"
    ln -sfn /usr/include/nlohmann "$needs/include/nlohmann"
    ln -sf /usr/include/xxhash.h "$needs/include/xxhash.h"
}

echo "== packages"
ensure_needs "${BUILD_NEEDS[@]}" "${CROSS_NEEDS[@]}"
mkdir -p "$needs"
link_headers
if ! [ -e "$needs/include/cmocka.h" ]; then
    echo "== cmocka"
    build_cmocka
fi
export WINEPREFIX="$build/wine" WINEDEBUG=-all
echo "== library and tests"
(cd "$root" && cmake --workflow --preset "$system")
