// SPDX-License-Identifier: Apache-2.0
// The mmoe_marlin_* functions with memory that owns itself, for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/tensor.h"
#include "marlin_moe.h"

#include "cmocka_cpp.h"

namespace mmoe::test {

struct DestroyConfig {
    void operator()(mmoe_quant_config* config) const { mmoe_quant_config_destroy(config); }
};
using ConfigHandle = std::unique_ptr<mmoe_quant_config, DestroyConfig>;

inline ConfigHandle make_config(mmoe_quant_fields fields) {
    fields.struct_size = sizeof fields;
    mmoe_quant_config* config = nullptr;
    mmoe_error error = {};
    if (mmoe_quant_config_create(&fields, &config, &error) != MMOE_OK)
        fail_msg("%s", error.message);
    return ConfigHandle(config);
}

// A tensor of bytes.
struct OwnedTensor {
    mmoe_tensor view = {};
    std::vector<uint8_t> bytes;

    template <class T>
    [[nodiscard]] T* data() {
        return reinterpret_cast<T*>(bytes.data());
    }
};

// One projection of every expert, and its matrix.
class PublicMarlin {
  public:
    PublicMarlin(const mmoe_quant_fields& fields, mmoe_marlin_matrix matrix,
                 const mmoe_context* context = nullptr)
        : config_(make_config(fields)), matrix_(matrix), context_(context) {
        matrix_.struct_size = sizeof matrix_;
    }

    [[nodiscard]] mmoe_marlin_description describe(mmoe_role role) const {
        mmoe_marlin_description description = {};
        description.struct_size = sizeof description;
        mmoe_error error = {};
        if (mmoe_marlin_describe(config_.get(), &matrix_, role, &description, &error) != MMOE_OK) {
            fail_msg("describe role %d: %s", role, error.message);
        }
        return description;
    }

    // Filled with `fill`, so that what is not written shows.
    [[nodiscard]] OwnedTensor marlin(mmoe_role role, mmoe_dtype dtype, uint8_t fill) const {
        const mmoe_marlin_description d = describe(role);
        return owned(d.marlin, d.marlin_bytes, dtype, fill);
    }
    [[nodiscard]] OwnedTensor file(mmoe_role role, mmoe_dtype dtype, uint8_t fill) const {
        const mmoe_marlin_description d = describe(role);
        return owned(d.file, d.file_bytes, dtype, fill);
    }

    void pack(mmoe_role role, const mmoe_tensor& file, OwnedTensor* marlin,
              const mmoe_tensor& group_index = {}) const {
        run(mmoe_marlin_pack, role, file, marlin->view, group_index);
    }
    void unpack(mmoe_role role, const mmoe_tensor& marlin, OwnedTensor* file,
                const mmoe_tensor& group_index = {}) const {
        run(mmoe_marlin_unpack, role, file->view, marlin, group_index);
    }

  private:
    using Function = mmoe_status (*)(const mmoe_context*, const mmoe_quant_config*,
                                     const mmoe_marlin_matrix*, const mmoe_marlin_args*,
                                     mmoe_error*);

    static OwnedTensor owned(mmoe_tensor view, uint64_t byte_count, mmoe_dtype dtype,
                             uint8_t fill) {
        const uint64_t elements = byte_count / dtype_bytes(static_cast<DType>(view.dtype));
        OwnedTensor tensor;
        tensor.view = view;
        tensor.view.dtype = dtype;
        tensor.bytes.assign(elements * dtype_bytes(static_cast<DType>(dtype)), fill);
        tensor.view.data = tensor.bytes.data();
        return tensor;
    }

    void run(Function function, mmoe_role role, const mmoe_tensor& file, const mmoe_tensor& marlin,
             const mmoe_tensor& group_index) const {
        mmoe_marlin_args args = {};
        args.struct_size = sizeof args;
        args.role = role;
        args.file = file;
        args.marlin = marlin;
        args.group_index = group_index;
        mmoe_error error = {};
        if (function(context_, config_.get(), &matrix_, &args, &error) != MMOE_OK) {
            fail_msg("role %d: %s", role, error.message);
        }
    }

    ConfigHandle config_;
    mmoe_marlin_matrix matrix_;
    const mmoe_context* context_;
};

inline mmoe_tensor public_tensor(const TensorView& view) {
    mmoe_tensor tensor = {};
    tensor.data = const_cast<void*>(view.data);  // inputs are not written
    tensor.dtype = static_cast<mmoe_dtype>(view.dtype);
    tensor.rank = view.rank;
    for (int axis = 0; axis < view.rank; ++axis) tensor.shape[axis] = view.shape[axis];
    return tensor;
}

// Byte by byte; a failure says what and where.
inline void assert_same_bytes(const std::string& what, const std::vector<uint8_t>& got,
                              const void* want) {
    const auto* expected = static_cast<const uint8_t*>(want);
    for (size_t i = 0; i < got.size(); ++i) {
        if (got[i] != expected[i]) fail_msg("%s differs at byte %zu", what.c_str(), i);
    }
}

}  // namespace mmoe::test
