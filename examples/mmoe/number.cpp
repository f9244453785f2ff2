// SPDX-License-Identifier: Apache-2.0
#include "number.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace tool {
namespace {

double widen_f16(uint16_t bits) {
    const int exponent = (bits >> 10) & 31;
    const int mantissa = bits & 1023;
    const double sign = (bits & 0x8000) != 0 ? -1 : 1;
    if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * INFINITY;
    if (exponent == 0) return sign * std::ldexp(mantissa, -24);
    return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

double widen_bf16(uint16_t bits) {
    return std::bit_cast<float>(uint32_t{bits} << 16);
}

// Adds half of the last place that stays, less one unless that place is odd.
uint16_t narrow_bf16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// For finite values; nearbyint rounds ties to even, and a mantissa that overflows carries into
// the exponent, which is what rounding up to the next power of two means.
uint16_t narrow_f16(float value) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const double size = std::fabs(double{value});
    if (size >= 65520) return sign | 0x7C00;
    int exponent = 0;
    std::frexp(size, &exponent);
    const int place = exponent < -13 ? -24 : exponent - 11;  // log2 of the last place
    const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, -place)));
    return static_cast<uint16_t>(sign | (((place + 24) << 10) + steps));
}

}  // namespace

size_t float_bytes(mmoe_dtype dtype) {
    return dtype == MMOE_DTYPE_F32 ? 4 : 2;
}

std::vector<double> widen(const void* data, size_t count, mmoe_dtype dtype) {
    std::vector<double> values(count);
    const auto* bytes = static_cast<const uint8_t*>(data);
    for (size_t index = 0; index < count; ++index) {
        if (dtype == MMOE_DTYPE_F32) {
            float value = 0;
            std::memcpy(&value, bytes + 4 * index, 4);
            values[index] = value;
        } else {
            uint16_t bits = 0;
            std::memcpy(&bits, bytes + 2 * index, 2);
            values[index] = dtype == MMOE_DTYPE_F16 ? widen_f16(bits) : widen_bf16(bits);
        }
    }
    return values;
}

std::vector<uint8_t> narrow(const std::vector<float>& values, mmoe_dtype dtype) {
    std::vector<uint8_t> bytes(values.size() * float_bytes(dtype));
    if (dtype == MMOE_DTYPE_F32) {
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }
    for (size_t index = 0; index < values.size(); ++index) {
        const uint16_t bits =
            dtype == MMOE_DTYPE_F16 ? narrow_f16(values[index]) : narrow_bf16(values[index]);
        std::memcpy(bytes.data() + 2 * index, &bits, 2);
    }
    return bytes;
}

}  // namespace tool
