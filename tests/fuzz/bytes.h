// SPDX-License-Identifier: Apache-2.0
// Takes numbers from a fuzzer's input, zeros once it has ended.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mmoe::fuzz {

class Bytes {
  public:
    Bytes(const uint8_t* data, size_t size) noexcept : data_(data), size_(size) {}

    template <class T>
    T take() noexcept {
        T value{};
        const size_t count = std::min(sizeof value, size_);
        if (count != 0) std::memcpy(&value, data_, count);
        data_ += count;
        size_ -= count;
        return value;
    }
    // 0 to last.
    int64_t up_to(int64_t last) noexcept {
        return static_cast<int64_t>(take<uint16_t>()) % (last + 1);
    }
    bool flag() noexcept { return (take<uint8_t>() & 1) != 0; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::string_view rest() const noexcept {
        return {reinterpret_cast<const char*>(data_), size_};
    }

  private:
    const uint8_t* data_;
    size_t size_;
};

}  // namespace mmoe::fuzz
