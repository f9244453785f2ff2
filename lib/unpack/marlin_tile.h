// SPDX-License-Identifier: Apache-2.0
// One Marlin tile from canonical words and back, four words at a time.
//
// A tile's outputs fall into four quarters, and the words of one group - four words, one a quarter
// - hold the same inputs of four outputs a quarter apart. So a vector register takes one canonical
// word of four such outputs, and every field moves by one shift and one mask. Which field goes
// where is asked of layout/marlin.h while compiling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/four.h"
#include "layout/marlin.h"

namespace mmoe {

template <int bits, layout::MarlinTile tile>
struct MarlinTileMap {
    static constexpr int kInputs = layout::marlin_tile_inputs(tile);
    static constexpr int kOutputs = layout::marlin_tile_outputs(tile);
    static constexpr int kWords = layout::marlin_tile_words(bits);
    static constexpr int kFields = 32 / bits;
    static constexpr int kRowWords = kInputs / kFields;  // canonical words of one output
    static constexpr int kQuarter = kOutputs / 4;        // outputs
    static constexpr int kStep = bits / 4;  // from the word of one quarter to that of the next
    static constexpr int kGroups = kWords / 4;

    // Word of group `group` that belongs to the first quarter.
    [[nodiscard]] static constexpr int first_word(int group) noexcept {
        return group / kStep * kStep * 4 + group % kStep;
    }
    // Group whose words hold output n of each quarter and input k.
    [[nodiscard]] static constexpr int group_of(int k, int n) noexcept {
        const auto word = static_cast<int>(layout::marlin_place_in_tile(k, n, bits, tile).word);
        return word / (4 * kStep) * kStep + word % kStep;
    }

