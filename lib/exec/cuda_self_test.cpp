// SPDX-License-Identifier: Apache-2.0
// One tiny layer, random but the same everywhere: made twice, on the CPU and on the device, from
// the same tensors. Rows of hidden states repeat with a short period, so that the CPU computes few
// of them however many tokens a row wants.
#include "exec/cuda_self_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "cuda/fill.h"
#include "exec/executor.h"

namespace mmoe {
namespace {

constexpr int64_t kExperts = 2;
constexpr int64_t kPeriod = 4;  // rows of hidden states that differ
// Tokens of a run: one, then whole and broken tiles of every width. Half go to each expert.
constexpr int64_t kTokenCounts[] = {1, 3, 19, 45, 91, 301};
constexpr int64_t kMostTokens = 301;
// A right row errs by some 3e-3 (16-bit hidden states, intermediates and slot results); a wrong
// one by about 1.
constexpr double kTolerance = 2e-2;
constexpr int64_t kLargestGroup = 256;  // larger ones are tested as this, or the layer is not tiny

// The layer's own traits in a shape of a few groups.
BundleSpec tiny_like(const BundleSpec& like) {
    BundleSpec spec;
    spec.config = like.config;
    spec.config.format = Format::kCompressedTensors;
    spec.config.zero_point_form = ZeroPointForm::kPacked;
    spec.config.order = Order::kNone;
    if (spec.config.group_size && *spec.config.group_size > kLargestGroup) {
        spec.config.group_size = static_cast<int32_t>(kLargestGroup);
    }
    spec.layer = like.layer;
    spec.layer.bias = false;
    spec.layer.expert_count = kExperts;
    const int64_t unit = std::lcm(int64_t{64}, spec.config.group_size_for(64));
    spec.layer.hidden_size = round_up(int64_t{256}, unit);
    spec.layer.intermediate_size = round_up(int64_t{128}, unit);
    return spec;
}

// Numbers from -2 to 2 with few mantissa bits: exact in every type.
float small_number(uint32_t bits) noexcept {
    return static_cast<float>(bits % 64) / 16.0F - 2.0F;
}

void write_number(cpu::Element type, float value, uint8_t* to) noexcept {
    if (type == cpu::Element::kF32) {
        std::memcpy(to, &value, sizeof value);
        return;
    }
    const uint16_t bits =
        type == cpu::Element::kF16 ? layout::f32_to_f16(value) : layout::f32_to_bf16(value);
    std::memcpy(to, &bits, sizeof bits);
}

// The tensors of one projection, in memory of their own.
class TinyProjection {
  public:
    TinyProjection(const BundleSpec& spec, Projection projection, uint32_t seed) : seed_(seed) {
        const QuantConfig& config = spec.config;
        const int64_t outputs = spec.layer.outputs(projection);
        const int64_t inputs = spec.layer.inputs(projection);
        const int64_t groups = inputs / config.group_size_for(inputs);
        const int64_t fields = 32 / config.bits;
        fill(weight_, outputs * inputs / fields);
        fill(zero_point_, outputs / fields * groups);
        const auto type =
            static_cast<cpu::Element>(config.scale_type.value_or(layout::ScaleType::kBf16));
        // Sums of `inputs` products stay near 1.
        const int levels = 1 << config.bits;
        const float unit = std::exp2(-std::round(
            std::log2(static_cast<float>(levels) / 4.0F * std::sqrt(static_cast<float>(inputs)))));
        const size_t size = cpu::element_bytes(type);
        scale_.resize(static_cast<size_t>(outputs * groups) * size);
        for (size_t i = 0; i * size < scale_.size(); ++i) {
            const float factor = 0.5F + static_cast<float>(next() % 8) / 8.0F;
            write_number(type, unit * factor, &scale_[i * size]);
        }
        weight_view_ = view(DType::kI32, outputs, inputs / fields, weight_.data());
        scale_view_ = view(static_cast<DType>(type), outputs, groups, scale_.data());
        zero_point_view_ = view(DType::kI32, outputs / fields, groups, zero_point_.data());
    }

    Status set(Bundle& bundle, int64_t expert, Projection projection) const {
        TRY(bundle.set(expert, projection, Role::kWeight, weight_view_));
        if (bundle.spec().config.asymmetric()) {
            TRY(bundle.set(expert, projection, Role::kZeroPoint, zero_point_view_));
        }
        return bundle.set(expert, projection, Role::kScale, scale_view_);
    }

