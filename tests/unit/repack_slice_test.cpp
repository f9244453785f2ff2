// SPDX-License-Identifier: Apache-2.0
// Tensor-parallel slices. The table says which channels a rank holds and which splits are refused;
// the property says that partial outputs of all ranks, computed in double from what the sliced
// unpackers give, add up to the whole layer's, through activation order, straddling groups and
// Marlin's padding.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "repack/slice.h"
#include "support/canonical_matrix.h"
#include "support/marlin_matrix.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

QuantConfig config_of(int group_size) {
    QuantConfig config;
    if (group_size > 0) config.group_size = group_size;
    return config;
}

struct PlanCase {
    const char* name;
    int64_t intermediate;
    int group_size;  // 0: channel
    int64_t ranks, rank;
    Slice expected;
};
const PlanCase kPlanCases[] = {
    {"whole layer", 768, 128, 1, 0, {0, 768, 128}},
    {"whole groups", 768, 128, 2, 1, {384, 384, 128}},
    {"half groups", 768, 128, 4, 3, {576, 192, 64}},
    {"quarter groups", 768, 128, 8, 1, {96, 96, 32}},
    {"one group a rank", 512, 128, 4, 2, {256, 128, 128}},
    {"small groups stay whole", 64, 16, 4, 1, {16, 16, 16}},
    {"channel", 192, 0, 4, 1, {48, 48, 48}},
    {"gpt-oss, first rank", 2880, 32, 4, 0, {0, 704, 32}},
    {"gpt-oss, second rank", 2880, 32, 4, 1, {704, 736, 32}},
    {"gpt-oss, last rank", 2880, 32, 8, 7, {2496, 384, 32}},
    {"ranks that do not divide", 768, 128, 5, 4, {512, 256, 128}},
    {"channel, ranks that do not divide", 200, 0, 3, 2, {128, 72, 72}},
};

void ranks_hold_their_channels(void**) {
    for (const PlanCase& c : kPlanCases) {
        print_message("%s\n", c.name);
        auto slice = plan_slice(config_of(c.group_size), c.intermediate, c.ranks, c.rank);
        assert_true(slice.ok());
        assert_int_equal(slice.value().first, c.expected.first);
        assert_int_equal(slice.value().size, c.expected.size);
        assert_int_equal(slice.value().down_group_size, c.expected.down_group_size);
    }
}

// For many shapes: slices follow each other without a gap, none is empty, and each part of a group
// lies inside one group of the file.
void slices_cover_the_layer(void**) {
    for (int group_size : {0, 16, 32, 48, 64, 128}) {
        for (int64_t groups = 1; groups < 40; ++groups) {
            const int64_t intermediate = group_size > 0 ? groups * group_size : groups * 24;
            const QuantConfig config = config_of(group_size);
            int64_t most = 0;  // possible ranks so far
            for (int64_t ranks = 1; ranks <= 16; ++ranks) {
                const bool possible = plan_slice(config, intermediate, ranks, 0).ok();
                if (possible) most = ranks;
                assert_int_equal(most_ranks(config, intermediate, ranks), most);
                int64_t next = 0;
                for (int64_t rank = 0; rank < ranks; ++rank) {
                    auto slice = plan_slice(config, intermediate, ranks, rank);
                    assert_int_equal(slice.ok(), possible);
                    if (!possible) continue;
                    const Slice s = slice.value();
                    assert_int_equal(s.first, next);
                    assert_true(s.size > 0 && s.size % s.down_group_size == 0);
                    if (group_size > 0) {
                        assert_int_equal(group_size % s.down_group_size, 0);
                        assert_int_equal(s.first % s.down_group_size, 0);
                    }
                    next += s.size;
                }
                assert_int_equal(next, possible ? intermediate : 0);
            }
        }
    }
}

struct RefusedCase {
    const char* name;
    int64_t intermediate;
    int group_size;
    int64_t ranks;
    const char* sentence;
};
constexpr RefusedCase kRefusedCases[] = {
    {"more ranks than parts", 768, 128, 16,
     "tensor parallel split: expected at most 12 ranks for 768 intermediate channels in groups of "
     "128, got 16"},
    {"one group", 128, 128, 8,
     "tensor parallel split: expected at most 4 ranks for 128 intermediate channels in groups of "
     "128, got 8"},
};

