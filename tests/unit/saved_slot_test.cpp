// SPDX-License-Identifier: Apache-2.0
// Room bundle: the bytes that a CUDA device's bundle is saved as, opened on the CPU, without a
// device: what its kernels read is built here from the formulae, and must become the same records
// as the weights it was built from.
#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "bundle/cpu_store.h"
#include "bundle/cuda_plan.h"
#include "bundle/expert_tensors.h"
#include "bundle/saved_slot.h"
#include "repack/marlin.h"
#include "support/canonical_matrix.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe;
using mmoe::test::CanonicalMatrix;

constexpr int64_t kSlot = 0;

struct Case {
    const char* name;
    int bits;
    int64_t group;  // 0: one scale a channel
    bool asymmetric;
    GateForm gate_form;
    bool bias;
    bool ordered;
    int64_t hidden, intermediate;
};

constexpr Case kCases[] = {
    {"4 bits, padded", 4, 32, true, GateForm::kSeparate, true, false, 160, 96},
    {"8 bits, a channel, not gated", 8, 0, false, GateForm::kNone, true, false, 128, 80},
    {"activation order", 4, 32, true, GateForm::kSeparate, false, true, 128, 64},
};

BundleSpec spec_of(const Case& c) {
    BundleSpec spec;
    spec.config.bits = c.bits;
    if (c.group != 0) spec.config.group_size = static_cast<int32_t>(c.group);
    spec.config.symmetry = c.asymmetric ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
    spec.config.order = c.ordered ? Order::kGroup : Order::kNone;
    spec.config.scale_type = layout::ScaleType::kBf16;
    spec.layer.expert_count = 1;
    spec.layer.hidden_size = c.hidden;
    spec.layer.intermediate_size = c.intermediate;
    spec.layer.gate_form = c.gate_form;
    spec.layer.bias = c.bias;
    return spec;
}

// One projection with its bias and the order of its columns.
struct Weights {
    CanonicalMatrix matrix;
    std::vector<float> bias;

    Weights(const BundleSpec& spec, Projection projection, std::mt19937_64& random)
        : matrix(random, spec.layer.outputs(projection), spec.layer.inputs(projection),
                 spec.config.group_size_for(spec.layer.inputs(projection)), spec.config.bits,
                 spec.config.asymmetric()),
          bias(static_cast<size_t>(spec.layer.outputs(projection))) {
        for (float& value : bias) value = static_cast<float>(random() % 1000) / 256.0F;
    }
};

class MatrixRows final : public Unpacker {
  public:
    MatrixRows(const CanonicalMatrix& matrix, std::span<const int32_t> order)
        : matrix_(matrix), order_(order) {}
    Canonical strip(int64_t first_row, int64_t rows) override {
        Canonical strip = matrix_.strip(first_row, rows);
        strip.order = order_;
        return strip;
    }

  private:
    const CanonicalMatrix& matrix_;
    std::span<const int32_t> order_;
};

// What a device holds of the expert, part after part.
class TileBytes {
  public:
    TileBytes(const BundleSpec& spec, const CudaBundlePlan& plan)
        : spec_(spec), plan_(plan), bytes_(plan.slot_bytes) {}

    void add(Projection projection, const Weights& weights) {
        const CudaMatrixPlan& matrix = projection == Projection::kDown ? plan_.w2 : plan_.w13;
        const int64_t first = plan_.layer.first_output(projection, spec_.layer.gated());
        by_row_.resize(static_cast<size_t>(matrix.shape.weight_words()));
        pack_marlin(matrix.shape, weights.matrix.strip(0, weights.matrix.view.rows), first,
                    {by_row_, part(matrix.scales), words(matrix.zero_points)});
        const bool last = projection != Projection::kGate;
        if (last) store_tiles(matrix);
        if (plan_.bias) {
            auto* biases = reinterpret_cast<float*>(part(matrix.bias).data());
            std::copy(weights.bias.begin(), weights.bias.end(), biases + first);
        }
    }
    void set_order(std::span<const int32_t> order) {
        const std::span<uint8_t> bytes = part(plan_.hidden_order);
        std::memset(bytes.data(), 0xFF, bytes.size());  // -1 in padding
        std::memcpy(bytes.data(), order.data(), order.size_bytes());
    }
    [[nodiscard]] std::vector<uint8_t>& bytes() { return bytes_; }

