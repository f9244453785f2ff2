// SPDX-License-Identifier: Apache-2.0
// Memory that runs out: in every scenario the n-th allocation fails, once and from then on, for
// every n, in the C allocator and in the caller's callbacks. A call that fails says so, leaks
// nothing, and works when it is repeated with memory; what is computed then has the same bits.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fault/fault_point.h"
#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

// ---- The caller's allocator ----

struct CallerMemory {
    FaultPoint point;
    std::atomic<int64_t> live{0};
};

void* caller_allocate(void* user, size_t size_bytes, size_t alignment_bytes) {
    auto* memory = static_cast<CallerMemory*>(user);
    void* block = nullptr;
    if (memory->point.refuses()) return nullptr;
    if (posix_memalign(&block, alignment_bytes, size_bytes) != 0) return nullptr;
    memory->live.fetch_add(1);
    return block;
}

void caller_release(void* user, void* block, size_t /*size_bytes*/) {
    static_cast<CallerMemory*>(user)->live.fetch_sub(1);
    std::free(block);
}

// ---- What every scenario finds ----

enum class Source { kProcess, kCaller };

struct Place {
    Source source;
    uint32_t thread_count;
    bool ordered;  // a checkpoint with activation order
};

// Objects made while there was memory. Scenarios allocate nothing of their own.
struct World {
    explicit World(const Place& place)
        : folder("no_memory"),
          point(place.source == Source::kProcess ? allocations : caller.point),
          context_options(sized<mmoe_context_options>()),
          other_expert(7) {
        write_model(folder, place.ordered);
        path = folder.path();
        config_path = folder.file("config.json");
        saved = folder.file("saved.mmoe");
        again = folder.file("again.mmoe");
        context_options.device_kind = MMOE_DEVICE_CPU;
        context_options.thread_count = place.thread_count;
        if (place.source == Source::kCaller) {
            context_options.host_allocator = {&caller, caller_allocate, caller_release};
        }
        context = make_context(context_options);
        config = make_config();
        layer = small_layer();
        checkpoint = open_checkpoint(context.get(), path);
        bundle = load_bundle(context.get(), checkpoint.get());
        executor = make_executor(context.get(), bundle.get());
        Error error{"world"};
        error.expect_ok(mmoe_bundle_save(bundle.get(), saved.c_str(), &error.value), "save");
        error.expect_ok(call.run(executor.get(), bundle.get(), &error.value), "run");
        want = call.output;
    }

    test::ScratchFolder folder;
    CallerMemory caller;
    FaultPoint& point;
    mmoe_context_options context_options;
    std::string path, config_path, saved, again;
    ExpertMemory other_expert;
    Handle<mmoe_context> context;
    Handle<mmoe_quant_config> config;
    mmoe_layer layer;
    Handle<mmoe_checkpoint> checkpoint;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;
    Call call;
    std::vector<float> want;
    float weights[test::kIntermediate * test::kHidden];

    // A call that was refused memory has a sentence, and works when there is memory again.
    template <class Step>
    void must(const char* name, Step&& step) {
        mmoe_error error = {};
        mmoe_status status = step(&error);
        if (status == MMOE_ERR_OUT_OF_MEMORY && point.stop()) {
            if (error.status != status || error.message[0] == '\0') fail_msg("%s: no text", name);
            status = step(&error);
        }
        if (status == MMOE_OK) return;
        point.stop();
        fail_msg("%s: %s", name, error.message);
    }

    // The same through an out-parameter, which a failure leaves empty.
    template <class Object, class Step>
    Handle<Object> must_make(const char* name, Step&& step) {
        Object* object = nullptr;
        must(name, [&](mmoe_error* error) {
            object = reinterpret_cast<Object*>(this);
            const mmoe_status status = step(&object, error);
            if (status == MMOE_OK || object == nullptr) return status;
            point.stop();
            fail_msg("%s: failed and left an object", name);
            return status;
        });
        return Handle<Object>(object);
    }

    void must_run(mmoe_executor* runner, const mmoe_bundle* weights_of) {
        std::fill(call.output.begin(), call.output.end(), -1.0F);
        must("run", [&](mmoe_error* error) { return call.run(runner, weights_of, error); });
        if (std::memcmp(call.output.data(), want.data(), want.size() * sizeof(float)) == 0) return;
        point.stop();
        fail_msg("run: other bits");
    }
    void must_run(const mmoe_bundle* weights_of) { must_run(executor.get(), weights_of); }
};

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
    {"running", running, false},
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
