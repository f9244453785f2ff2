// SPDX-License-Identifier: Apache-2.0
// How fast weights change their layout on one core: every file format to canonical, canonical to
// Marlin and back, compressed-tensors to CPU records and back. Prints packed bytes a second of the
// best of several passes over matrices that are not in the cache, beside memcpy of the same bytes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "repack/cpu_records.h"
#include "support/marlin_matrix.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr int64_t kOutputs = 2048;
constexpr int64_t kInputs = 7168;
constexpr int64_t kGroupSize = 128;
constexpr int64_t kGroups = kInputs / kGroupSize;
constexpr int kMatrices = 8;  // 59 MB of 4-bit codes, read in turn
constexpr int kPasses = 3;
constexpr int64_t kStripRows = 128;

// Seconds of the fastest call.
double best_seconds(const std::function<void(int matrix)>& work) {
    double best = 1e9;
    for (int i = 0; i < kPasses * kMatrices; ++i) {
        const auto start = std::chrono::steady_clock::now();
        work(i % kMatrices);
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        best = std::min(best, taken.count());
    }
    return best;
}

void report(const char* what, int bits, double seconds) {
    const double bytes = static_cast<double>(kOutputs * kInputs * bits / 8);
    std::printf("%-28s %d bits %6.2f GB/s\n", what, bits, bytes / seconds * 1e-9);
}

// The same words in the shape that each format gives them; values do not matter.
struct Source {
    const char* name;
    Format format;
    Order order;
};
constexpr Source kSources[] = {
    {"compressed-tensors", Format::kCompressedTensors, Order::kNone},
    {"compressed-tensors, ordered", Format::kCompressedTensors, Order::kGroup},
    {"gptq", Format::kGptq, Order::kNone},
    {"gptq, ordered", Format::kGptq, Order::kGroup},
    {"awq", Format::kAwq, Order::kNone},
};

class Bench {
  public:
    explicit Bench(int bits)
        : bits_(bits),
          words_(static_cast<size_t>(kOutputs * kInputs * bits / 32)),
          codes_(words_ * kMatrices),
          scales_(static_cast<size_t>(kOutputs * kGroups), 0x3C00),
          zero_points_(static_cast<size_t>(kOutputs * kGroups), 0x01234567),
          group_index_(static_cast<size_t>(kInputs)) {
        std::mt19937 random(1);
        std::generate(codes_.begin(), codes_.end(), random);
        for (size_t k = 0; k < group_index_.size(); ++k) {
            group_index_[k] = static_cast<int32_t>(k % kGroups);
        }
    }

    void run() {
        std::vector<uint32_t> copy(words_);
        report("memcpy", bits_, best_seconds([&](int matrix) {
                   std::memcpy(copy.data(), codes(matrix), words_ * 4);
               }));
        for (const Source& source : kSources) report(source.name, bits_, unpack(source));
        for (const auto tile : {layout::MarlinTile::kK16N64, layout::MarlinTile::kK32N32}) {
            marlin(tile);
        }
        cpu_records();
    }

  private:
    [[nodiscard]] const uint32_t* codes(int matrix) const {
        return codes_.data() + static_cast<size_t>(matrix) * words_;
    }

    [[nodiscard]] QuantConfig config(const Source& source) const {
        QuantConfig config;
        config.format = source.format;
        config.bits = bits_;
        config.group_size = static_cast<int32_t>(kGroupSize);
        config.symmetry = Symmetry::kAsymmetric;
        config.order = source.order;
        return config;
    }

