// SPDX-License-Identifier: Apache-2.0
// Whatever check_projection() lets pass can be unpacked: random configs, small odd dimensions and
// random bytes in memory of exactly the expected size, for AddressSanitizer to watch. And every
// strip says the same as the whole, wherever it starts.
#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "support/canonical_matrix.h"
#include "support/unpack_linear.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr int kProjections = 4000;
constexpr int kFewestUnpacked = kProjections / 2;

class RandomProjection {
  public:
    explicit RandomProjection(std::mt19937_64& random) : random_(random) {
        config_.format = static_cast<Format>(below(4));
        config_.bits = below(2) == 0 ? 4 : 8;
        config_.symmetry = static_cast<Symmetry>(below(2));
        config_.order = static_cast<Order>(below(3));
        if (config_.format == Format::kGptq) {
            constexpr ZeroPointForm kForms[] = {ZeroPointForm::kPacked, ZeroPointForm::kMinusOne,
                                                ZeroPointForm::kMinusOneWord};
            config_.zero_point_form = kForms[below(3)];
        } else if (config_.format == Format::kCompressedTensors && config_.asymmetric()) {
            config_.zero_point_form = static_cast<ZeroPointForm>(below(2));
        }
        // Mostly what a format can hold, sometimes anything.
        const int64_t unit = below(8) == 0 ? 1 : config_.format == Format::kMarlin ? 64 : 8;
        outputs_ = unit * (1 + below(5));
        const int64_t group_size = unit * (1 + below(3));
        inputs_ = group_size * (1 + below(4)) + (below(16) == 0 ? 1 : 0);
        if (below(4) != 0) config_.group_size = static_cast<int32_t>(group_size);
        make_tensors();
    }

    void check_strips() {
        if (!check_projection(config_, outputs_, inputs_, tensors_).ok()) return;
        unpacked_ = true;
        const PlainLinear whole = unpack_linear(config_, outputs_, inputs_, tensors_, outputs_);
        const PlainLinear parts =
            unpack_linear(config_, outputs_, inputs_, tensors_, 1 + below(outputs_));
        assert_true(parts.codes == whole.codes);
        assert_true(parts.scales == whole.scales);
        assert_true(parts.zero_points == whole.zero_points);
    }
    [[nodiscard]] bool unpacked() const { return unpacked_; }

  private:
    int64_t below(int64_t limit) {
        return static_cast<int64_t>(random_() % static_cast<uint64_t>(limit));
    }

    void make_tensors() {
        if (!check_dimensions(config_, outputs_, inputs_).ok()) return;
        tensors_.weight = tensor(Role::kWeight);
        tensors_.scale = tensor(Role::kScale);
        tensors_.zero_point = tensor(Role::kZeroPoint);
        tensors_.group_index = tensor(Role::kGroupIndex);
        if (!tensors_.group_index.absent() && below(8) != 0) order_inputs();
    }

    TensorView tensor(Role role) {
        const ExpectedTensor expected = expected_tensor(config_, outputs_, inputs_, role);
        if (expected.rank == 0 || (!expected.required && below(2) == 0)) return {};
        TensorView view;
        view.dtype =
            expected
                .dtypes[static_cast<size_t>(below(static_cast<int64_t>(expected.dtypes.size())))];
        view.rank = expected.rank;
        size_t bytes = dtype_bytes(view.dtype);
        for (int axis = 0; axis < view.rank; ++axis) {
            view.shape[axis] = expected.shape[axis];
            bytes *= static_cast<size_t>(view.shape[axis]);
        }
        memory_.emplace_back(bytes);
        fill(role, memory_.back());
        view.data = memory_.back().data();
        return view;
    }

    // Bytes below 0x78 make finite numbers in each scale type; in GPTQ's symmetric layers only one
    // value is a zero point.
    void fill(Role role, std::vector<uint8_t>& bytes) {
        const bool any = below(16) == 0;
        for (uint8_t& byte : bytes) {
            byte = static_cast<uint8_t>(random_());
            if (any) continue;
            if (role == Role::kScale) byte = byte % 0x78;
            if (role == Role::kZeroPoint && !config_.asymmetric()) byte = middle_byte();
            if (role == Role::kZeroPoint && config_.zero_point_form == ZeroPointForm::kInt8 &&
                config_.bits == 4) {
                byte = static_cast<uint8_t>(byte % 16 - 8);
            }
        }
    }

    [[nodiscard]] uint8_t middle_byte() const {
        const bool minus_one = config_.zero_point_form != ZeroPointForm::kPacked;
        if (config_.bits == 8) return minus_one ? 0x7F : 0x80;
        return minus_one ? 0x77 : 0x88;
    }

    void order_inputs() {
        auto* index = reinterpret_cast<int32_t*>(memory_.back().data());
        const int64_t group_size =
            config_.format == Format::kMarlin ? 1 : config_.group_size_for(inputs_);
        for (int64_t k = 0; k < inputs_; ++k) index[k] = static_cast<int32_t>(k / group_size);
        if (config_.order == Order::kGroup) std::shuffle(index, index + inputs_, random_);
    }

    std::mt19937_64& random_;
    QuantConfig config_;
    int64_t outputs_ = 0, inputs_ = 0;
    std::vector<std::vector<uint8_t>> memory_;
    ProjectionTensors tensors_;
    bool unpacked_ = false;
};

void what_passes_can_be_unpacked(void**) {
    const uint64_t seed = test_seed();
    print_message("MMOE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    int unpacked = 0;
    for (int i = 0; i < kProjections; ++i) {
        RandomProjection projection(random);
        projection.check_strips();
        unpacked += projection.unpacked() ? 1 : 0;
    }
    print_message("%d of %d unpacked\n", unpacked, kProjections);
    assert_true(unpacked >= kFewestUnpacked);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_can_be_unpacked),
    };
    return cmocka_run_group_tests_name("unit_unpack_any", tests, nullptr, nullptr);
}
