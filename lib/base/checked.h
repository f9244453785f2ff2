// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes that come from files and callers: overflow is a value, never a wrap.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

namespace mmoe {

// Both operands non-negative, or absent.
template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_add(T a, T b) noexcept {
    T sum{};
    if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
    return sum;
}

template <std::integral T>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b) noexcept {
    T product{};
    if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
    return product;
}

// Product of several factors.
template <std::integral T, std::same_as<T>... Rest>
[[nodiscard]] constexpr std::optional<T> checked_mul(T a, T b, T c, Rest... rest) noexcept {
    const std::optional<T> product = checked_mul(a, b);
    return product ? checked_mul(*product, c, rest...) : std::nullopt;
}

// Of a value that is not negative.
template <std::integral T>
[[nodiscard]] constexpr T ceil_div(T value, T divisor) noexcept {
    return value / divisor + (value % divisor != 0 ? 1 : 0);
}

// The caller has proved that the result fits.
template <std::integral T>
[[nodiscard]] constexpr T round_up(T value, T multiple) noexcept {
    return ceil_div(value, multiple) * multiple;
}

}  // namespace mmoe
