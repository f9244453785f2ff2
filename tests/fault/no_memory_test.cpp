// SPDX-License-Identifier: Apache-2.0
// Memory that runs out: in every scenario the n-th allocation fails, once and from then on, for
// every n, in the C allocator and in the caller's callbacks. A call that fails says so, leaks
// nothing, and works when it is repeated with memory; what is computed then has the same bits.
#include <algorithm>

#include "fault/no_memory_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

// ---- Scenarios ----

void contexts(World& w) {
    const auto context = w.must_make<mmoe_context>("context", [&](auto** out, auto* error) {
        return mmoe_context_create(&w.context_options, out, error);
    });
    auto description = sized<mmoe_device_description>();
    w.must("device",
           [&](auto* error) { return mmoe_device_info(MMOE_DEVICE_CPU, 0, &description, error); });
}

void configs(World& w) {
    auto fields = sized<mmoe_quant_fields>();
    w.must("info",
           [&](auto* error) { return mmoe_quant_config_info(w.config.get(), &fields, error); });
    const auto made = w.must_make<mmoe_quant_config>("create", [&](auto** out, auto* error) {
        return mmoe_quant_config_create(&fields, out, error);
    });
    const auto loaded = w.must_make<mmoe_quant_config>("load", [&](auto** out, auto* error) {
        return mmoe_quant_config_load(w.config_path.c_str(), nullptr, out, error);
    });
}

void checkpoints(World& w) {
    const auto checkpoint = w.must_make<mmoe_checkpoint>("open", [&](auto** out, auto* error) {
        return mmoe_checkpoint_open(w.context.get(), w.path.c_str(), nullptr, out, error);
    });
    auto info = sized<mmoe_tensor_info>();
    const char* name = "model.layers.0.mlp.experts.2.down_proj.weight_scale";
    w.must("find", [&](auto* error) {
        return mmoe_checkpoint_tensor_find(checkpoint.get(), name, &info, error);
    });
    w.must("read", [&](auto* error) {
        return mmoe_checkpoint_tensor_read(checkpoint.get(), name, w.weights, sizeof w.weights,
                                           error);
    });
    auto layer = sized<mmoe_layer>();
    auto place = sized<mmoe_layer_place>();
    const auto config = w.must_make<mmoe_quant_config>("layer", [&](auto** out, auto* error) {
        return mmoe_checkpoint_layer_info(checkpoint.get(), 0, &layer, &place, out, error);
    });
    w.must("dequantize", [&](auto* error) {
        return mmoe_checkpoint_dequantize(checkpoint.get(), 0, 1, MMOE_PROJECTION_UP, w.weights,
                                          test::kIntermediate * test::kHidden, error);
    });
}

void plans(World& w) {
    auto support = sized<mmoe_support>();
    auto plan = sized<mmoe_memory_plan>();
    const mmoe_executor_options options = executor_options();
    w.must("support", [&](auto* error) {
        return mmoe_support_query(w.context.get(), w.config.get(), &w.layer, nullptr, &support,
                                  error);
    });
    w.must("bundle", [&](auto* error) {
        return mmoe_bundle_plan(w.context.get(), w.config.get(), &w.layer, nullptr, &plan, error);
    });
    w.must("executor", [&](auto* error) {
        return mmoe_executor_plan(w.context.get(), w.config.get(), &w.layer, &options, &plan,
                                  error);
    });
}

void filling_by_hand(World& w) {
    const auto bundle = w.must_make<mmoe_bundle>("create", [&](auto** out, auto* error) {
        return mmoe_bundle_create(w.context.get(), w.config.get(), &w.layer, nullptr, out, error);
    });
    for (uint32_t expert = 0; expert < w.layer.expert_count; ++expert) {
        for (const mmoe_expert_tensor& part : w.other_expert.tensors) {
            w.must("set", [&](auto* error) {
                return mmoe_bundle_set(bundle.get(), expert, part.projection, part.role,
                                       &part.tensor, error);
            });
        }
    }
    w.must("seal", [&](auto* error) { return mmoe_bundle_seal(bundle.get(), error); });
}

// The first use of a context, which starts its threads.
void loading(World& w) {
    const auto context = w.must_make<mmoe_context>("context", [&](auto** out, auto* error) {
        return mmoe_context_create(&w.context_options, out, error);
    });
    const auto bundle = w.must_make<mmoe_bundle>("load", [&](auto** out, auto* error) {
        return mmoe_bundle_load(context.get(), w.checkpoint.get(), 0, nullptr, out, error);
    });
    w.must_run(bundle.get());
}

void loading_in_the_background(World& w) {
    mmoe_bundle* bundle = nullptr;
    // A load that failed is over: the caller starts another.
    w.must("background", [&](auto* error) {
        mmoe_load* load = nullptr;
        mmoe_status status =
            mmoe_load_start(w.context.get(), w.checkpoint.get(), 0, nullptr, &load, error);
        if (status == MMOE_OK) status = mmoe_load_wait(load, &bundle, error);
        mmoe_load_destroy(load);
        return status;
    });
    const Handle<mmoe_bundle> owned(bundle);
    w.must_run(bundle);
}

