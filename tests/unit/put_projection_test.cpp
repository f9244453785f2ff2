// SPDX-License-Identifier: Apache-2.0
// Bands: the layers of the fixtures, in every format and order and cut for many ranks, give the
// same bytes when they come 64 outputs at a time as when each projection comes whole.
#include <algorithm>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "bundle/put_projection.h"
#include "bundle/read_projection.h"
#include "cmocka_cpp.h"
#include "support/fixture_file.h"

namespace fs = std::filesystem;
using namespace mmoe;
using namespace mmoe::test;

namespace {

std::shared_ptr<const Context> make_context() {
    auto context = std::make_shared<Context>();
    context->allocator = std::make_shared<const Allocator>();
    context->parallel = Parallel::create(2, nullptr, nullptr).value();
    context->budget = std::make_shared<Budget>(0);
    return context;
}

std::vector<fs::path> fixture_models() {
    std::vector<fs::path> models;
    for (const char* group : {"ct", "awq_gptq"}) {
        const auto folder = fixture_path(group);
        if (!folder) continue;
        for (const auto& entry : fs::directory_iterator(*folder)) {
            if (fs::exists(entry.path() / "config.json")) models.push_back(entry.path());
        }
    }
    std::sort(models.begin(), models.end());
    return models;
}

// Puts one expert with no more scratch than the least.
void put_in_bands(const Checkpoint& checkpoint, const LayerEntry& entry, const BundleSpec& spec,
                  const Shard& shard, int64_t expert, CpuStore& store) {
    const auto allocator = std::make_shared<const Allocator>();
    const ScratchPlan scratch(spec, DeviceKind::kCpu, 1, 1, 0);
    const std::vector<int32_t> channels =
        spec.config.order == Order::kGroup
            ? read_channels(checkpoint, entry, expert, allocator).value()
            : std::vector<int32_t>();
    for (const Projection projection : kProjections) {
        assert_int_equal(scratch.band_rows(projection), 64);
        FileProjection file = FileProjection::open(checkpoint, entry, expert, projection,
                                                   scratch.strip_rows(projection), allocator)
                                  .value();
        const int64_t slot = expert - shard.first_expert;
        const Status status = put_projection(store, {spec, shard, slot, projection, channels}, file,
                                             scratch, allocator);
        if (!status.ok()) fail_msg("%s", status.message());
    }
}

void check_layer(const std::string& name, const Checkpoint& checkpoint, const LayerEntry& entry,
                 const Split& split) {
    const BundleSpec spec{entry.config, entry.layer, split, 0};
    auto shard = plan_shard(spec);
    if (!shard.ok()) return;
    const auto context = make_context();
    auto whole = Bundle::load(context, checkpoint, entry, split, 0, {});
    if (!whole.ok()) fail_msg("%s: %s", name.c_str(), whole.status().message());
    const auto store = CpuStore::create(context, spec, shard.value()).value();
    const int64_t experts = shard.value().expert_count;
    // The last one first: what runs over an expert's end is not put right by the next.
    for (int64_t i = experts - 1; i >= 0; --i) {
        put_in_bands(checkpoint, entry, spec, shard.value(), shard.value().first_expert + i,
                     *store);
    }
    for (int64_t i = 0; i < experts; ++i) {
        const auto bands = store->slot_bytes(i);
        const auto expected = whole.value()->cpu()->slot_bytes(i);
        if (!std::ranges::equal(bands, expected)) {
            fail_msg("%s, layer %u, rank %d of %d, expert %d: other bytes in bands", name.c_str(),
                     entry.model_layer, static_cast<int>(split.tensor_rank),
                     static_cast<int>(split.tensor_ranks), static_cast<int>(i));
        }
    }
}

void bands_give_the_same_bytes(void**) {
    const std::vector<fs::path> models = fixture_models();
    if (models.empty()) skip_without_fixture("ct or awq_gptq");
    for (const fs::path& model : models) {
        auto opened = Checkpoint::open(model.string(), {}, Log());
        if (!opened.ok()) fail_msg("%s", opened.status().message());
        for (const LayerEntry& entry : opened.value()->layers()) {
            const Split splits[] = {{}, {2, 0, 1, 0}, {2, 1, 1, 0}, {3, 1, 1, 0}, {4, 3, 2, 1}};
            for (const Split& split : splits) {
                check_layer(model.filename().string(), *opened.value(), entry, split);
            }
        }
    }
    print_message("%zu models\n", models.size());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(bands_give_the_same_bytes)};
    return cmocka_run_group_tests_name("unit_put_projection", tests, nullptr, nullptr);
}
