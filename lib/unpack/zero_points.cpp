// SPDX-License-Identifier: Apache-2.0
#include "unpack/zero_points.h"

#include <cinttypes>

#include "unpack/fields.h"

namespace mmoe {

namespace {

// int8 [N, G]: z - 2^(bits-1).
Status check_signed(int bits, const TensorView& zero_point, int64_t first_output) {
    const auto* stored = static_cast<const int8_t*>(zero_point.data);
    const auto middle = static_cast<int>(middle_code(bits));
    const int64_t groups = zero_point.shape[1];
    for (int64_t i = 0; i < zero_point.shape[0] * groups; ++i) {
        if (stored[i] >= -middle && stored[i] < middle) continue;
        return Status::error(Code::kBadData,
                             "zero point of output %" PRId64 ", group %" PRId64
                             ": expected %d to %d, got %d",
                             first_output + i / groups, i % groups, -middle, middle - 1, stored[i]);
    }
    return {};
}

// Words [G, N / fields] of GPTQ v1 written field by field: a zero point of 0 has spilled over
// its neighbours, and what is left of it reads as 16 (or 256) as well.
Status check_minus_one(int bits, const TensorView& zero_point, int64_t first_output) {
    const auto* stored = static_cast<const uint32_t*>(zero_point.data);
    const int64_t words = zero_point.shape[1];
    const int fields = 32 / bits;
    for (int64_t i = 0; i < zero_point.shape[0] * words; ++i) {
        for (int index = 0; index < fields; ++index) {
            if (field(stored[i], index, bits) != field_mask(bits)) continue;
            return Status::error(Code::kBadData,
                                 "zero point of output %" PRId64 ", group %" PRId64
                                 ": expected a stored value below %u, got %u, which a zero point "
                                 "of 0 leaves when one is subtracted field by field",
                                 first_output + i % words * fields + index, i / words,
                                 field_mask(bits), field_mask(bits));
        }
    }
    return {};
}

Status check_middle(const QuantConfig& config, const TensorView& zero_point, int64_t first_output) {
    const auto* stored = static_cast<const uint32_t*>(zero_point.data);
    const int64_t words = zero_point.shape[1];
    const int fields = 32 / config.bits;
    for (int64_t i = 0; i < zero_point.shape[0] * words; ++i) {
        const uint32_t word = true_zero_points(stored[i], config.zero_point_form, config.bits);
        for (int index = 0; index < fields; ++index) {
            const uint32_t value = field(word, index, config.bits);
            if (value == middle_code(config.bits)) continue;
            return Status::error(Code::kBadData,
                                 "zero point of output %" PRId64 ", group %" PRId64
                                 ": expected %u in a symmetric layer, got %u",
                                 first_output + i % words * fields + index, i / words,
                                 middle_code(config.bits), value);
        }
    }
    return {};
}

}  // namespace

Status check_zero_points(const QuantConfig& config, const TensorView& zero_point,
                         int64_t first_output) {
    if (zero_point.absent()) return {};
    if (config.zero_point_form == ZeroPointForm::kInt8)
        return check_signed(config.bits, zero_point, first_output);
    if (!config.asymmetric()) return check_middle(config, zero_point, first_output);
    if (config.zero_point_form == ZeroPointForm::kMinusOne) {
        return check_minus_one(config.bits, zero_point, first_output);
    }
    return {};
}

}  // namespace mmoe