    // What the file comment says of quarters.
    [[nodiscard]] static constexpr bool quarters_are_alike() noexcept {
        for (int k = 0; k < kInputs; ++k) {
            for (int n = 0; n < kOutputs; ++n) {
                const auto place = layout::marlin_place_in_tile(k, n, bits, tile);
                const auto first = layout::marlin_place_in_tile(k, n % kQuarter, bits, tile);
                if (place.field != first.field) return false;
                if (place.word != first.word + n / kQuarter * kStep) return false;
                if (first_word(group_of(k, n % kQuarter)) != first.word) return false;
            }
        }
        return true;
    }
};
static_assert(MarlinTileMap<4, layout::MarlinTile::kK16N64>::quarters_are_alike());
static_assert(MarlinTileMap<8, layout::MarlinTile::kK16N64>::quarters_are_alike());
static_assert(MarlinTileMap<4, layout::MarlinTile::kK32N32>::quarters_are_alike());
static_assert(MarlinTileMap<8, layout::MarlinTile::kK32N32>::quarters_are_alike());

// Rows are read and written one cache line at a time, which is several tiles along the inputs.
// Lane q of [n][word] is output n of quarter q.
template <class Map>
using MarlinLine = Four[Map::kQuarter][kLineWords];
// The same in plain order: word of output n.
template <class Map>
using PlainLine = uint32_t[Map::kOutputs][kLineWords];

template <class Map>
void to_quarters(const PlainLine<Map>& plain, MarlinLine<Map>& line) noexcept {
    constexpr int kQuarter = Map::kQuarter;
    for (int n = 0; n < kQuarter; ++n) {
        for (int word = 0; word < kLineWords; word += 4) {
            Four turned[4];
            transpose_four({load_four(&plain[n][word]), load_four(&plain[n + kQuarter][word]),
                            load_four(&plain[n + 2 * kQuarter][word]),
                            load_four(&plain[n + 3 * kQuarter][word])},
                           turned);
            for (int i = 0; i < 4; ++i) line[n][word + i] = turned[i];
        }
    }
}

template <class Map>
void to_plain(const MarlinLine<Map>& line, PlainLine<Map>& plain) noexcept {
    for (int n = 0; n < Map::kQuarter; ++n) {
        for (int word = 0; word < kLineWords; word += 4) {
            Four turned[4];
            transpose_four({line[n][word], line[n][word + 1], line[n][word + 2], line[n][word + 3]},
                           turned);
            for (int quarter = 0; quarter < 4; ++quarter) {
                store_four(turned[quarter], &plain[n + quarter * Map::kQuarter][word]);
            }
        }
    }
}

// `from` fields up or down to where `to` stands.
template <int bits, int from, int to>
[[nodiscard]] inline Four move_field(const Four& words) noexcept {
    constexpr uint32_t kMask = (1u << bits) - 1;
    return ((words >> (bits * from)) & kMask) << (bits * to);
}

template <int bits, layout::MarlinTile tile, int group, size_t... field>
[[nodiscard]] inline Four pack_group(const MarlinLine<MarlinTileMap<bits, tile>>& line,
                                     int first_word, std::index_sequence<field...>) noexcept {
    using Map = MarlinTileMap<bits, tile>;
    constexpr auto source = [](int index) {
        return layout::marlin_source_in_tile(Map::first_word(group), index, bits, tile);
    };
    return (move_field<bits, source(field).k % Map::kFields, static_cast<int>(field)>(
                line[source(field).n][first_word + source(field).k / Map::kFields]) |
            ...);
}

template <int bits, layout::MarlinTile tile, int row, int word, size_t... field>
[[nodiscard]] inline Four unpack_word(const Four (&groups)[MarlinTileMap<bits, tile>::kGroups],
                                      std::index_sequence<field...>) noexcept {
    using Map = MarlinTileMap<bits, tile>;
    constexpr auto input = [](size_t index) {
        return word * Map::kFields + static_cast<int>(index);
    };
    return (move_field<bits, layout::marlin_place_in_tile(input(field), row, bits, tile).field,
                       static_cast<int>(field)>(groups[Map::group_of(input(field), row)]) |
            ...);
}

// The tile whose canonical words start at `first_word` of the line.
template <int bits, layout::MarlinTile tile>
void pack_tile(const MarlinLine<MarlinTileMap<bits, tile>>& line, int first_word,
               uint32_t* words) noexcept {
    using Map = MarlinTileMap<bits, tile>;
    const auto pack = [&]<size_t group>() {
        const Four packed = pack_group<bits, tile, static_cast<int>(group)>(
            line, first_word, std::make_index_sequence<Map::kFields>());
        uint32_t* to = words + Map::first_word(static_cast<int>(group));
        for (int quarter = 0; quarter < 4; ++quarter) to[quarter * Map::kStep] = packed[quarter];
    };
    [&]<size_t... group>(std::index_sequence<group...>) {
        (pack.template operator()<group>(), ...);
    }
    (std::make_index_sequence<Map::kGroups>());
}

template <int bits, layout::MarlinTile tile>
void unpack_tile(const uint32_t* words, int first_word,
                 MarlinLine<MarlinTileMap<bits, tile>>& line) noexcept {
    using Map = MarlinTileMap<bits, tile>;
    Four groups[Map::kGroups];
    for (int group = 0; group < Map::kGroups; ++group) {
        const uint32_t* from = words + Map::first_word(group);
        groups[group] = Four{from[0], from[Map::kStep], from[2 * Map::kStep], from[3 * Map::kStep]};
    }
    const auto unpack = [&]<size_t index>() {
        constexpr int row = static_cast<int>(index) / Map::kRowWords;
        constexpr int word = static_cast<int>(index) % Map::kRowWords;
        line[row][first_word + word] =
            unpack_word<bits, tile, row, word>(groups, std::make_index_sequence<Map::kFields>());
    };
    [&]<size_t... index>(std::index_sequence<index...>) {
        (unpack.template operator()<index>(), ...);
    }
    (std::make_index_sequence<Map::kQuarter * Map::kRowWords>());
}

// Calls body<bits, tile>() with both known to the compiler.
template <class Body>
void with_marlin_tile(int bits, layout::MarlinTile tile, const Body& body) {
    using layout::MarlinTile;
    if (bits == 4) {
        if (tile == MarlinTile::kK16N64) {
            body.template operator()<4, MarlinTile::kK16N64>();
        } else {
            body.template operator()<4, MarlinTile::kK32N32>();
        }
    } else if (tile == MarlinTile::kK16N64) {
        body.template operator()<8, MarlinTile::kK16N64>();
    } else {
        body.template operator()<8, MarlinTile::kK32N32>();
    }
}

}  // namespace mmoe