void empty_ranks_are_refused(void**) {
    for (const RefusedCase& c : kRefusedCases) {
        print_message("%s\n", c.name);
        auto slice = plan_slice(config_of(c.group_size), c.intermediate, c.ranks, 0);
        assert_false(slice.ok());
        assert_int_equal(slice.status().code(), Code::kUnsupported);
        assert_string_equal(slice.status().message(), c.sentence);
    }
}

void orders_of_gate_and_up_must_agree(void**) {
    const std::vector<int32_t> plain = {0, 1, 2, 3}, moved = {0, 2, 1, 3};
    assert_true(check_same_order(moved, moved).ok());
    assert_true(check_same_order({}, plain).ok());
    const Status status = check_same_order(moved, {});
    assert_int_equal(status.code(), Code::kUnsupported);
    assert_string_equal(status.message(),
                        "activation order of gate and up: expected the same, got input 2 and input "
                        "1 at place 1");
}

// ---- Partial outputs ---------------------------------------------------------------------------

struct LayerCase {
    const char* name;
    int64_t hidden, intermediate;
    int group_size;  // of both axes; 0: channel
    int bits;
    bool asymmetric, ordered;  // activation order of down
    bool gated;
};
constexpr LayerCase kLayerCases[] = {
    {"plain", 128, 256, 32, 4, false, false, true},
    {"straddling groups", 128, 256, 128, 4, true, false, true},
    {"straddling groups, 8 bits", 64, 512, 64, 8, true, false, true},
    {"activation order", 128, 256, 128, 4, false, true, true},
    {"activation order, zero points", 64, 384, 64, 4, true, true, true},
    {"uneven ranks", 96, 352, 32, 4, true, true, true},
    {"not gated, padded", 64, 288, 32, 8, true, false, false},
    {"one group becomes three", 96, 288, 96, 4, true, true, true},
    {"channel", 100, 200, 0, 4, true, false, true},
};

// compressed-tensors tensors of one projection; zero points as signed bytes.
struct FileLinear {
    CanonicalMatrix source;
    std::vector<int8_t> zero_points;
    std::vector<int32_t> group_index;
    std::vector<float> bias;

    FileLinear(std::mt19937_64& random, const LayerCase& c, int64_t rows, int64_t columns,
               bool ordered)
        : source(random, rows, columns, c.group_size > 0 ? c.group_size : columns, c.bits,
                 c.asymmetric) {
        for (const uint8_t zero : source.zero_points) {
            zero_points.push_back(static_cast<int8_t>(zero - (1 << (c.bits - 1))));
        }
        for (int64_t n = 0; n < rows; ++n) {
            bias.push_back(static_cast<float>(random() % 100) * 0.125F);
        }
        if (!ordered) return;
        for (int64_t k = 0; k < columns; ++k) {
            group_index.push_back(static_cast<int32_t>(k / source.view.group_size));
        }
        std::shuffle(group_index.begin(), group_index.end(), random);
    }

    [[nodiscard]] ProjectionTensors tensors() const {
        const Canonical& v = source.view;
        ProjectionTensors t;
        t.weight = {DType::kI32, 2, {v.rows, v.words_per_row()}, v.codes.data()};
        t.scale = {DType::kF32, 2, {v.rows, v.groups()}, v.scales.data()};
        if (!zero_points.empty()) {
            t.zero_point = {DType::kI8, 2, {v.rows, v.groups()}, zero_points.data()};
        }
        if (!group_index.empty()) t.group_index = {DType::kI32, 1, {v.columns}, group_index.data()};
        return t;
    }
};

// What one rank computes with: plain weights and the bias of its part.
struct RankLinear {
    PlainLinear plain;
    std::vector<float> bias;
};

