// SPDX-License-Identifier: Apache-2.0
// Sorting slots by expert: stable, complete, and deaf to ids that are not ours.
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "exec/route.h"

#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

struct Case {
    const char* name;
    int64_t experts, first, count;  // E, and the experts that are here
    std::vector<int32_t> map;       // empty: none
    std::vector<int32_t> ids;
    int64_t top_k;
};

const Case kCases[] = {
    {"every id once", 4, 0, 4, {}, {3, 1, 0, 2}, 2},
    {"all tokens on one expert", 4, 0, 4, {}, {2, 2, 2, 2, 2, 2}, 1},
    {"duplicates in one token", 4, 0, 4, {}, {1, 1, 3, 1}, 2},
    {"negative, too large and extreme ids", 4, 0, 4, {}, {-1, 4, INT32_MIN, INT32_MAX, 0, 3}, 3},
    {"another rank's experts", 6, 4, 2, {}, {0, 4, 5, 6, 3, 4}, 2},
    {"mapped ids", 4, 0, 4, {2, -1, 0, 9}, {0, 1, 2, 3, 4, -1}, 2},
    {"no valid id at all", 4, 0, 4, {}, {-1, -1}, 1},
    {"no slots", 4, 0, 4, {}, {}, 2},
};

// Whether an id, other than -1, stands for no expert of the layer.
bool is_out_of_range(const Case& c, int32_t id) {
    if (id == -1) return false;
    if (c.map.empty()) return id < 0 || id >= c.experts;
    if (id < 0 || id >= static_cast<int32_t>(c.map.size())) return true;
    return c.map[static_cast<size_t>(id)] >= c.experts;
}

// Expert of an id by the contract of mmoe_executor_run().
int64_t expert_of(const Case& c, int32_t id) {
    if (!c.map.empty()) {
        if (id < 0 || id >= static_cast<int32_t>(c.map.size())) return -1;
        id = c.map[static_cast<size_t>(id)];
    }
    return id >= c.first && id < c.first + c.count ? id : -1;
}

void check_case(const Case& c) {
    std::vector<float> weights(c.ids.size());
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i) + 0.5F;
    RunArgs args;
    args.tokens = static_cast<int64_t>(c.ids.size()) / c.top_k;
    args.top_k = c.top_k;
    args.expert_ids = c.ids.data();
    args.expert_weights = weights.data();
    args.expert_map = c.map.empty() ? nullptr : c.map.data();
    args.map_size = static_cast<int64_t>(c.map.size());

    const auto experts = static_cast<size_t>(c.experts);
    std::vector<int32_t> residence(experts, -1);
    for (int64_t i = 0; i < c.count; ++i) residence[static_cast<size_t>(c.first + i)] = 0;
    std::vector<int32_t> first(experts + 1, -7);
    std::vector<int32_t> token(c.ids.size(), -7);
    std::vector<float> weight(c.ids.size(), -7);
    std::vector<int32_t> active(experts, -7);
    Routing routing{first, token, weight, active, -7, true};
    sort_slots(args, residence, routing);

    std::map<int64_t, std::vector<size_t>> want;  // slots of each expert in rising order
    for (size_t slot = 0; slot < c.ids.size(); ++slot) {
        if (expert_of(c, c.ids[slot]) >= 0) want[expert_of(c, c.ids[slot])].push_back(slot);
    }
    size_t place = 0;
    int32_t active_seen = 0;
    for (size_t e = 0; e < experts; ++e) {
        if (first[e] != static_cast<int32_t>(place)) fail_msg("%s: first of %zu", c.name, e);
        for (const size_t slot : want[static_cast<int64_t>(e)]) {
            if (token[place] != static_cast<int32_t>(slot) / c.top_k ||
                weight[place] != weights[slot]) {
                fail_msg("%s: expert %zu place %zu", c.name, e, place);
            }
            ++place;
        }
        if (want[static_cast<int64_t>(e)].empty()) continue;
        if (active[static_cast<size_t>(active_seen++)] != static_cast<int32_t>(e)) {
            fail_msg("%s: active", c.name);
        }
    }
    bool out_of_range = false;
    for (const int32_t id : c.ids) out_of_range |= is_out_of_range(c, id);
    if (routing.out_of_range != out_of_range) fail_msg("%s: out of range", c.name);
    if (routing.active_count != active_seen || routing.slot_count() != static_cast<int>(place)) {
        fail_msg("%s: counts", c.name);
    }
}

void slots_are_sorted_by_expert(void**) {
    for (const Case& c : kCases) check_case(c);
}

void random_ids_are_sorted_by_expert(void**) {
    std::mt19937 random(3);
    for (int repeat = 0; repeat < 50; ++repeat) {
        const auto below = [&](uint32_t limit) { return static_cast<int64_t>(random() % limit); };
        Case c{"random", 903, below(3), 1 + below(900), {}, {}, 1 + below(9)};
        c.ids.resize(static_cast<size_t>(c.top_k) * (random() % 200));
        for (int32_t& id : c.ids) id = static_cast<int32_t>(random() % 1000) - 20;
        check_case(c);
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_sorted_by_expert),
        cmocka_unit_test(random_ids_are_sorted_by_expert),
    };
    return cmocka_run_group_tests_name("unit_exec_route", tests, nullptr, nullptr);
}