void saving_and_opening(World& w) {
    w.must("save",
           [&](auto* error) { return mmoe_bundle_save(w.bundle.get(), w.again.c_str(), error); });
    const auto bundle = w.must_make<mmoe_bundle>("open", [&](auto** out, auto* error) {
        return mmoe_bundle_open(w.context.get(), w.again.c_str(), nullptr, out, error);
    });
    w.must_run(bundle.get());
}

void changing_an_expert(World& w) {
    w.must("put", [&](auto* error) {
        return mmoe_bundle_put(w.bundle.get(), 1, w.other_expert.tensors.data(),
                               static_cast<uint32_t>(w.other_expert.tensors.size()), error);
    });
    w.must("evict", [&](auto* error) { return mmoe_bundle_evict(w.bundle.get(), 1, error); });
    w.must("put from", [&](auto* error) {
        return mmoe_bundle_put_from(w.bundle.get(), w.checkpoint.get(), 0, 1, error);
    });
    w.must_run(w.bundle.get());
}

void running(World& w) {
    const mmoe_executor_options options = executor_options();
    const auto executor = w.must_make<mmoe_executor>("executor", [&](auto** out, auto* error) {
        return mmoe_executor_create(w.context.get(), w.bundle.get(), &options, out, error);
    });
    w.must_run(executor.get(), w.bundle.get());
    char text[4096];
    mmoe_executor_explain(executor.get(), w.bundle.get(), 1, text, sizeof text);
}

// The caller's workspace, and what a run found.
void running_in_given_memory(World& w) {
    mmoe_executor_options options = executor_options();
    options.workspace = w.workspace;
    options.workspace_bytes = sizeof w.workspace;
    const auto executor = w.must_make<mmoe_executor>("executor", [&](auto** out, auto* error) {
        return mmoe_executor_create(w.context.get(), w.bundle.get(), &options, out, error);
    });
    w.must_run(executor.get(), w.bundle.get());
    auto findings = sized<mmoe_executor_findings>();
    w.must("poll",
           [&](auto* error) { return mmoe_executor_poll(executor.get(), &findings, error); });
}

// More experts than slots: one goes, another comes.
void replacing_experts(World& w) {
    auto options = sized<mmoe_bundle_options>();
    options.slot_count = w.layer.expert_count - 1;
    const auto bundle = w.must_make<mmoe_bundle>("create", [&](auto** out, auto* error) {
        return mmoe_bundle_create(w.context.get(), w.config.get(), &w.layer, &options, out, error);
    });
    w.must("seal", [&](auto* error) { return mmoe_bundle_seal(bundle.get(), error); });
    const auto put = [&](uint32_t expert) {
        w.must("put", [&](auto* error) {
            return mmoe_bundle_put(bundle.get(), expert, w.other_expert.tensors.data(),
                                   static_cast<uint32_t>(w.other_expert.tensors.size()), error);
        });
    };
    const auto evict = [&](uint32_t expert) {
        w.must("evict",
               [&](auto* error) { return mmoe_bundle_evict(bundle.get(), expert, error); });
    };
    put(0);
    put(1);
    evict(0);
    put(2);
    put(2);
    evict(1);
    put(0);
}

// Codes, scales and zero points of one projection into a Marlin matrix and back.
void repacking(World& w) {
    auto matrix = sized<mmoe_marlin_matrix>();
    matrix.expert_count = 1;
    matrix.inputs = test::kHidden;
    matrix.outputs = 2 * test::kIntermediate;
    for (mmoe_role role = MMOE_ROLE_WEIGHT; role <= MMOE_ROLE_ZERO_POINT; ++role) {
        auto description = sized<mmoe_marlin_description>();
        w.must("describe", [&](auto* error) {
            return mmoe_marlin_describe(w.config.get(), &matrix, role, &description, error);
        });
        auto args = sized<mmoe_marlin_args>();
        args.role = role;
        args.file = description.file;
        args.file.data = w.file;
        args.marlin = description.marlin;
        args.marlin.data = w.repacked;
        std::fill_n(w.file, sizeof w.file, uint8_t{0x37});
        w.must("pack", [&](auto* error) {
            return mmoe_marlin_pack(w.context.get(), w.config.get(), &matrix, &args, error);
        });
        w.must("enqueue", [&](auto* error) {
            return mmoe_marlin_enqueue_pack(w.context.get(), w.config.get(), &matrix, &args,
                                            nullptr, error);
        });
        std::fill_n(w.file, description.file_bytes, uint8_t{0});
        w.must("unpack", [&](auto* error) {
            return mmoe_marlin_unpack(w.context.get(), w.config.get(), &matrix, &args, error);
        });
        if (std::count(w.file, w.file + sizeof w.file, 0x37) == sizeof w.file) continue;
        w.point.stop();
        fail_msg("unpack: other bytes");
    }
}

