// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: the expressions of config files, held to what Python's re.match answers, and
// kept from taking time or stack.
#include <cstring>
#include <string>

#include "checkpoint/pattern.h"
#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

struct MatchCase {
    const char* pattern;
    const char* name;
    bool matches;
};

// Expected values are those of Python 3.11's re.match(pattern, name) is not None.
const MatchCase kMatches[] = {
    {"", "", true},
    {"", "a", true},
    {"a", "", false},
    {"a", "ab", true},   // free at the end
    {"b", "ab", false},  // anchored at the start
    {"a$", "ab", false},
    {"^a$", "a", true},
    {"a^", "a", false},
    {"$a", "a", false},
    {".", "", false},
    {".", "\n", false},
    {".*b", "aab", true},
    {".*b$", "aabc", false},
    {".+", "", false},
    {"a?b", "b", true},
    {"a??b", "ab", true},
    {"a*?b", "aaab", true},
    {"a+?b", "b", false},
    {"a|b", "b", true},
    {"a|", "c", true},
    {"a|b$", "bc", false},
    {"(a|b)c", "bc", true},
    {"(?:a|b)+c$", "ababc", true},
    {"((a)|(b(c|d)))e", "bde", true},
    {"()", "x", true},
    {"(a*)*b", "aab", true},
    {"(a|a)*$", "aaaaab", false},
    {"[abc]d", "cd", true},
    {"[^abc]d", "cd", false},
    {"[^abc]d", "xd", true},
    {"[a-c0-2]+$", "a1c2", true},
    {"[a-c]", "d", false},
    {"[]a]b", "]b", true},
    {"[a-]b", "-b", true},
    {"[.]b", "xb", false},
    {"[\\d_]+$", "1_2", true},
    {"\\d+", "12", true},
    {"\\D", "1", false},
    {"\\w+$", "a_1", true},
    {"\\W", "a", false},
    {"\\s", " ", true},
    {"\\S", " ", false},
    {"a\\.b", "a.b", true},
    {"a\\.b", "axb", false},
    {"a\\-b\\/c\\\\", "a-b/c\\", true},
    {"é", "é", true},
    // As config files of real models have them:
    {".*self_attn.*_proj$", "model.layers.0.self_attn.q_proj", true},
    {".*self_attn.*_proj$", "model.layers.0.mlp.experts.0.up_proj", false},
    {".*mlp.experts.*_proj$", "model.layers.0.mlp.experts.0.up_proj", true},
    {".*mlp\\.(gate|up|gate_up|down)_proj.*", "model.layers.0.mlp.up_proj", true},
    {".*mlp\\.(gate|up|gate_up|down)_proj.*", "model.layers.1.mlp.experts.5.up_proj", false},
    {".*shared_experts.*", "model.layers.1.mlp.shared_experts.up_proj", true},
    {".*\\.mlp\\.gate$", "model.layers.0.mlp.gate", true},
    {".*\\.mlp\\.gate$", "model.layers.0.mlp.gate_proj", false},
    {"model\\.layers\\.(0|1|2)\\..*", "model.layers.2.mlp.up_proj", true},
    {"model\\.layers\\.(0|1|2)\\..*", "model.layers.20.mlp.up_proj", false},
    {"vision_tower.*", "vision_tower.blocks.0", true},
};

bool matches(const Pattern& pattern, const std::string& name) {
    uint64_t steps = 0;
    return pattern.matches(name, &steps);
}

void matches_are_those_of_python(void**) {
    for (const MatchCase& row : kMatches) {
        print_message("    '%s' against '%s'\n", row.pattern, row.name);
        auto pattern = Pattern::compile(row.pattern);
        if (!pattern.ok()) print_error("%s\n", pattern.status().message());
        assert_true(pattern.ok());
        assert_int_equal(matches(pattern.value(), row.name), row.matches);
    }
}

struct RefusedCase {
    std::string pattern;
    const char* fragment;
    Code code = Code::kUnsupported;
};

void what_is_not_known_is_named(void**) {
    const RefusedCase cases[] = {
        {"(", "'(' without"},
        {"(?", "look-around or flag"},
        {")", "')' without"},
        {"a)", "')' without"},
        {"(a", "'(' without"},
        {"[a", "'[' without"},
        {"[", "'[' without"},
        {"[]", "'[' without"},
        {"[^]", "'[' without"},
        {"[b-a]", "range"},
        {"[a-\\d]", "range"},
        {"[\\", "'\\' at its end"},
        {"a\\", "'\\' at its end"},
        {"*", "repeat without"},
        {"a|+", "repeat without"},
        {"(?)", "look-around or flag"},
        {"a**", "repeat of a repeat"},
        {"a+*", "repeat of a repeat"},
        {"a{2}", "counted repeat"},
        {"{", "counted repeat"},
        {"a*{2}", "repeat of a repeat"},
        {"(?!a).*", "look-around or flag"},
        {"(?<=a)b", "look-around or flag"},
        {"(?i)a", "look-around or flag"},
        {"(a)\\1", "an escape other than"},
        {"\\bfoo", "an escape other than"},
        {"[\\b]", "an escape other than"},
        {std::string(100000, '('), "at most 4096 bytes", Code::kLimit},
        {std::string(4000, '('), "nested too deeply"},
    };
    for (const RefusedCase& row : cases) {
        print_message("    '%.40s'\n", row.pattern.c_str());
        auto pattern = Pattern::compile(row.pattern);
        assert_false(pattern.ok());
        assert_int_equal(pattern.status().code(), row.code);
        assert_non_null(std::strstr(pattern.status().message(), row.fragment));
    }
}

// A backtracking matcher needs 2^500 steps for these, or a stack frame a character.
void no_pattern_is_slow(void**) {
    const std::string name(500, 'a');
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "a?";
    for (const std::string& text :
         {std::string("(a|a)*b"), std::string("(a*)*b"), std::string("(a|aa)+$b"),
          std::string("((a?)*)*b"), std::string("(.*)*x"), std::string("(.*.*)*=x"), many + "b"}) {
        print_message("    '%.40s'\n", text.c_str());
        auto pattern = Pattern::compile(text);
        assert_true(pattern.ok());
        uint64_t steps = 0;
        assert_false(pattern.value().matches(name, &steps));
        // Each character enters a state at most once, and a byte of a pattern makes at most four.
        assert_true(steps > name.size() && steps <= (name.size() + 1) * (4 * text.size() + 2));
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(matches_are_those_of_python),
        cmocka_unit_test(what_is_not_known_is_named),
        cmocka_unit_test(no_pattern_is_slow),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