// Through Marlin's padding and back, so that what is compared is what a device would hold.
PlainLinear through_marlin(Unpacker& unpacker, const MarlinLayerPlan& plan, Projection projection,
                           int64_t rows, int64_t columns) {
    MarlinMatrix matrix(plan.shape(projection));
    const int64_t first = plan.first_output(projection, plan.w13.outputs > plan.w2.inputs);
    matrix.pack(unpacker, rows, first, 64);
    const auto back = value_or_throw(
        unpack_marlin(matrix.shape, {.first_output = first, .rows = rows, .columns = columns},
                      std::as_const(matrix).tensors(), 64, std::make_shared<const Allocator>()));
    PlainLinear plain;
    plain.outputs = rows;
    plain.inputs = columns;
    for (int64_t row = 0; row < rows; row += 64) {
        append_strip(back->strip(row, std::min<int64_t>(64, rows - row)), &plain);
    }
    return plain;
}

class SlicedLayer {
  public:
    SlicedLayer(const LayerCase& c, std::mt19937_64& random)
        : case_(c),
          gate_(random, c, c.intermediate, c.hidden, false),
          up_(random, c, c.intermediate, c.hidden, false),
          down_(random, c, c.hidden, c.intermediate, c.ordered) {
        config_ = config_of(c.group_size);
        config_.bits = c.bits;
        config_.symmetry = c.asymmetric ? Symmetry::kAsymmetric : Symmetry::kSymmetric;
        config_.zero_point_form = ZeroPointForm::kInt8;
        config_.scale_type = layout::ScaleType::kF32;
    }

    // One rank's part of the output for hidden state x, in double.
    [[nodiscard]] std::vector<double> partial(const std::vector<double>& x, int64_t ranks,
                                              int64_t rank) const {
        const Slice slice = plan_slice(config_, case_.intermediate, ranks, rank).value();
        QuantConfig down_config = config_;
        if (case_.ordered) down_config.order = Order::kGroup;
        const auto order =
            input_order(down_config, case_.intermediate, down_.tensors().group_index);
        const Layer local{.expert_count = 1,
                          .hidden_size = case_.hidden,
                          .intermediate_size = slice.size,
                          .gate_form = case_.gated ? GateForm::kSeparate : GateForm::kNone};
        const auto plan =
            plan_marlin_layer(config_, local, slice.down_group_size, layout::MarlinTile::kK16N64);
        const RankLinear up = channels_of(up_, Projection::kUp, slice, order, plan);
        RankLinear gate;
        if (local.gated()) gate = channels_of(gate_, Projection::kGate, slice, order, plan);
        auto source =
            make_unpacker(down_config, case_.hidden, case_.intermediate, down_.tensors(), 64);
        const auto unpacker = value_or_throw(
            slice_inputs(std::move(source), slice, 64, std::make_shared<const Allocator>()));
        RankLinear down{
            through_marlin(*unpacker, plan, Projection::kDown, case_.hidden, slice.size),
            rank == 0 ? down_.bias : std::vector<float>(down_.bias.size())};
        std::vector<double> active = multiply(up, x);
        if (local.gated()) {
            const std::vector<double> a = multiply(gate, x);
            for (size_t i = 0; i < a.size(); ++i) active[i] *= a[i] / (1 + std::exp(-a[i]));
        } else {
            for (double& a : active) a = std::max(a, 0.0) * std::max(a, 0.0);
        }
        return multiply(down, active);
    }

    // The whole layer from the file's own order, no slice and no order anywhere.
    [[nodiscard]] std::vector<double> whole(const std::vector<double>& x) const {
        QuantConfig down_config = config_;
        if (case_.ordered) down_config.order = Order::kGroup;
        const RankLinear up{
            unpack_linear(config_, case_.intermediate, case_.hidden, up_.tensors(), 64), up_.bias};
        const RankLinear gate{
            unpack_linear(config_, case_.intermediate, case_.hidden, gate_.tensors(), 64),
            gate_.bias};
        const RankLinear down{
            unpack_linear(down_config, case_.hidden, case_.intermediate, down_.tensors(), 64),
            down_.bias};
        std::vector<double> active = multiply(up, x);
        const std::vector<double> a = multiply(gate, x);
        for (size_t i = 0; i < a.size(); ++i) {
            active[i] = !case_.gated ? std::max(active[i], 0.0) * std::max(active[i], 0.0)
                                     : active[i] * a[i] / (1 + std::exp(-a[i]));
        }
        return multiply(down, active);
    }

