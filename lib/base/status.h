// SPDX-License-Identifier: Apache-2.0
// Status and Result: how every room reports failure. A failed call says in one sentence which
// thing it met, what it expected and what it got; lib/api copies that sentence to the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>

namespace mmoe {

// Same values as the MMOE_ERR_* constants; lib/api asserts that they agree.
enum class Code : int32_t {
    kOk = 0,
    kInvalidArgument = 1000,
    kNullPointer = 1001,
    kStructSize = 1002,
    kShape = 1003,
    kDtype = 1004,
    kState = 1005,
    kBusy = 1006,
    kCancelled = 1007,
    kOutOfMemory = 2000,
    kDeviceMemory = 2001,
    kMemoryBudget = 2002,
    kIo = 3000,
    kNotFound = 3001,
    kFileChanged = 3002,
    kBadData = 4000,
    kTruncated = 4001,
    kMissingTensor = 4002,
    kLimit = 4003,
    kChecksum = 4004,
    kUnsupported = 5000,
    kDevice = 6000,
    kNoDevice = 6001,
    kDriverTooOld = 6002,
    kInternal = 7000,
};

class [[nodiscard]] Status {
  public:
    static constexpr uint64_t kNoOffset = UINT64_MAX;
    static constexpr size_t kMessageBytes = 232;  // mmoe_error.message

    Status() noexcept = default;  // success

    // Formats the sentence; what does not fit is cut at a UTF-8 character.
    [[gnu::format(printf, 2, 3)]] static Status error(Code code, const char* format, ...) noexcept;

    [[nodiscard]] bool ok() const noexcept { return code_ == Code::kOk; }
    [[nodiscard]] Code code() const noexcept { return code_; }
    [[nodiscard]] const char* message() const noexcept { return message_; }
    [[nodiscard]] int32_t os_errno() const noexcept { return os_errno_; }
    [[nodiscard]] int32_t cuda_error() const noexcept { return cuda_error_; }
    [[nodiscard]] uint64_t file_offset() const noexcept { return file_offset_; }

    // The same sentence in another category.
    Status&& as(Code code) && noexcept {
        code_ = code;
        return std::move(*this);
    }
    Status&& with_errno(int value) && noexcept {
        os_errno_ = value;
        return std::move(*this);
    }
    Status&& with_cuda_error(int value) && noexcept {
        cuda_error_ = value;
        return std::move(*this);
    }
    Status&& at_offset(uint64_t offset) && noexcept {
        file_offset_ = offset;
        return std::move(*this);
    }
    // Puts "context: " before the sentence, for callers that know more than the callee did.
    [[gnu::format(printf, 2, 3)]] Status within(const char* format, ...) && noexcept;

  private:
    Code code_ = Code::kOk;
    int32_t os_errno_ = 0;
    int32_t cuda_error_ = 0;
    uint64_t file_offset_ = kNoOffset;
    char message_[kMessageBytes];  // set only by error(): success costs nothing to return
};

// A value or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : value_(std::move(value)) {}                   // NOLINT: implicit by design
    Result(Status status) noexcept : status_(std::move(status)) {}  // NOLINT: implicit by design

    [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
    [[nodiscard]] Status& status() noexcept { return status_; }
    [[nodiscard]] const Status& status() const noexcept { return status_; }
    [[nodiscard]] T& value() & noexcept { return *value_; }
    [[nodiscard]] const T& value() const& noexcept { return *value_; }
    [[nodiscard]] T&& value() && noexcept { return *std::move(value_); }

  private:
    std::optional<T> value_;
    Status status_;
};

namespace detail {
inline Status&& failure(Status& status) noexcept {
    return std::move(status);
}
template <class T>
Status&& failure(Result<T>& result) noexcept {
    return std::move(result.status());
}
}  // namespace detail

}  // namespace mmoe

// TRY(expression);               returns from the calling function if the expression failed
// TRY(declaration, expression);  otherwise also binds the Result's value
#define MMOE_JOIN_(a, b) a##b
#define MMOE_JOIN(a, b)  MMOE_JOIN_(a, b)
#define MMOE_TRY_1(expression)                                        \
    do {                                                              \
        auto mmoe_try = (expression);                                 \
        if (!mmoe_try.ok()) return ::mmoe::detail::failure(mmoe_try); \
    } while (0)
#define MMOE_TRY_2_(name, declaration, expression)        \
    auto name = (expression);                             \
    if (!name.ok()) return ::mmoe::detail::failure(name); \
    declaration = std::move(name).value()
#define MMOE_TRY_2(declaration, expression) \
    MMOE_TRY_2_(MMOE_JOIN(mmoe_try_, __LINE__), declaration, expression)
#define MMOE_TRY_PICK(a, b, macro, ...) macro
#define TRY(...)                        MMOE_TRY_PICK(__VA_ARGS__, MMOE_TRY_2, MMOE_TRY_1, )(__VA_ARGS__)
