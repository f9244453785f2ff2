// SPDX-License-Identifier: Apache-2.0
#include "parity/quantized.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace mmoe::parity {

uint64_t Random::bits() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

double Random::uniform() {
    return static_cast<double>(bits() >> 11) * 0x1p-53;
}

double Random::normal() {
    double sum = -6.0;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
}

uint32_t encode(mmoe_dtype dtype, float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if (dtype == MMOE_DTYPE_F32) return bits;
    if (dtype == MMOE_DTYPE_BF16) return bits >> 16;
    const uint32_t sign = (bits >> 16) & 0x8000;
    const int exponent = static_cast<int>((bits >> 23) & 0xFF) - 127 + 15;  // biased as in f16
    if (exponent <= 0) return sign;
    return sign | static_cast<uint32_t>(exponent) << 10 | ((bits >> 13) & 0x3FF);
}

double decode(mmoe_dtype dtype, uint32_t bits) {
    if (dtype == MMOE_DTYPE_F32) return std::bit_cast<float>(bits);
    if (dtype == MMOE_DTYPE_BF16) return std::bit_cast<float>(bits << 16);
    const int exponent = static_cast<int>((bits >> 10) & 0x1F);
    const double mantissa = bits & 0x3FF;
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * HUGE_VAL;
    return sign * (exponent == 0 ? std::ldexp(mantissa, -24)
                                 : std::ldexp(mantissa + 1024.0, exponent - 25));
}

size_t size_bytes(mmoe_dtype dtype) {
    switch (dtype) {
        case MMOE_DTYPE_F16:
        case MMOE_DTYPE_BF16:
            return 2;
        case MMOE_DTYPE_I8:
            return 1;
        default:
            return 4;
    }
}

Array::Array(mmoe_dtype dtype, std::vector<int64_t> shape)
    : dtype_(dtype), shape_(std::move(shape)) {
    size_t count = 1;
    for (const int64_t axis : shape_) count *= static_cast<size_t>(axis);
    bytes_.resize(count * size_bytes(dtype));
}

void Array::set_bits(int64_t index, uint32_t bits) {
    std::memcpy(&bytes_[index * size_bytes(dtype_)], &bits, size_bytes(dtype_));  // little-endian
}

double Array::value(int64_t index) const {
    uint32_t bits = 0;
    std::memcpy(&bits, &bytes_[index * size_bytes(dtype_)], size_bytes(dtype_));
    return decode(dtype_, bits);
}

mmoe_tensor Array::tensor() {
    mmoe_tensor tensor{};
    tensor.data = bytes_.data();
    tensor.dtype = dtype_;
    tensor.rank = static_cast<int32_t>(shape_.size());
    for (size_t axis = 0; axis < shape_.size(); ++axis) tensor.shape[axis] = shape_[axis];
    return tensor;
}

namespace {

enum class Axis { kRows, kColumns };

// Packs fields of `bits` bits into words, lowest first, along one axis of [rows, columns].
Array pack(const std::vector<uint32_t>& codes, int64_t rows, int64_t columns, int bits, Axis axis) {
    const int64_t fields = 32 / bits;
    const auto words_for = [fields](int64_t count) { return (count + fields - 1) / fields; };
    const bool down = axis == Axis::kRows;
    const int64_t word_rows = down ? words_for(rows) : rows;
    const int64_t word_columns = down ? columns : words_for(columns);
    std::vector<uint32_t> words(static_cast<size_t>(word_rows * word_columns), 0);
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
            const int64_t word =
                down ? row / fields * word_columns + column : row * word_columns + column / fields;
            const int64_t field = (down ? row : column) % fields;
            words[word] |= codes[row * columns + column] << (field * bits);
        }
    }
    Array packed(MMOE_DTYPE_I32, {word_rows, word_columns});
    for (size_t i = 0; i < words.size(); ++i) packed.set_bits(static_cast<int64_t>(i), words[i]);
    return packed;
}