  private:
    // Rows of gate or up that belong to a slice, in down's order.
    [[nodiscard]] RankLinear channels_of(const FileLinear& file, Projection projection,
                                         const Slice& slice, const std::vector<int32_t>& order,
                                         const MarlinLayerPlan& plan) const {
        auto source = make_unpacker(config_, case_.intermediate, case_.hidden, file.tensors(), 64);
        std::vector<int32_t> channels(static_cast<size_t>(slice.size));
        std::iota(channels.begin(), channels.end(), static_cast<int32_t>(slice.first));
        std::unique_ptr<Unpacker> unpacker;
        if (order.empty()) {
            unpacker = slice_outputs(std::move(source), slice.first);
        } else {
            for (int32_t& channel : channels) channel = order[static_cast<size_t>(channel)];
            unpacker = gather(*source, channels);
        }
        RankLinear linear{through_marlin(*unpacker, plan, projection, slice.size, case_.hidden),
                          {}};
        for (const int32_t channel : channels) {
            linear.bias.push_back(file.bias[static_cast<size_t>(channel)]);
        }
        return linear;
    }

    // In strips that end inside a block.
    [[nodiscard]] std::unique_ptr<Unpacker> gather(Unpacker& source,
                                                   const std::vector<int32_t>& channels) const {
        constexpr int64_t kStrip = 40;
        auto gather = OutputGather::create(source.strip(0, 1), case_.intermediate, channels,
                                           std::make_shared<const Allocator>());
        if (!gather.ok()) throw std::runtime_error(gather.status().message());
        for (int64_t row = 0; row < case_.intermediate; row += kStrip) {
            gather.value().add(source.strip(row, std::min(kStrip, case_.intermediate - row)), row);
        }
        return std::move(gather).value().finish();
    }

    static std::vector<double> multiply(const RankLinear& linear, const std::vector<double>& x) {
        std::vector<double> out;
        for (int64_t n = 0; n < linear.plain.outputs; ++n) {
            double sum = linear.bias[static_cast<size_t>(n)];
            for (int64_t k = 0; k < linear.plain.inputs; ++k) {
                sum += linear.plain.weights[static_cast<size_t>(n * linear.plain.inputs + k)] *
                       x[static_cast<size_t>(k)];
            }
            out.push_back(sum);
        }
        return out;
    }

    LayerCase case_;
    QuantConfig config_;
    FileLinear gate_, up_, down_;
};

void partial_outputs_add_up(void**) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (const LayerCase& c : kLayerCases) {
        const SlicedLayer layer(c, random);
        std::vector<double> x;
        for (int64_t k = 0; k < c.hidden; ++k) x.push_back((random() % 1000) * 1e-3 - 0.5);
        const std::vector<double> whole = layer.whole(x);
        double norm = 0;
        for (const double value : whole) norm = std::max(norm, std::abs(value));
        for (const int64_t ranks : {1, 2, 4, 8}) {
            if (most_ranks(config_of(c.group_size), c.intermediate, ranks) != ranks) continue;
            print_message("%s, %d ranks\n", c.name, static_cast<int>(ranks));
            std::vector<double> sum(whole.size());
            for (int64_t rank = 0; rank < ranks; ++rank) {
                const std::vector<double> part = layer.partial(x, ranks, rank);
                for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
            }
            // Only the order of additions in double differs: a few hundred roundings of 1e-16.
            for (size_t i = 0; i < sum.size(); ++i) {
                assert_true(std::abs(sum[i] - whole[i]) <= 1e-12 * norm);
            }
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(ranks_hold_their_channels),
        cmocka_unit_test(slices_cover_the_layer),
        cmocka_unit_test(empty_ranks_are_refused),
        cmocka_unit_test(orders_of_gate_and_up_must_agree),
        cmocka_unit_test(partial_outputs_add_up),
    };
    return cmocka_run_group_tests_name("unit_repack_slice", tests, nullptr, nullptr);
}
