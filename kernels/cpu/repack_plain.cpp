// SPDX-License-Identifier: Apache-2.0
// What repacking has on processors for which nothing faster than plain code is written.
#include "cpu/launch.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {

PackTiles pack_tiles(Tier /*tier*/) {
    return &portable::pack_tiles;
}
PackMarlin pack_marlin(Tier /*tier*/) {
    return nullptr;
}
Turn turn_words(Tier /*tier*/) {
    return nullptr;
}
Turn turn_awq(Tier /*tier*/) {
    return nullptr;
}
PackFileTiles pack_file_tiles(Tier /*tier*/) {
    return nullptr;
}
PackFileMarlin pack_file_marlin(Tier /*tier*/) {
    return nullptr;
}

}  // namespace mmoe::cpu
