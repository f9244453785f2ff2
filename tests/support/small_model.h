// SPDX-License-Identifier: Apache-2.0
// Opens small models of small_tensors.h, for tests that spoil them first.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/small_tensors.h"

namespace mmoe::test {

// Opens one model; it must open, whatever is wrong with its layers.
inline std::shared_ptr<const Checkpoint> open_model(const ScratchFolder& folder,
                                                    const SmallTensors& model,
                                                    const std::string& config,
                                                    const CheckpointOptions& options = {}) {
    folder.write("model.safetensors", safetensors_of(model));
    folder.write("config.json", "{" + config + "}");
    auto opened = Checkpoint::open(folder.path(), options, Log());
    if (!opened.ok()) print_error("%s\n", opened.status().message());
    assert_true(opened.ok());
    return std::move(opened).value();
}

// The layer has no problem and the dimensions of the models above.
inline void expect_usable(const Checkpoint& checkpoint, size_t index, const std::string& prefix) {
    assert_true(index < checkpoint.layers().size());
    const LayerEntry& layer = checkpoint.layers()[index];
    if (!layer.problem.ok()) print_error("%s\n", layer.problem.message());
    assert_true(layer.problem.ok());
    assert_string_equal(layer.experts_prefix.c_str(), prefix.c_str());
    assert_int_equal(layer.layer.expert_count, kExperts);
    assert_int_equal(layer.layer.hidden_size, kHidden);
    assert_int_equal(layer.layer.intermediate_size, kIntermediate);
}

}  // namespace mmoe::test