  private:
    uint32_t next() noexcept { return cuda::fill_word(count_++, seed_); }
    void fill(std::vector<uint32_t>& words, int64_t count) {
        words.resize(static_cast<size_t>(count));
        for (uint32_t& word : words) word = next();
    }
    static TensorView view(DType dtype, int64_t rows, int64_t columns, const void* data) noexcept {
        TensorView tensor;
        tensor.dtype = dtype;
        tensor.rank = 2;
        tensor.shape[0] = rows;
        tensor.shape[1] = columns;
        tensor.data = data;
        return tensor;
    }

    uint32_t seed_;
    uint32_t count_ = 0;
    std::vector<uint32_t> weight_, zero_point_;
    std::vector<uint8_t> scale_;
    TensorView weight_view_, scale_view_, zero_point_view_;
};

Result<std::shared_ptr<Bundle>> make_bundle(std::shared_ptr<const Context> context,
                                            const BundleSpec& spec) {
    TRY(std::shared_ptr<Bundle> bundle, Bundle::create(std::move(context), spec));
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        for (const Projection projection : kProjections) {
            if (projection == Projection::kGate && !spec.layer.gated()) continue;
            const auto seed = static_cast<uint32_t>(8 * expert + static_cast<int>(projection));
            TRY(TinyProjection(spec, projection, seed).set(*bundle, expert, projection));
        }
    }
    TRY(bundle->seal());
    return bundle;
}

// The same memory and threads without a limit: the layer is gone before its user could miss it.
std::shared_ptr<Context> context_on(DeviceKind kind, const Context& context) {
    auto own = std::make_shared<Context>(context);
    own->kind = kind;
    own->budget = std::make_shared<Budget>(0);
    return own;
}

}  // namespace

cuda::Device describe_cuda_device(const Context& context) noexcept {
    cuda::Device device;
    device.processor_count = context.cuda.multiprocessor_count;
    device.compute_capability = 10 * context.cuda.compute_major + context.cuda.compute_minor;
    device.shared_memory_bytes = static_cast<int32_t>(context.cuda.shared_memory_bytes);
    return device;
}

Result<CudaSelfTest> CudaSelfTest::create(const Context& context, const Bundle& like,
                                          const ExecutorOptions& options) {
    const BundleSpec spec = tiny_like(like.spec());
    CudaSelfTest test;
    test.context_ = context_on(DeviceKind::kCuda, context);
    test.hidden_type_ = options.hidden_type;
    test.hidden_size_ = spec.layer.hidden_size;
    TRY(test.bundle_, make_bundle(test.context_, spec));
    TRY(test.make_operands(options));
    TRY(test.compute_on_cpu(context, spec));
    return test;
}

Status CudaSelfTest::make_operands(const ExecutorOptions& options) {
    constexpr uint32_t kSeed = 77;
    const size_t element = cpu::element_bytes(options.hidden_type);
    const auto row_bytes = static_cast<size_t>(hidden_size_) * element;
    hidden_.resize(kMostTokens * row_bytes);
    for (size_t i = 0; i * element < hidden_.size(); ++i) {
        const auto in_period =
            static_cast<uint32_t>(i % static_cast<size_t>(kPeriod * hidden_size_));
        write_number(options.hidden_type, small_number(cuda::fill_word(in_period, kSeed)),
                     &hidden_[i * element]);
    }
    for (int64_t token = 0; token < kMostTokens; ++token) {
        ids_.push_back(static_cast<int32_t>(token % kPeriod % kExperts));
        weights_.push_back(0.5F + static_cast<float>(token % kPeriod) / 8.0F);
    }
    constexpr uint64_t kAlignmentBytes = 256;
    ids_offset_ = round_up(hidden_.size(), kAlignmentBytes);
    weights_offset_ = ids_offset_ + round_up(ids_.size() * sizeof(int32_t), kAlignmentBytes);
    output_offset_ = weights_offset_ + round_up(weights_.size() * sizeof(float), kAlignmentBytes);
    const uint64_t output_bytes = kMostTokens * static_cast<uint64_t>(hidden_size_) * sizeof(float);
    workspace_offset_ = output_offset_ + round_up(output_bytes, kAlignmentBytes);
    const uint64_t workspace_bytes =
        cuda::workspace_bytes(bundle_->cuda()->layer(), kMostTokens, 1);
    TRY(memory_, DeviceBuffer::create(context_->place, context_->device_allocator,
                                      workspace_offset_ + workspace_bytes, "self-test"));
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    TRY(fill_device(memory_.data(), 0, memory_.size_bytes()));
    TRY(copy_to_device(memory_.data(), hidden_.data(), hidden_.size()));
    TRY(copy_to_device(memory_.data() + ids_offset_, ids_.data(), ids_.size() * sizeof(int32_t)));
    return copy_to_device(memory_.data() + weights_offset_, weights_.data(),
                          weights_.size() * sizeof(float));
}

