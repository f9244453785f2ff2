// SPDX-License-Identifier: Apache-2.0
#include "number.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

namespace mmoe_tool {
namespace {

uint16_t bf16_of(float value) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    // Adding just under half of the lost bits, and one more if the kept part is odd, carries
    // exactly when nearest-even rounds up.
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Numbers with 11 significant bits, spaced 2^-24 at least. Beyond 65504: infinity.
uint16_t f16_of(float value) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const float size = std::fabs(value);
    if (!(size < 65520.0F)) return sign | 0x7C00;
    int exponent = 0;
    std::frexp(size, &exponent);  // size in [2^(exponent - 1), 2^exponent)
    exponent = std::max(exponent, -13);
    const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 11 - exponent)));
    // A normal number has steps in [1024, 2048]; its exponent field starts at 1 for -13. The
    // sum carries into the exponent where rounding reached 2048.
    return static_cast<uint16_t>(sign | ((static_cast<uint32_t>(exponent + 13) << 10) + steps));
}

double value_of_f16(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const int mantissa = bits & 1023;
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * std::ldexp(mantissa, -24);
    return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

double value_of_bf16(uint16_t bits) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value = 0;
    std::memcpy(&value, &wide, sizeof value);
    return value;
}

}  // namespace

size_t element_bytes(mmoe_dtype dtype) {
    return dtype == MMOE_DTYPE_F32 ? 4 : 2;
}

const char* dtype_name(mmoe_dtype dtype) {
    if (dtype == MMOE_DTYPE_F32) return "fp32";
    return dtype == MMOE_DTYPE_F16 ? "fp16" : "bf16";
}

std::vector<uint8_t> encode(mmoe_dtype dtype, const std::vector<float>& values) {
    std::vector<uint8_t> bytes(values.size() * element_bytes(dtype));
    if (dtype == MMOE_DTYPE_F32) {
        if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }
    for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t bits = dtype == MMOE_DTYPE_F16 ? f16_of(values[i]) : bf16_of(values[i]);
        std::memcpy(bytes.data() + 2 * i, &bits, sizeof bits);
    }
    return bytes;
}

std::vector<double> decode(mmoe_dtype dtype, const std::vector<uint8_t>& bytes) {
    std::vector<double> values(bytes.size() / element_bytes(dtype));
    for (size_t i = 0; i < values.size(); ++i) {
        if (dtype == MMOE_DTYPE_F32) {
            float value = 0;
            std::memcpy(&value, bytes.data() + 4 * i, sizeof value);
            values[i] = value;
        } else {
            uint16_t bits = 0;
            std::memcpy(&bits, bytes.data() + 2 * i, sizeof bits);
            values[i] = dtype == MMOE_DTYPE_F16 ? value_of_f16(bits) : value_of_bf16(bits);
        }
    }
    return values;
}

uint64_t Random::bits() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

float Random::uniform() {
    return static_cast<float>(bits() >> 40) * 0x1p-24F;
}

float Random::normal() {
    float sum = -6.0F;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
}

std::vector<int32_t> random_experts(Random& random, int64_t tokens, int64_t top_k,
                                    int64_t expert_count) {
    std::vector<int32_t> deck(static_cast<size_t>(expert_count));
    std::iota(deck.begin(), deck.end(), 0);
    std::vector<int32_t> ids;
    ids.reserve(static_cast<size_t>(tokens * top_k));
    for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t j = 0; j < top_k; ++j) {
            const auto rest = static_cast<uint64_t>(expert_count - j);
            std::swap(deck[static_cast<size_t>(j)],
                      deck[static_cast<size_t>(j) + random.bits() % rest]);
            ids.push_back(deck[static_cast<size_t>(j)]);
        }
    }
    return ids;
}

std::vector<float> random_router_weights(Random& random, int64_t tokens, int64_t top_k) {
    std::vector<float> weights(static_cast<size_t>(tokens * top_k));
    for (size_t first = 0; first < weights.size(); first += static_cast<size_t>(top_k)) {
        float sum = 0;
        for (int64_t j = 0; j < top_k; ++j) {
            sum += weights[first + static_cast<size_t>(j)] = random.uniform() + 0.1F;
        }
        for (int64_t j = 0; j < top_k; ++j) weights[first + static_cast<size_t>(j)] /= sum;
    }
    return weights;
}

}  // namespace mmoe_tool