    [[nodiscard]] std::unique_ptr<Unpacker> unpacker(const Source& source, int matrix) const {
        ProjectionTensors tensors;
        const auto view = [&](Role role, DType dtype, const void* data) {
            const ExpectedTensor e = expected_tensor(config(source), kOutputs, kInputs, role);
            return TensorView{dtype, e.rank, {e.shape[0], e.shape[1]}, data};
        };
        tensors.weight = view(Role::kWeight, DType::kI32, codes(matrix));
        tensors.scale = view(Role::kScale, DType::kF16, scales_.data());
        tensors.zero_point = view(Role::kZeroPoint, DType::kI32, zero_points_.data());
        if (source.order == Order::kGroup) {
            tensors.group_index = view(Role::kGroupIndex, DType::kI32, group_index_.data());
        }
        return make_unpacker(config(source), kOutputs, kInputs, tensors, kStripRows);
    }

    [[nodiscard]] double unpack(const Source& source) const {
        std::vector<std::unique_ptr<Unpacker>> unpackers;
        for (int i = 0; i < kMatrices; ++i) unpackers.push_back(unpacker(source, i));
        return best_seconds([&](int matrix) {
            for (int64_t row = 0; row < kOutputs; row += kStripRows) {
                unpackers[static_cast<size_t>(matrix)]->strip(row, kStripRows);
            }
        });
    }

    void marlin(layout::MarlinTile tile) const {
        MarlinMatrix matrix({.inputs = kInputs,
                             .outputs = kOutputs,
                             .groups = kGroups,
                             .bits = bits_,
                             .asymmetric = true,
                             .tile = tile,
                             .scale_type = layout::ScaleType::kF16});
        const auto source = unpacker(kSources[0], 0);
        const bool a8 = tile == layout::MarlinTile::kK32N32;
        report(a8 ? "to marlin, 8-bit activations" : "to marlin", bits_,
               best_seconds([&](int) { matrix.pack(*source, kOutputs, 0, kStripRows); }));
        const auto back = value_or_throw(unpack_marlin(
            matrix.shape, {.rows = kOutputs, .columns = kInputs}, std::as_const(matrix).tensors(),
            kStripRows, std::make_shared<const Allocator>()));
        report(a8 ? "from it" : "from marlin", bits_, best_seconds([&](int) {
                   for (int64_t row = 0; row < kOutputs; row += kStripRows) {
                       back->strip(row, kStripRows);
                   }
               }));
    }

    void cpu_records() const {
        const layout::CpuRecordPlan plan{.outputs = kOutputs,
                                         .inputs = kInputs,
                                         .group_size = kGroupSize,
                                         .bits = bits_,
                                         .asymmetric = true,
                                         .scale_type = layout::ScaleType::kF16};
        std::vector<std::unique_ptr<Unpacker>> unpackers;
        for (int i = 0; i < kMatrices; ++i) unpackers.push_back(unpacker(kSources[0], i));
        const auto bytes = static_cast<size_t>(plan.matrix_bytes());
        auto records =
            Buffer::create(std::make_shared<const Allocator>(), bytes * kMatrices, "records");
        if (!records.ok()) throw std::bad_alloc();
        const auto of = [&](int matrix) {
            return records.value().as<uint8_t>().subspan(static_cast<size_t>(matrix) * bytes,
                                                         bytes);
        };
        report("to CPU records", bits_, best_seconds([&](int matrix) {
                   Unpacker& from = *unpackers[static_cast<size_t>(matrix)];
                   for (int64_t row = 0; row < kOutputs; row += kStripRows) {
                       pack_cpu_records(plan, from.strip(row, kStripRows), row, false, of(matrix));
                   }
               }));
        std::vector<uint32_t> codes(words_);
        report("from CPU records", bits_, best_seconds([&](int matrix) {
                   unpack_cpu_records(plan, of(matrix), false, 0, kOutputs, codes, {}, {});
               }));
    }

    int bits_;
    size_t words_;  // of one matrix
    std::vector<uint32_t> codes_;
    std::vector<uint16_t> scales_;
    std::vector<uint32_t> zero_points_;
    std::vector<int32_t> group_index_;
};

}  // namespace

int main() {
    for (const int bits : {4, 8}) Bench(bits).run();
    return 0;
}