  private:
    std::span<uint8_t> part(const CudaPart& part) {
        return std::span(bytes_).subspan(part.offset_in_slot, part.slot_bytes);
    }
    std::span<uint32_t> words(const CudaPart& p) {
        const std::span<uint8_t> bytes = part(p);
        return {reinterpret_cast<uint32_t*>(bytes.data()), bytes.size() / 4};
    }
    // [K/16][N/64] -> [N/64][K/16]
    void store_tiles(const CudaMatrixPlan& matrix) {
        const int64_t rows = matrix.shape.inputs / 16;
        const int64_t columns = matrix.shape.outputs / 64;
        const auto tile = static_cast<size_t>(marlin_tile_bytes(matrix.shape));
        const auto* source = reinterpret_cast<const uint8_t*>(by_row_.data());
        for (int64_t row = 0; row < rows; ++row) {
            for (int64_t column = 0; column < columns; ++column) {
                std::memcpy(&part(matrix.codes)[static_cast<size_t>(column * rows + row) * tile],
                            source + static_cast<size_t>(row * columns + column) * tile, tile);
            }
        }
        by_row_.clear();
    }

    const BundleSpec& spec_;
    const CudaBundlePlan& plan_;
    std::vector<uint8_t> bytes_;
    std::vector<uint32_t> by_row_;  // of w13 until its last projection has come
};

std::unique_ptr<CpuStore> make_store(const BundleSpec& spec, const Shard& shard) {
    auto context = std::make_shared<Context>();
    context->allocator = std::make_shared<const Allocator>();
    context->parallel = Parallel::create(1, nullptr, nullptr).value();
    context->budget = std::make_shared<Budget>(0);
    return std::move(CpuStore::create(std::move(context), spec, shard).value());
}

void check_case(const Case& c) {
    std::mt19937_64 random(9);
    const BundleSpec spec = spec_of(c);
    const Shard shard = plan_shard(spec).value();
    const CudaBundlePlan plan = plan_cuda_bundle(spec, shard);
    std::vector<int32_t> order;
    if (c.ordered) {
        for (int32_t k = 0; k < c.hidden; ++k)
            order.push_back(static_cast<int32_t>(c.hidden) - 1 - k);
    }
    const std::unique_ptr<CpuStore> want = make_store(spec, shard);
    TileBytes tiles(spec, plan);
    for (const Projection projection : kProjections) {
        if (projection == Projection::kGate && !spec.layer.gated()) continue;
        const Weights weights(spec, projection, random);
        const bool down = projection == Projection::kDown;
        MatrixRows rows(weights.matrix, down ? std::span<const int32_t>() : order);
        assert_true(want->put({kSlot, projection, 0, weights.matrix.view.rows, rows, 64}).ok());
        if (c.bias) assert_true(want->put_bias(kSlot, projection, weights.bias, {}).ok());
        tiles.add(projection, weights);
    }
    if (c.ordered) tiles.set_order(order);

    const std::unique_ptr<CpuStore> got = make_store(spec, shard);
    const SavedSlot saved{spec, shard, SavedLayout::kCudaTiles, kSlot};
    assert_true(saved_slot_bytes(spec, shard, saved.layout) == tiles.bytes().size());
    assert_true(check_saved_slot(saved, tiles.bytes()).ok());
    const Status status =
        convert_saved_slot(saved, tiles.bytes(), *got, std::make_shared<const Allocator>());
    if (!status.ok()) fail_msg("%s: %s", c.name, status.message());
    const auto a = want->slot_bytes(kSlot);
    const auto b = got->slot_bytes(kSlot);
    if (!std::equal(a.begin(), a.end(), b.begin(), b.end())) fail_msg("%s: bytes differ", c.name);
}

void a_device_slot_becomes_the_hosts_records(void** /*state*/) {
    for (const Case& c : kCases) check_case(c);
}

void an_order_that_points_outside_is_refused(void** /*state*/) {
    const BundleSpec spec = spec_of(kCases[2]);
    const Shard shard = plan_shard(spec).value();
    const CudaBundlePlan plan = plan_cuda_bundle(spec, shard);
    for (const int32_t bad : {-1, static_cast<int32_t>(spec.layer.hidden_size)}) {
        TileBytes tiles(spec, plan);
        std::vector<int32_t> order(static_cast<size_t>(spec.layer.hidden_size));
        order[7] = bad;
        tiles.set_order(order);
        const Status status =
            check_saved_slot({spec, shard, SavedLayout::kCudaTiles, kSlot}, tiles.bytes());
        assert_int_equal(static_cast<int>(status.code()), static_cast<int>(Code::kBadData));
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_device_slot_becomes_the_hosts_records),
        cmocka_unit_test(an_order_that_points_outside_is_refused),
    };
    return cmocka_run_group_tests_name("unit_saved_slot", tests, nullptr, nullptr);
}
