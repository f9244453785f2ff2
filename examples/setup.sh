# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by quickstart.sh and tests/run.sh: which Debian packages they need, and how what is
# missing gets installed. Asks dpkg first, so a machine that has everything needs no network.

# shellcheck disable=SC2034  # used by the scripts that source this
MMOE_BUILD_PACKAGES=(g++ cmake ninja-build nlohmann-json3-dev libxxhash-dev libcli11-dev)
# shellcheck disable=SC2034
MMOE_TEST_PACKAGES=("${MMOE_BUILD_PACKAGES[@]}" libcmocka-dev pkg-config python3)

# say WORDS...: one line of progress.
say() { printf '== %s\n' "$*"; }

# Whether a package is installed, not merely known.
is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# require_packages NAME...: installs what is missing, as root or by sudo without a password.
# Otherwise prints the command that an administrator has to run, and fails.
require_packages() {
    if ! command -v dpkg-query >/dev/null; then
        say "not a Debian system: expecting the equivalents of $*"
        return
    fi
    local name missing=() as_root=()
    for name in "$@"; do
        is_installed "$name" || missing+=("$name")
    done
    if ((${#missing[@]} == 0)); then
        say "all ${#} packages are installed"
        return
    fi
    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            printf 'missing packages; run this first:\n    sudo apt-get install %s\n' \
                "${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
}
