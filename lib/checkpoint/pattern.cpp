// SPDX-License-Identifier: Apache-2.0
// Thompson's construction: a recursive-descent parser emits automaton fragments, and matching
// follows every alternative at once.
#include "checkpoint/pattern.h"

#include <optional>
#include <string>
#include <utility>

#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr size_t kMaxPatternBytes = 4096;
constexpr int kMaxGroupDepth = 32;

Pattern::ByteSet range_set(unsigned char first, unsigned char last) noexcept {
    Pattern::ByteSet set;
    for (int byte = first; byte <= last; ++byte) set.add(static_cast<unsigned char>(byte));
    return set;
}

// The set of an escape such as \d, or of the escaped character itself.
std::optional<Pattern::ByteSet> escape_set(char escaped) noexcept {
    const auto is_letter_or_digit = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    Pattern::ByteSet set;
    switch (escaped) {
        case 'd':
        case 'D':
            set = range_set('0', '9');
            break;
        case 'w':
        case 'W':
            set = range_set('a', 'z');
            set.merge(range_set('A', 'Z'));
            set.merge(range_set('0', '9'));
            set.add('_');
            break;
        case 's':
        case 'S':
            set = range_set('\t', '\r');
            set.add(' ');
            break;
        default:
            if (is_letter_or_digit(escaped)) return std::nullopt;  // \b, \1, ...
            set.add(static_cast<unsigned char>(escaped));
            return set;
    }
    if (escaped >= 'A' && escaped <= 'Z') set.invert();
    return set;
}

}  // namespace

// Every parse function returns a fragment with one loose end, which its caller ties to what
// follows.
class PatternCompiler {
  public:
    explicit PatternCompiler(std::string_view text) noexcept : text_(text) {}

    Result<Pattern> compile() {
        if (text_.size() > kMaxPatternBytes) {
            return Status::error(Code::kLimit, "pattern: expected at most %zu bytes, got %zu",
                                 kMaxPatternBytes, text_.size());
        }
        TRY(const Fragment whole, alternatives(0));
        if (!at_end()) return refuse("a ')' without its '('");
        pattern_.states_[index(whole.end)].next = add({.kind = State::Kind::kAccept});
        pattern_.start_ = whole.start;
        return std::move(pattern_);
    }

  private:
    using State = Pattern::State;

    // `end` is a state whose `next` is still open.
    struct Fragment {
        int32_t start = -1;
        int32_t end = -1;
    };

    Result<Fragment> alternatives(int depth) {
        if (depth > kMaxGroupDepth) return refuse("groups nested too deeply");
        TRY(Fragment result, sequence(depth));
        while (take('|')) {
            TRY(const Fragment branch, sequence(depth));
            const int32_t split =
                add({.kind = State::Kind::kSplit, .next = result.start, .other = branch.start});
            const int32_t join = add({.kind = State::Kind::kSplit});
            pattern_.states_[index(result.end)].next = join;
            pattern_.states_[index(branch.end)].next = join;
            result = {split, join};
        }
        return result;
    }

    Result<Fragment> sequence(int depth) {
        const int32_t empty = add({.kind = State::Kind::kSplit});
        Fragment result{empty, empty};
        while (!at_end() && text_[position_] != '|' && text_[position_] != ')') {
            TRY(const Fragment piece, repeated(depth));
            pattern_.states_[index(result.end)].next = piece.start;
            result.end = piece.end;
        }
        return result;
    }

    // One piece and its '*', '+' or '?'. A lazy mark ('*?') matches the same names.
    Result<Fragment> repeated(int depth) {
        TRY(const Fragment piece, single(depth));
        if (at_end()) return piece;
        const char mark = text_[position_];
        if (mark == '{') return refuse("a counted repeat '{'");
        if (mark != '*' && mark != '+' && mark != '?') return piece;
        ++position_;
        take('?');
        if (!at_end() &&
            std::string_view("*+?{").find(text_[position_]) != std::string_view::npos) {
            return refuse("a repeat of a repeat");
        }
        const int32_t split = add({.kind = State::Kind::kSplit, .other = piece.start});
        const int32_t end = add({.kind = State::Kind::kSplit});
        pattern_.states_[index(split)].next = end;
        pattern_.states_[index(piece.end)].next = mark == '?' ? end : split;
        return Fragment{mark == '+' ? piece.start : split, end};
    }

    Result<Fragment> single(int depth) {
        const char c = text_[position_++];
        switch (c) {
            case '(':
                return group(depth);
            case '[':
                return character_class();
            case '\\':
                return escape();
            case '.':
                return one_of(any_but_newline());
            case '^':
                return state_fragment({.kind = State::Kind::kStart});
            case '$':
                return state_fragment({.kind = State::Kind::kEnd});
            case '*':
            case '+':
            case '?':
                return refuse("a repeat without what it repeats");
            case '{':
                return refuse("a counted repeat '{'");
            default:
                return one_of(
                    range_set(static_cast<unsigned char>(c), static_cast<unsigned char>(c)));
        }
    }

    Result<Fragment> group(int depth) {
        if (take('?') && !take(':')) return refuse("a look-around or flag '(?'");
        TRY(const Fragment inner, alternatives(depth + 1));
        if (!take(')')) return refuse("a '(' without its ')'");
        return inner;
    }

    Result<Fragment> escape() {
        if (at_end()) return refuse("a '\\' at its end");
        const std::optional<Pattern::ByteSet> set = escape_set(text_[position_++]);
        if (!set) return refuse("an escape other than \\d, \\w, \\s and punctuation");
        return one_of(*set);
    }