Status CudaSelfTest::compute_on_cpu(const Context& context, const BundleSpec& spec) {
    const std::shared_ptr<Context> cpu = context_on(DeviceKind::kCpu, context);
    cpu->index = 0;
    TRY(const std::shared_ptr<Bundle> bundle, make_bundle(cpu, spec));
    ExecutorOptions options;
    options.max_tokens = kPeriod;
    options.max_top_k = 1;
    options.hidden_type = hidden_type_;
    options.output_type = cpu::Element::kF32;
    TRY(const std::shared_ptr<Executor> executor, Executor::create(cpu, *bundle, options));
    expected_.resize(static_cast<size_t>(kPeriod * hidden_size_));
    RunArgs args;
    args.tokens = kPeriod;
    args.top_k = 1;
    args.hidden = hidden_.data();
    args.hidden_stride = hidden_size_;
    args.expert_ids = ids_.data();
    args.expert_weights = weights_.data();
    args.output = expected_.data();
    args.output_stride = hidden_size_;
    return executor->run(*bundle, args, nullptr);
}

cuda::Run CudaSelfTest::describe_run(int64_t tokens) const noexcept {
    cuda::Run run;
    run.tokens = tokens;
    run.top_k = 1;
    run.hidden_type = static_cast<cuda::Element>(hidden_type_);
    run.output_type = cuda::Element::kF32;
    run.hidden = memory_.data();
    run.hidden_stride = hidden_size_;
    run.expert_ids = reinterpret_cast<const int32_t*>(memory_.data() + ids_offset_);
    run.expert_weights = reinterpret_cast<const float*>(memory_.data() + weights_offset_);
    run.output = memory_.data() + output_offset_;
    run.output_stride = hidden_size_;
    return run;
}

bool CudaSelfTest::agrees(const std::vector<float>& output) const noexcept {
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < output.size(); ++i) {
        const double want = expected_[i % expected_.size()];
        difference += (output[i] - want) * (output[i] - want);
        norm += want * want;
    }
    return difference <= kTolerance * kTolerance * norm;  // false for NaN
}

Result<bool> CudaSelfTest::passes(const cuda::Row& row) const {
    const cuda::Device device = describe_cuda_device(*context_);
    const cuda::Layer& layer = bundle_->cuda()->layer();
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    for (const int64_t tokens : kTokenCounts) {
        const cuda::Run run = describe_run(tokens);
        if (row.refuse(cuda::describe(device, layer, run)) != nullptr) continue;
        std::vector<float> output(static_cast<size_t>(tokens * hidden_size_));
        TRY(fill_device(run.output, 0xFF, output.size() * sizeof(float)));
        const int launched = cuda::run_layer_with(row, device, layer, run,
                                                  memory_.data() + workspace_offset_, nullptr);
        TRY(cuda_status(launched, "self-test"));
        TRY(copy_to_host(output.data(), run.output, output.size() * sizeof(float)));
        if (!agrees(output)) return false;
    }
    return true;
}

Result<uint64_t> CudaSelfTest::find_distrusted_rows(uint64_t missing) const {
    uint64_t distrusted = missing;
    for (size_t i = 0; i < cuda::rows().size(); ++i) {
        if ((missing >> i & 1) != 0) continue;
        const cuda::Row& row = cuda::rows()[i];
        TRY(const bool passed, passes(row));
        if (passed) continue;
        distrusted |= uint64_t{1} << i;
        context_->log.line(LogLevel::kWarning, "%s failed its self-test on %s and will not be used",
                           row.name, context_->cuda.name);
    }
    return distrusted;
}

}  // namespace mmoe
