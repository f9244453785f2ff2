// SPDX-License-Identifier: Apache-2.0
#include "layer_run.h"

#include <algorithm>
#include <chrono>

#include "number.h"

namespace tool {
namespace {

mmoe_tensor matrix(const MemoryBlock& block, mmoe_dtype dtype, uint32_t rows, uint32_t columns) {
    mmoe_tensor tensor{};
    tensor.data = block.data();
    tensor.dtype = dtype;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    return tensor;
}

mmoe_executor_options executor_options(const Batch& batch, const Arithmetic& arithmetic) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = std::max(batch.token_count, 1u);
    options.max_top_k = batch.top_k;
    options.hidden_dtype = batch.dtype;
    options.output_dtype = arithmetic.output_dtype;
    options.precision = arithmetic.precision;
    return options;
}

}  // namespace

LayerRun::LayerRun(mmoe_context* context, const mmoe_bundle* bundle, std::shared_ptr<Memory> memory,
                   const Batch& batch, const Arithmetic& arithmetic)
    : bundle_(bundle),
      memory_(std::move(memory)),
      hidden_(memory_, batch.hidden.size()),
      expert_ids_(memory_, batch.expert_ids.size() * sizeof(int32_t)),
      expert_weights_(memory_, batch.expert_weights.size() * sizeof(float)),
      output_(memory_,
              size_t{batch.token_count} * batch.hidden_size * float_bytes(arithmetic.output_dtype)),
      output_count_(size_t{batch.token_count} * batch.hidden_size),
      output_dtype_(arithmetic.output_dtype),
      token_count_(batch.token_count),
      args_(sized<mmoe_run_args>()) {
    const mmoe_executor_options options = executor_options(batch, arithmetic);
    executor_ = make<mmoe_executor>(mmoe_executor_create, context, bundle, &options);
    hidden_.fill(batch.hidden.data());
    expert_ids_.fill(batch.expert_ids.data());
    expert_weights_.fill(batch.expert_weights.data());
    args_.hidden = matrix(hidden_, batch.dtype, token_count_, batch.hidden_size);
    args_.expert_ids = matrix(expert_ids_, MMOE_DTYPE_I32, token_count_, batch.top_k);
    args_.expert_weights = matrix(expert_weights_, MMOE_DTYPE_F32, token_count_, batch.top_k);
    args_.output = matrix(output_, output_dtype_, token_count_, batch.hidden_size);
}

double LayerRun::run_us() {
    memory_->wait();
    const auto begin = std::chrono::steady_clock::now();
    call(mmoe_executor_run, executor_.get(), bundle_, &args_, nullptr);
    memory_->wait();
    const std::chrono::duration<double, std::micro> elapsed =
        std::chrono::steady_clock::now() - begin;
    return elapsed.count();
}

std::vector<double> LayerRun::output() const {
    std::vector<uint8_t> bytes(output_count_ * float_bytes(output_dtype_));
    output_.read(bytes.data());
    return widen(bytes.data(), output_count_, output_dtype_);
}

std::string LayerRun::explanation() const {
    std::string text(mmoe_executor_explain(executor_.get(), bundle_, token_count_, nullptr, 0),
                     '\0');
    mmoe_executor_explain(executor_.get(), bundle_, token_count_, text.data(), text.size());
    while (!text.empty() && (text.back() == '\0' || text.back() == '\n')) text.pop_back();
    return text;
}

}  // namespace tool
