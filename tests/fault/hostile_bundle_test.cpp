// SPDX-License-Identifier: Apache-2.0
// Saved bundles made by a stranger: sizes and checksums fit, and still nothing may be allocated
// out of proportion to the file, or read outside a buffer when the bundle runs.
#include <cstring>
#include <string>

#include "bundle/bundle.h"
#include "support/checkpoint_files.h"
#include "support/measured_memory.h"
#include "support/saved_file.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

// One expert whose inputs have an order of their own.
BundleSpec ordered_spec() {
    BundleSpec spec;
    spec.config.group_size = 32;
    spec.config.order = Order::kGroup;
    spec.config.scale_type = layout::ScaleType::kBf16;
    spec.layer.expert_count = 1;
    spec.layer.hidden_size = 64;
    spec.layer.intermediate_size = 32;
    return spec;
}

struct Fake {
    SavedHeader header;
    std::string payload;  // zeros: every input comes from hidden element 0
    size_t order_offset_bytes;
};

Fake make_fake() {
    const BundleSpec spec = ordered_spec();
    const CpuBundlePlan plan = plan_cpu_bundle(spec, plan_shard(spec).value());
    Fake fake{describe_spec(spec, SavedLayout::kCpuRecords),
              std::string(static_cast<size_t>(plan.slot_bytes()), '\0'),
              static_cast<size_t>(plan.order_offset_bytes())};
    fake.header.expert_count = 1;
    fake.header.expert_bytes = fake.payload.size();
    return fake;
}

void set_order(Fake& fake, size_t input, int32_t from) {
    std::memcpy(fake.payload.data() + fake.order_offset_bytes + input * sizeof from, &from,
                sizeof from);
}

struct Row {
    const char* name;
    void (*change)(Fake& fake);
    Code code;
    const char* words;
};
const Row kRows[] = {
    {"as it should be", [](Fake&) {}, Code::kOk, ""},
    {"the last input twice", [](Fake& fake) { set_order(fake, 63, 63); }, Code::kOk, ""},
    {"an input after the last", [](Fake& fake) { set_order(fake, 63, 64); }, Code::kBadData,
     "expert 0: input 63: expected a hidden element from 0 to 63, got 64"},
    {"an input before the first", [](Fake& fake) { set_order(fake, 0, INT32_MIN); }, Code::kBadData,
     "input 0"},
    {"no expert",
     [](Fake& fake) {
         fake.header.expert_count = 0;
         fake.payload.clear();
     },
     Code::kBadData, "its sizes contradict each other"},
    {"a layer of 3 TB",
     [](Fake& fake) {
         fake.header.hidden_size = 1 << 20;
         fake.header.intermediate_size = 1 << 20;
     },
     Code::kBadData, "its shape contradicts its sizes"},
    {"16 million experts on as many ranks",
     [](Fake& fake) {
         fake.header.layer_experts = 1 << 24;
         fake.header.expert_ranks = 1 << 24;
     },
     Code::kLimit, "experts"},
};

void a_strangers_bundle_is_proved(void** /*state*/) {
    const ScratchFolder folder("hostile");
    MeasuredMemory memory;
    for (const Row& row : kRows) {
        Fake fake = make_fake();
        row.change(fake);
        const std::string file = saved_file(fake.header, fake.payload);
        const std::string path = folder.write("bundle", file);
        for (const bool verify : {true, false}) {
            memory.allow(SIZE_MAX);
            const Result<std::shared_ptr<Bundle>> opened =
                Bundle::open(memory.make_context(2), path, verify, {});
            const Status& status = opened.status();
            const bool said = status.ok() || std::strstr(status.message(), row.words) != nullptr;
            if (status.code() != row.code || !said) {
                fail_msg("%s: got %d: %s", row.name, static_cast<int>(status.code()),
                         status.ok() ? "" : status.message());
            }
            if (memory.largest_request_bytes() > file.size()) {
                fail_msg("%s: a file of %zu bytes took %zu", row.name, file.size(),
                         memory.largest_request_bytes());
            }
        }
    }
    print_message("bundles of strangers: %zu, all proved\n", std::size(kRows));
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(a_strangers_bundle_is_proved)};
    return cmocka_run_group_tests_name("fault_hostile_bundle", tests, nullptr, nullptr);
}
