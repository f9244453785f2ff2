// SPDX-License-Identifier: Apache-2.0
// What the scenarios of fault_no_memory find: the caller's allocator, objects that were made while
// there was memory, and calls that may be refused some.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fault/fault_point.h"
#include "fault/small_world.h"

namespace mmoe::fault {

// ---- The caller's allocator ----

struct CallerMemory {
    FaultPoint point;
    std::atomic<int64_t> live{0};
};

inline void* caller_allocate(void* user, size_t size_bytes, size_t alignment_bytes) {
    auto* memory = static_cast<CallerMemory*>(user);
    void* block = nullptr;
    if (memory->point.refuses()) return nullptr;
    if (posix_memalign(&block, alignment_bytes, size_bytes) != 0) return nullptr;
    memory->live.fetch_add(1);
    return block;
}

inline void caller_release(void* user, void* block, size_t /*size_bytes*/) {
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
    alignas(256) uint8_t workspace[1 << 16];
    uint8_t file[1 << 12];                  // any bits of one role of an expert
    uint8_t repacked[1 << 12];              // the same as a Marlin matrix
    alignas(64) uint8_t matrices[1 << 17];  // Marlin matrices of the whole layer

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

}  // namespace mmoe::fault
