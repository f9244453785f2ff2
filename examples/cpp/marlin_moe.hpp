// SPDX-License-Identifier: Apache-2.0
// The C interface with owners, exceptions and spans: one header to copy into a program and cut
// down. It adds no behaviour: what a function does is said in marlin_moe.h. Needs C++20.
//
// Order: errors, owners, structures and tensors; then the objects in their order of use.
#pragma once

#include <marlin_moe.h>

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace marlin_moe {

// A failed call: the library's sentence as what(), and everything else as it said it.
class Error : public std::runtime_error {
  public:
    explicit Error(const mmoe_error& error) : std::runtime_error(error.message), error_(error) {}

    [[nodiscard]] mmoe_status status() const noexcept { return error_.status; }
    [[nodiscard]] int category() const noexcept { return error_.status / 1000; }
    [[nodiscard]] const mmoe_error& details() const noexcept { return error_; }

  private:
    mmoe_error error_;
};

// Calls a function whose last parameter is an error, and throws what it says.
template <class... Parameters, class... Arguments>
void call(mmoe_status (*function)(Parameters...), Arguments&&... arguments) {
    mmoe_error error{};
    error.struct_size = sizeof error;
    if (function(std::forward<Arguments>(arguments)..., &error) != MMOE_OK) throw Error(error);
}

// Owns one object of the library; moves, and ends it with its own function.
template <class Object, void (*kDestroy)(Object*)>
class Owner {
  public:
    // Calls a function that fills `Object** out`, its last parameter before the error.
    template <class... Parameters, class... Arguments>
    explicit Owner(mmoe_status (*function)(Parameters...), Arguments&&... arguments) {
        Object* object = nullptr;
        call(function, std::forward<Arguments>(arguments)..., &object);
        object_.reset(object);
    }
    // Takes an object that came by another way.
    explicit Owner(Object* object) noexcept : object_(object) {}

    [[nodiscard]] Object* get() const noexcept { return object_.get(); }

  private:
    struct Destroy {
        void operator()(Object* object) const noexcept { kDestroy(object); }
    };
    std::unique_ptr<Object, Destroy> object_;
};

// A zeroed structure that knows its size: the default of every member.
template <class Structure>
Structure sized() {
    Structure structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

// C++ has no standard bf16 before C++23: 16 bits by name.
enum class Bf16 : uint16_t {};
enum class F16 : uint16_t {};

template <class Element>
constexpr mmoe_dtype kDtype = 0;
template <>
inline constexpr mmoe_dtype kDtype<float> = MMOE_DTYPE_F32;
template <>
inline constexpr mmoe_dtype kDtype<F16> = MMOE_DTYPE_F16;
template <>
inline constexpr mmoe_dtype kDtype<Bf16> = MMOE_DTYPE_BF16;
template <>
inline constexpr mmoe_dtype kDtype<int32_t> = MMOE_DTYPE_I32;

// A view of [rows, columns] elements that the caller keeps.
template <class Element>
mmoe_tensor matrix(std::span<Element> data, size_t rows, size_t columns) {
    using Plain = std::remove_const_t<Element>;
    static_assert(kDtype<Plain> != 0, "the library knows no such element");
    if (data.size() != rows * columns) {
        throw std::invalid_argument("tensor: expected " + std::to_string(rows * columns) +
                                    " elements, got " + std::to_string(data.size()));
    }
    mmoe_tensor tensor{};
    tensor.data = const_cast<Plain*>(data.data());  // inputs are not written to
    tensor.dtype = kDtype<Plain>;
    tensor.rank = 2;
    tensor.shape[0] = static_cast<int64_t>(rows);
    tensor.shape[1] = static_cast<int64_t>(columns);
    return tensor;
}

struct Context : Owner<mmoe_context, &mmoe_context_destroy> {
    explicit Context(const mmoe_context_options& options) : Owner(&mmoe_context_create, &options) {}
};

struct QuantConfig : Owner<mmoe_quant_config, &mmoe_quant_config_destroy> {
    explicit QuantConfig(const mmoe_quant_fields& fields)
        : Owner(&mmoe_quant_config_create, &fields) {}
    explicit QuantConfig(mmoe_quant_config* config) noexcept : Owner(config) {}
};

struct Checkpoint : Owner<mmoe_checkpoint, &mmoe_checkpoint_destroy> {
    Checkpoint(const Context& context, const std::string& path)
        : Owner(&mmoe_checkpoint_open, context.get(), path.c_str(), nullptr) {}
};

struct Bundle : Owner<mmoe_bundle, &mmoe_bundle_destroy> {
    // One layer of a checkpoint.
    Bundle(const Context& context, const Checkpoint& checkpoint, uint32_t layer,
           const mmoe_bundle_options* options = nullptr)
        : Owner(&mmoe_bundle_load, context.get(), checkpoint.get(), layer, options) {}
    // What a background load, or mmoe_bundle_open(), gave.
    explicit Bundle(mmoe_bundle* bundle) noexcept : Owner(bundle) {}

    [[nodiscard]] mmoe_layer layer() const {
        auto layer = sized<mmoe_layer>();
        call(&mmoe_bundle_info, get(), &layer, nullptr);
        return layer;
    }
};

class Executor : public Owner<mmoe_executor, &mmoe_executor_destroy> {
  public:
    Executor(const Context& context, const Bundle& bundle, const mmoe_executor_options& options)
        : Owner(&mmoe_executor_create, context.get(), bundle.get(), &options) {}

    // Computes one layer on the CPU; shapes as in mmoe_run_args.
    template <class Hidden, class Output>
    void run(const Bundle& bundle, std::span<const Hidden> hidden,
             std::span<const int32_t> expert_ids, std::span<const float> expert_weights,
             size_t top_k, std::span<Output> output) {
        const size_t hidden_size = bundle.layer().hidden_size;
        const size_t tokens = top_k == 0 ? 0 : expert_ids.size() / top_k;
        auto args = sized<mmoe_run_args>();
        args.hidden = matrix(hidden, tokens, hidden_size);
        args.expert_ids = matrix(expert_ids, tokens, top_k);
        args.expert_weights = matrix(expert_weights, tokens, top_k);
        args.output = matrix(output, tokens, hidden_size);
        call(&mmoe_executor_run, get(), bundle.get(), &args, nullptr);
    }
};

}  // namespace marlin_moe
