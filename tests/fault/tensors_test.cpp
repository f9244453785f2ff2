// SPDX-License-Identifier: Apache-2.0
// Tensors that nobody has: extents and strides around 2^31, 2^32, 2^61 and 2^63, negative ones,
// other ranks, through every public function that takes a tensor. All are refused, whatever
// memory stands behind them.
#include <cstdint>
#include <string>
#include <vector>

#include "fault/shapes_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

// Wrong in an axis; `stride` tells that it is the stride, else the extent.
struct Spoilt {
    int axis;
    bool stride;
    int64_t value;
};

// Every value is refused whatever memory stands behind it.
std::vector<Spoilt> spoilt_axes(const mmoe_tensor& right) {
    std::vector<Spoilt> all;
    for (int axis = 0; axis < right.rank; ++axis) {
        const int64_t extent = right.shape[axis];
        for (const int64_t value :
             {INT64_MIN, -(int64_t{1} << 32) + extent, int64_t{-1}, extent + 1, int64_t{1} << 31,
              (int64_t{1} << 32) + extent, int64_t{1} << 61, INT64_MAX - 1, INT64_MAX}) {
            all.push_back({axis, false, value});
        }
        for (const int64_t value : {INT64_MIN, int64_t{-1}, int64_t{1} << 61, INT64_MAX}) {
            if (value > 0 && extent == 1) continue;  // nothing is ever that far away
            all.push_back({axis, true, value});
        }
    }
    return all;
}

void contiguous_strides(mmoe_tensor* tensor) {
    int64_t stride = 1;
    for (int axis = tensor->rank - 1; axis >= 0; --axis) {
        tensor->stride[axis] = stride;
        stride *= tensor->shape[axis];
    }
}

// Spoils one tensor of a call in every way; `ask` calls.
template <class Ask>
int expect_refused(const char* name, mmoe_tensor* tensor, Ask&& ask) {
    const mmoe_tensor right = *tensor;
    int count = 0;
    const auto refused = [&](const char* how) {
        mmoe_error error = {};
        const std::string full = std::string(name) + ", " + how;
        expect(full.c_str(), ask(&error), {MMOE_ERR_SHAPE}, error);
        *tensor = right;
        ++count;
    };
    for (const Spoilt& spoilt : spoilt_axes(right)) {
        if (spoilt.stride) contiguous_strides(tensor);
        (spoilt.stride ? tensor->stride : tensor->shape)[spoilt.axis] = spoilt.value;
        refused(spoilt.stride ? "stride" : "extent");
    }
    for (const int32_t rank : {INT32_MIN, -1, 0, right.rank + 1, 5, INT32_MAX}) {
        tensor->rank = rank;
        refused("rank");
    }
    tensor->shape[0] = tensor->shape[1] = INT64_MAX;  // a product past 2^64
    refused("product");
    return count;
}

void any_tensor_of_a_bundle_has_an_answer(void** /*state*/) {
    World w;
    const mmoe_layer layer = small_layer();
    mmoe_bundle* made = nullptr;
    assert_int_equal(
        mmoe_bundle_create(w.context.get(), w.config.get(), &layer, nullptr, &made, nullptr),
        MMOE_OK);
    const Handle<mmoe_bundle> filling(made);
    int count = 0;
    for (mmoe_expert_tensor& part : w.expert.tensors) {
        count += expect_refused("set", &part.tensor, [&](mmoe_error* error) {
            return mmoe_bundle_set(filling.get(), 0, part.projection, part.role, &part.tensor,
                                   error);
        });
        count += expect_refused("put", &part.tensor, [&](mmoe_error* error) {
            return mmoe_bundle_put(w.bundle.get(), 0, w.expert.tensors.data(),
                                   static_cast<uint32_t>(w.expert.tensors.size()), error);
        });
    }
    print_message("tensors of bundles refused: %d\n", count);
}

void any_tensor_of_a_run_has_an_answer(void** /*state*/) {
    World w;
    mmoe_run_args args = w.call.args();
    std::vector<int32_t> map(test::kExperts);
    const auto run = [&](mmoe_error* error) {
        return mmoe_executor_run(w.executor.get(), w.bundle.get(), &args, nullptr, error);
    };
    int count = 0;
    count += expect_refused("hidden", &args.hidden, run);
    count += expect_refused("expert_ids", &args.expert_ids, run);
    count += expect_refused("expert_weights", &args.expert_weights, run);
    count += expect_refused("output", &args.output, run);
    int32_t token_count = 1;
    args.token_count = {&token_count, MMOE_DTYPE_I32, 1, {1}, {}};
    count += expect_refused("token_count", &args.token_count, run);
    // A map may have any length that memory can have.
    args.expert_map = {map.data(), MMOE_DTYPE_I32, 1, {0}, {}};
    mmoe_error error = {};
    for (const int64_t length : {INT64_MIN, int64_t{-1}, int64_t{0}}) {
        args.expert_map.shape[0] = length;
        expect("expert_map", run(&error), {MMOE_ERR_SHAPE}, error);
    }
    print_message("tensors of runs refused: %d\n", count);
}

void any_tensor_of_a_router_has_an_answer(void** /*state*/) {
    World w;
    float logits[2][4] = {};
    float bias[4] = {};
    int32_t ids[2][2] = {};
    float weights[2][2] = {};
    auto args = sized<mmoe_route_args>();
    args.logits = {logits, MMOE_DTYPE_F32, 2, {2, 4}, {}};
    args.correction_bias = {bias, MMOE_DTYPE_F32, 1, {4}, {}};
    args.expert_ids = {ids, MMOE_DTYPE_I32, 2, {2, 2}, {}};
    args.expert_weights = {weights, MMOE_DTYPE_F32, 2, {2, 2}, {}};
    const auto route = [&](mmoe_error* error) {
        return mmoe_route(w.context.get(), &args, nullptr, error);
    };
    int count = 0;
    count += expect_refused("logits", &args.logits, route);
    count += expect_refused("correction_bias", &args.correction_bias, route);
    count += expect_refused("expert_ids", &args.expert_ids, route);
    count += expect_refused("expert_weights", &args.expert_weights, route);
    for (const uint32_t groups : {3U, 5U, 1U << 31, UINT32_MAX}) {
        mmoe_error error = {};
        args.group_count = groups;
        expect("group_count", route(&error), {MMOE_ERR_INVALID_ARGUMENT}, error);
        args.group_count = 1;
        args.groups_kept = groups;
        expect("groups_kept", route(&error), {MMOE_ERR_INVALID_ARGUMENT}, error);
        args.groups_kept = 0;
    }
    print_message("tensors of routers refused: %d\n", count);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(any_tensor_of_a_bundle_has_an_answer),
        cmocka_unit_test(any_tensor_of_a_run_has_an_answer),
        cmocka_unit_test(any_tensor_of_a_router_has_an_answer),
    };
    return cmocka_run_group_tests_name("fault_tensors", tests, nullptr, nullptr);
}