// One signed byte each, relative to the middle of the code range.
Array signed_bytes(const std::vector<uint32_t>& codes, int64_t rows, int64_t columns, int bits) {
    Array packed(MMOE_DTYPE_I8, {rows, columns});
    for (int64_t i = 0; i < rows * columns; ++i) packed.set_bits(i, codes[i] - (1U << (bits - 1)));
    return packed;
}

std::vector<uint32_t> random_codes(Random& random, int64_t count, int bits) {
    std::vector<uint32_t> codes(static_cast<size_t>(count));
    for (uint32_t& code : codes) code = random.bits() >> (64 - bits);
    return codes;
}

}  // namespace

std::vector<int32_t> random_group_index(Random& random, int64_t inputs, const Scheme& scheme) {
    if (!scheme.ordered) return {};
    std::vector<int32_t> groups(static_cast<size_t>(inputs));
    for (int64_t k = 0; k < inputs; ++k) groups[k] = static_cast<int32_t>(k / scheme.group_size);
    for (size_t k = groups.size(); k > 1; --k) std::swap(groups[k - 1], groups[random.bits() % k]);
    return groups;
}

QuantizedLinear random_linear(Random& random, int64_t outputs, int64_t inputs, const Scheme& scheme,
                              const std::vector<int32_t>& group_index, bool has_bias) {
    const int64_t group_size = scheme.group_size < 0 ? inputs : scheme.group_size;
    const int64_t groups = inputs / group_size;
    const uint32_t middle = 1U << (scheme.bits - 1);
    const std::vector<uint32_t> codes = random_codes(random, outputs * inputs, scheme.bits);
    std::vector<uint32_t> zeros(static_cast<size_t>(outputs * groups), middle);
    if (scheme.asymmetric) zeros = random_codes(random, outputs * groups, scheme.bits);

    QuantizedLinear linear;
    linear.weight = pack(codes, outputs, inputs, scheme.bits, Axis::kColumns);
    if (scheme.asymmetric) {
        linear.zero_point = scheme.zero_point_form == MMOE_ZERO_POINT_INT8
                                ? signed_bytes(zeros, outputs, groups, scheme.bits)
                                : pack(zeros, outputs, groups, scheme.bits, Axis::kRows);
    }
    // Weights of about 1 / sqrt(K) keep a layer's values near 1, as in a trained model.
    const double typical_scale = 2.0 / (middle * std::sqrt(static_cast<double>(inputs)));
    linear.scale = Array(scheme.scale_dtype, {outputs, groups});
    for (int64_t i = 0; i < outputs * groups; ++i) {
        const auto scale = static_cast<float>(typical_scale * (0.5 + random.uniform()));
        linear.scale.set_bits(i, encode(scheme.scale_dtype, scale));
    }
    linear.plain = {outputs, inputs, std::vector<double>(codes.size()), {}};
    for (int64_t n = 0; n < outputs; ++n) {
        for (int64_t k = 0; k < inputs; ++k) {
            const int64_t group_of_k = group_index.empty() ? k / group_size : group_index[k];
            const int64_t group = n * groups + group_of_k;
            const double code = codes[n * inputs + k], zero = zeros[group];
            linear.plain.weights[n * inputs + k] = (code - zero) * linear.scale.value(group);
        }
    }
    if (!group_index.empty()) {
        linear.group_index = Array(MMOE_DTYPE_I32, {inputs});
        for (int64_t k = 0; k < inputs; ++k) {
            linear.group_index.set_bits(k, static_cast<uint32_t>(group_index[k]));
        }
    }
    if (has_bias) {
        linear.bias = Array(scheme.scale_dtype, {outputs});
        for (int64_t n = 0; n < outputs; ++n) {
            linear.bias.set_bits(
                n, encode(scheme.scale_dtype, static_cast<float>(0.3 * random.normal())));
            linear.plain.bias.push_back(linear.bias.value(n));
        }
    }
    return linear;
}

}  // namespace mmoe::parity
