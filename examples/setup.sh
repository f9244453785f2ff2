# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# What building needs, and how to get it on Debian. Sourced by examples/quickstart.sh and
# tests/run.sh. A need is "<kind> <probe> <package>"; apt is asked only for what a probe misses.

BUILD_NEEDS=(
    "command c++ build-essential"
    "command cmake cmake"
    "command ninja ninja-build"
    "header nlohmann/json.hpp nlohmann-json3-dev"
    "header xxhash.h libxxhash-dev"
)
# Without these the tests of a language or a tool are skipped, and say so.
TEST_WISHES=(
    "command cargo cargo"
    "command go golang-go"
    "command luajit luajit"
    "command doxygen doxygen"
    "file /usr/share/doxygen-awesome-css doxygen-awesome-css"
    "command man man-db"
    "command abidiff abigail-tools"
)
TEST_NEEDS=(
    "header cmocka.h libcmocka-dev"
    "command pkg-config pkg-config"
    "command python3 python3"
)

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

has_need() {  # kind probe
    case "$1" in
        command) command -v "$2" >/dev/null ;;
        file) [ -e "$2" ] ;;
        header) echo "#include <$2>" | c++ -E -x c++ - >/dev/null 2>&1 ;;
    esac
}

# Prints what has to stand before apt-get, or fails where packages cannot be installed.
install_prefix() {  # package...
    local wanted="apt-get install -y --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        fail "missing: $*. There is no apt-get here; install their equivalents and run this again."
    if [ "$(id -u)" -eq 0 ]; then
        return
    fi
    if ! sudo -n true 2>/dev/null; then
        fail "missing packages, and no right to install them. Run: sudo apt-get update && sudo $wanted"
    fi
    echo "sudo -n"
}

install_missing() {  # need...
    local missing=() need kind probe package prefix
    for need in "$@"; do
        read -r kind probe package <<<"$need"
        has_need "$kind" "$probe" || missing+=("$package")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        prefix="$(install_prefix "${missing[@]}")" || return 1
        echo "Installing: ${missing[*]}"
        # shellcheck disable=SC2086  # the prefix is empty or two words
        $prefix apt-get update -qq || return 1
        # shellcheck disable=SC2086
        $prefix env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null || return 1
    fi
}

offer_wishes() {  # need...
    (install_missing "$@") || echo "Going on without: some tests will be skipped."
}

ensure_needs() {  # need...
    install_missing "$@" || fail "packages could not be installed"
    local version
    version="$(cmake --version | awk 'NR == 1 { print $3 }')"
    [ "$(printf '%s\n' 3.25 "$version" | sort -V | head -n 1)" = 3.25 ] ||
        fail "CMake 3.25 or later is needed, found $version"
}