// A whole layer as Marlin matrices, and a bundle of these.
void exporting_and_importing(World& w) {
    auto experts = sized<mmoe_marlin_experts>();
    w.must("describe", [&](auto* error) {
        return mmoe_marlin_describe_experts(w.config.get(), &w.layer, nullptr, MMOE_MARLIN_16_BIT,
                                            &experts, error);
    });
    uint8_t* at = w.matrices;
    for (mmoe_tensor* tensor : {&experts.w13.weight, &experts.w13.scale, &experts.w13.zero_point,
                                &experts.w2.weight, &experts.w2.scale, &experts.w2.zero_point}) {
        tensor->data = at;
        at += 4 * tensor->shape[0] * tensor->shape[1] * tensor->shape[2];
    }
    if (at > w.matrices + sizeof w.matrices) fail_msg("matrices: no room");
    w.must("export",
           [&](auto* error) { return mmoe_marlin_export(w.bundle.get(), 0, &experts, error); });
    const auto bundle = w.must_make<mmoe_bundle>("import", [&](auto** out, auto* error) {
        return mmoe_marlin_import(w.context.get(), w.config.get(), &w.layer, nullptr, &experts, out,
                                  error);
    });
    w.must_run(bundle.get());
}

void routing(World& w) {
    float logits[2][4] = {{1, 2, 3, 4}, {4, 3, 2, 1}};
    int32_t ids[2][2] = {};
    float weights[2][2] = {};
    auto args = sized<mmoe_route_args>();
    args.logits = {logits, MMOE_DTYPE_F32, 2, {2, 4}, {}};
    args.expert_ids = {ids, MMOE_DTYPE_I32, 2, {2, 2}, {}};
    args.expert_weights = {weights, MMOE_DTYPE_F32, 2, {2, 2}, {}};
    w.must("route",
           [&](auto* error) { return mmoe_route(w.context.get(), &args, nullptr, error); });
    if (ids[0][0] == 3 && ids[1][1] == 1) return;
    w.point.stop();
    fail_msg("route: wrong experts");
}

struct Scenario {
    const char* name;
    void (*body)(World&);
    bool plain_only;  // fills by hand what has no activation order
};
constexpr Scenario kScenarios[] = {
    {"contexts", contexts, false},
    {"configs", configs, false},
    {"checkpoints", checkpoints, false},
    {"plans", plans, false},
    {"filling by hand", filling_by_hand, false},
    {"loading", loading, false},
    {"loading in the background", loading_in_the_background, false},
    {"saving and opening", saving_and_opening, false},
    {"changing an expert", changing_an_expert, true},
    {"replacing experts", replacing_experts, true},
    {"running", running, false},
    {"running in given memory", running_in_given_memory, false},
    {"repacking", repacking, false},
    {"exporting and importing", exporting_and_importing, true},
    {"routing", routing, false},
};

// ---- Every point ----

struct Held {
    int64_t blocks, caller_blocks;
    int descriptors;
    bool operator==(const Held&) const = default;
};

Held held(const World& w) {
    const int descriptors = open_descriptors();
    return {live_blocks(), w.caller.live.load(), descriptors};
}

int64_t fail_everywhere(World& w, const Scenario& scenario, Mode mode) {
    for (int64_t n = 0;; ++n) {
        const Held before = held(w);
        w.point.arm(n, mode);
        scenario.body(w);
        const bool refused = w.point.stop();
        const Held after = held(w);
        if (!(after == before)) {
            fail_msg("%s, allocation %d: %d blocks, %d of the caller's, %d descriptors left",
                     scenario.name, static_cast<int>(n),
                     static_cast<int>(after.blocks - before.blocks),
                     static_cast<int>(after.caller_blocks - before.caller_blocks),
                     after.descriptors - before.descriptors);
        }
        if (!refused) return n;
    }
}

void no_part_of_a_file_is_left(const World& w) {
    for (const auto& entry : std::filesystem::directory_iterator(w.path)) {
        if (entry.path().extension() == ".tmp") fail_msg("left: %s", entry.path().c_str());
    }
}

void memory_may_run_out_anywhere(void** /*state*/) {
    const Place places[] = {{Source::kProcess, 1, false},
                            {Source::kProcess, 2, false},
                            {Source::kProcess, 1, true},
                            {Source::kCaller, 1, false},
                            {Source::kCaller, 2, true}};
    int64_t process_points = 0;
    int64_t caller_points = 0;
    for (const Place& place : places) {
        World world(place);
        int64_t& points = place.source == Source::kProcess ? process_points : caller_points;
        for (const Scenario& scenario : kScenarios) {
            if (place.ordered && scenario.plain_only) continue;
            scenario.body(world);  // what is made once, such as the stack of a thread
            for (const Mode mode : {Mode::kOnce, Mode::kFromThenOn}) {
                points += fail_everywhere(world, scenario, mode);
            }
        }
        no_part_of_a_file_is_left(world);
    }
    print_message(
        "out of memory: %d points of the process, %d of the caller, none left unhandled\n",
        static_cast<int>(process_points), static_cast<int>(caller_points));
    assert_true(process_points > 1000 && caller_points > 100);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(memory_may_run_out_anywhere)};
    return cmocka_run_group_tests_name("fault_no_memory", tests, nullptr, nullptr);
}
