// SPDX-License-Identifier: Apache-2.0
// The regular expressions of config files ("re:.*mlp\\.(gate|up)_proj$"), matched in time
// proportional to pattern times name: no backtracking, no recursion while matching, so that a
// hostile config can neither hang nor overflow the stack of its reader.
//
// Known: literals, escapes, '.', classes, groups, '|', '*', '+', '?', '^' and '$'. Everything
// else (counted repeats, look-around, back references, flags) is refused by name.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mmoe {

class Pattern {
  public:
    static Result<Pattern> compile(std::string_view text);

    // As Python's re.match: anchored at the start of `name`, free at its end. Adds the states
    // that it has entered to `steps`: what the match has cost.
    [[nodiscard]] bool matches(std::string_view name, uint64_t* steps) const;

    // A state of the automaton. Consuming states go to `next` behind their character; others
    // go to `next` and `other` without one.
    struct State {
        enum class Kind : uint8_t { kSet, kSplit, kStart, kEnd, kAccept };
        Kind kind = Kind::kAccept;
        uint16_t set = 0;  // kSet: index into sets_
        int32_t next = -1;
        int32_t other = -1;  // kSplit
    };
    struct ByteSet {
        uint64_t words[4] = {};
        void add(unsigned char byte) noexcept { words[byte / 64] |= uint64_t{1} << (byte % 64); }
        void invert() noexcept {
            for (uint64_t& word : words) word = ~word;
        }
        void merge(const ByteSet& other) noexcept {
            for (int i = 0; i < 4; ++i) words[i] |= other.words[i];
        }
        [[nodiscard]] bool has(unsigned char byte) const noexcept {
            return ((words[byte / 64] >> (byte % 64)) & 1) != 0;
        }
    };

  private:
    friend class PatternCompiler;
    std::vector<State> states_;
    std::vector<ByteSet> sets_;
    int32_t start_ = 0;
};

}  // namespace mmoe
