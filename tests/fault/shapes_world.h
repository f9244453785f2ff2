// SPDX-License-Identifier: Apache-2.0
// One object of every kind on a context with a small budget, for calls with impossible shapes.
#pragma once

#include <initializer_list>

#include "fault/small_world.h"

namespace mmoe::fault {

inline constexpr uint64_t kBudgetBytes = 1 << 20;  // nothing larger is ever allocated

struct World {
    World() : folder("shapes"), expert(3) {
        write_model(folder, false);
        auto options = sized<mmoe_context_options>();
        options.device_kind = MMOE_DEVICE_CPU;
        options.thread_count = 1;
        options.memory_budget_bytes = kBudgetBytes;
        context = make_context(options);
        config = make_config();
        checkpoint = open_checkpoint(context.get(), folder.path());
        bundle = load_bundle(context.get(), checkpoint.get());
        executor = make_executor(context.get(), bundle.get());
    }

    test::ScratchFolder folder;
    ExpertMemory expert;
    Handle<mmoe_context> context;
    Handle<mmoe_quant_config> config;
    Handle<mmoe_checkpoint> checkpoint;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;
    Call call;
};

inline void expect(const char* name, mmoe_status got, std::initializer_list<mmoe_status> allowed,
                   const mmoe_error& error) {
    for (const mmoe_status status : allowed) {
        if (got == status) return;
    }
    fail_msg("%s: got %d: %s", name, got, error.message);
}

}  // namespace mmoe::fault