    Result<Fragment> character_class() {
        const bool inverted = take('^');
        Pattern::ByteSet set;
        bool first = true;
        while (first || at_end() || text_[position_] != ']') {
            if (at_end()) return refuse("a '[' without its ']'");
            TRY(const Pattern::ByteSet member, class_member());
            set.merge(member);
            first = false;
        }
        ++position_;
        if (inverted) set.invert();
        return one_of(set);
    }

    // A character, an escape or a range; the closing ']' has been ruled out.
    Result<Pattern::ByteSet> class_member() {
        const char c = text_[position_++];
        if (c == '\\') {
            if (at_end()) return refuse("a '\\' at its end");
            const std::optional<Pattern::ByteSet> set = escape_set(text_[position_++]);
            if (!set) return refuse("an escape other than \\d, \\w, \\s and punctuation");
            return *set;
        }
        const auto low = static_cast<unsigned char>(c);
        const bool range =
            position_ + 1 < text_.size() && text_[position_] == '-' && text_[position_ + 1] != ']';
        if (!range) return range_set(low, low);
        const auto high = static_cast<unsigned char>(text_[position_ + 1]);
        if (high == '\\' || high < low) return refuse("a class with a range that is not one");
        position_ += 2;
        return range_set(low, high);
    }

    static Pattern::ByteSet any_but_newline() noexcept {
        Pattern::ByteSet set;
        set.add('\n');
        set.invert();
        return set;
    }

    Fragment one_of(const Pattern::ByteSet& set) {
        pattern_.sets_.push_back(set);
        return state_fragment(
            {.kind = State::Kind::kSet, .set = static_cast<uint16_t>(pattern_.sets_.size() - 1)});
    }

    Fragment state_fragment(const State& state) {
        const int32_t added = add(state);
        return {added, added};
    }

    int32_t add(const State& state) {
        pattern_.states_.push_back(state);
        return static_cast<int32_t>(pattern_.states_.size() - 1);
    }

    Status refuse(const char* what) const {
        return Status::error(
            Code::kUnsupported,
            "pattern \"%s\": expected literals, classes, groups and repeats, got %s",
            printable(text_).c_str(), what);
    }

    [[nodiscard]] static size_t index(int32_t state) noexcept { return static_cast<size_t>(state); }
    [[nodiscard]] bool at_end() const noexcept { return position_ == text_.size(); }
    bool take(char wanted) noexcept {
        if (at_end() || text_[position_] != wanted) return false;
        ++position_;
        return true;
    }

    std::string_view text_;
    size_t position_ = 0;
    Pattern pattern_;
};

Result<Pattern> Pattern::compile(std::string_view text) {
    return PatternCompiler(text).compile();
}

namespace {

// The states that are alive before one character. Each is entered once a step.
class ActiveStates {
  public:
    ActiveStates(const std::vector<Pattern::State>& states) : states_(states) {
        seen_at_.resize(states.size(), 0);
    }

    void begin_step() noexcept {
        ++step_;
        alive_.clear();
    }

    // Enters `state` and all that it reaches without a character.
    void enter(int32_t state, bool at_start, bool at_end) {
        pending_.push_back(state);
        while (!pending_.empty()) {
            const int32_t current = pending_.back();
            pending_.pop_back();
            if (current < 0 || seen_at_[static_cast<size_t>(current)] == step_) continue;
            seen_at_[static_cast<size_t>(current)] = step_;
            ++entered_count_;
            const Pattern::State& entered = states_[static_cast<size_t>(current)];
            switch (entered.kind) {
                case Pattern::State::Kind::kSet:
                    alive_.push_back(current);
                    break;
                case Pattern::State::Kind::kAccept:
                    accepted_ = true;
                    break;
                case Pattern::State::Kind::kSplit:
                    pending_.push_back(entered.next);
                    pending_.push_back(entered.other);
                    break;
                case Pattern::State::Kind::kStart:
                    if (at_start) pending_.push_back(entered.next);
                    break;
                case Pattern::State::Kind::kEnd:
                    if (at_end) pending_.push_back(entered.next);
                    break;
            }
        }
    }

    [[nodiscard]] bool accepted() const noexcept { return accepted_; }
    [[nodiscard]] uint64_t entered_count() const noexcept { return entered_count_; }
    [[nodiscard]] const std::vector<int32_t>& alive() const noexcept { return alive_; }
    void swap_alive(std::vector<int32_t>& other) noexcept { alive_.swap(other); }

  private:
    const std::vector<Pattern::State>& states_;
    std::vector<size_t> seen_at_;
    std::vector<int32_t> alive_;
    std::vector<int32_t> pending_;
    size_t step_ = 0;
    uint64_t entered_count_ = 0;
    bool accepted_ = false;
};

}  // namespace

bool Pattern::matches(std::string_view name, uint64_t* steps) const {
    ActiveStates active(states_);
    std::vector<int32_t> before;
    active.begin_step();
    active.enter(start_, true, name.empty());
    for (size_t i = 0; i < name.size() && !active.accepted() && !active.alive().empty(); ++i) {
        active.swap_alive(before);
        active.begin_step();
        for (const int32_t state : before) {
            const State& consuming = states_[static_cast<size_t>(state)];
            if (sets_[consuming.set].has(static_cast<unsigned char>(name[i]))) {
                active.enter(consuming.next, false, i + 1 == name.size());
            }
        }
    }
    *steps += active.entered_count();
    return active.accepted();
}

}  // namespace mmoe
