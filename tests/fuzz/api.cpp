// SPDX-License-Identifier: Apache-2.0
// Input: a program of C API calls: objects are made, filled, run and destroyed in any order, with
// right arguments, wrong ones, and handles of the wrong kind. Every failure has a status of its
// own and a sentence, and leaves its out-parameter empty; sanitizers watch the rest.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "bytes.h"
#include "marlin_moe.h"
#include "target.h"

using mmoe::fuzz::Bytes;
using mmoe::fuzz::require;

namespace {

constexpr size_t kPlaces = 2;           // of each kind of object
constexpr uint64_t kBudget = 1 << 18;   // bytes of bundles and workspaces
constexpr size_t kPoolBytes = 1 << 16;  // memory of all tensors

// Memory that every tensor lies in; finite small numbers in every type.
alignas(64) std::array<uint8_t, kPoolBytes> pool;
alignas(256) std::array<uint8_t, kPoolBytes> output_pool;
alignas(64) std::array<uint8_t, kPoolBytes> file_pool;

template <class T>
T sized() {
    T structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

// A number that callers get wrong.
int64_t odd_number(Bytes& input) {
    constexpr int64_t kNumbers[] = {0,         -1,        1,         2,         INT32_MAX,
                                    INT64_MAX, INT64_MIN, 1LL << 31, 1LL << 32, 1LL << 61};
    return kNumbers[input.up_to(9)];
}
// Nearly always `right`.
int64_t or_odd(Bytes& input, int64_t right) {
    return input.up_to(31) == 0 ? odd_number(input) : right;
}

class Machine {
  public:
    explicit Machine(Bytes input) : input_(input) {}
    ~Machine() {
        for (size_t i = 0; i < kPlaces; ++i) {
            mmoe_context_destroy(contexts_[i]);
            mmoe_quant_config_destroy(configs_[i]);
            mmoe_bundle_destroy(bundles_[i]);
            mmoe_executor_destroy(executors_[i]);
        }
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    void run() {
        using Step = void (Machine::*)();
        constexpr Step kSteps[] = {
            &Machine::make_context,  &Machine::make_config, &Machine::make_bundle,
            &Machine::fill,          &Machine::set,         &Machine::seal,
            &Machine::make_executor, &Machine::call,        &Machine::put,
            &Machine::evict,         &Machine::route,       &Machine::ask,
            &Machine::explain,       &Machine::destroy,     &Machine::wrong_kind,
            &Machine::repack};
        for (int steps = 0; steps < 24 && !input_.empty(); ++steps) {
            (this->*kSteps[static_cast<size_t>(input_.up_to(std::size(kSteps) - 1))])();
        }
    }

  private:
    // A status is the error's, has a sentence, and is never a defect of the library's own.
    mmoe_status check(mmoe_status status) {
        if (status == MMOE_OK) return status;
        require(status != MMOE_ERR_INTERNAL && error_.status == status);
        require(error_.message[0] != '\0' && std::memchr(error_.message, 0, sizeof error_.message));
        error_ = {};
        return status;
    }
    template <class Object, class Destroy>
    void keep(std::array<Object*, kPlaces>& places, mmoe_status status, Object* made,
              Destroy destroy) {
        require((check(status) == MMOE_OK) == (made != nullptr));
        Object*& place = places[place_of()];
        destroy(place);
        place = made;
    }
    size_t place_of() { return static_cast<size_t>(input_.up_to(kPlaces - 1)); }
    mmoe_context* context() { return contexts_[place_of()]; }
    mmoe_quant_config* config() { return configs_[place_of()]; }
    mmoe_bundle* bundle() { return bundles_[place_of()]; }
    mmoe_executor* executor() { return executors_[place_of()]; }

    void make_context() {
        auto options = sized<mmoe_context_options>();
        options.device_kind = static_cast<mmoe_device_kind>(or_odd(input_, 0));
        options.thread_count = 1;
        options.memory_budget_bytes = kBudget;
        options.cpu_tier = static_cast<mmoe_cpu_tier>(or_odd(input_, input_.up_to(1)));
        mmoe_context* made = nullptr;
        const mmoe_status status = mmoe_context_create(&options, &made, &error_);
        keep(contexts_, status, made, mmoe_context_destroy);
    }

    void make_config() {
        auto fields = sized<mmoe_quant_fields>();
        fields.format = static_cast<mmoe_format>(or_odd(input_, input_.up_to(2)));
        fields.bits = static_cast<int32_t>(or_odd(input_, input_.flag() ? 4 : 8));
        fields.group_size = static_cast<int32_t>(or_odd(input_, input_.flag() ? 32 : -1));
        fields.symmetry = static_cast<mmoe_symmetry>(or_odd(input_, input_.up_to(1)));
        fields.zero_point_form = static_cast<mmoe_zero_point_form>(or_odd(input_, 0));
        fields.order = static_cast<mmoe_order>(or_odd(input_, 0));
        mmoe_quant_config* made = nullptr;
        const mmoe_status status = mmoe_quant_config_create(&fields, &made, &error_);
        keep(configs_, status, made, mmoe_quant_config_destroy);
    }

    mmoe_layer take_layer() {
        auto layer = sized<mmoe_layer>();
        layer.expert_count = static_cast<uint32_t>(or_odd(input_, 1 + input_.up_to(2)));
        layer.hidden_size = static_cast<uint32_t>(or_odd(input_, 32 * (1 + input_.up_to(1))));
        layer.intermediate_size = static_cast<uint32_t>(or_odd(input_, 32));
        layer.activation = static_cast<mmoe_activation>(or_odd(input_, input_.up_to(4)));
        layer.gate_form = static_cast<mmoe_gate_form>(or_odd(input_, input_.up_to(2)));
        layer.limit = input_.up_to(31) == 0 ? std::numeric_limits<float>::quiet_NaN() : 0.0F;
        layer.flags = static_cast<uint32_t>(or_odd(input_, input_.up_to(3)));
        return layer;
    }
    mmoe_bundle_options take_bundle_options() {
        auto options = sized<mmoe_bundle_options>();
        options.slot_count = static_cast<uint32_t>(or_odd(input_, input_.up_to(1)));
        options.split.tensor_ranks = static_cast<uint32_t>(or_odd(input_, input_.up_to(1)));
        options.split.expert_ranks = static_cast<uint32_t>(or_odd(input_, input_.up_to(1)));
        options.split.expert_rank = static_cast<uint32_t>(or_odd(input_, 0));
        return options;
    }
    void make_bundle() {
        const mmoe_layer layer = take_layer();
        const mmoe_bundle_options options = take_bundle_options();
        mmoe_bundle* made = nullptr;
        const mmoe_status status =
            mmoe_bundle_create(context(), config(), &layer, &options, &made, &error_);
        keep(bundles_, status, made, mmoe_bundle_destroy);
    }

    // The tensor that this role has in a plain compressed-tensors layer.
    mmoe_tensor tensor_of(const mmoe_layer& layer, mmoe_projection projection, mmoe_role role) {
        const bool down = projection == MMOE_PROJECTION_DOWN;
        const int64_t n = down ? layer.hidden_size : layer.intermediate_size;
        const int64_t k = down ? layer.intermediate_size : layer.hidden_size;
        mmoe_tensor tensor = {pool.data(), MMOE_DTYPE_I32, 2, {n, k / 8}, {}};
        if (role == MMOE_ROLE_SCALE) {
            tensor.dtype = MMOE_DTYPE_BF16;
            tensor.shape[1] = k / 32;
        } else if (role == MMOE_ROLE_ZERO_POINT) {
            tensor.shape[0] = n / 8;
            tensor.shape[1] = k / 32;
        } else if (role == MMOE_ROLE_BIAS || role == MMOE_ROLE_GROUP_INDEX) {
            tensor.dtype = role == MMOE_ROLE_BIAS ? MMOE_DTYPE_F32 : MMOE_DTYPE_I32;
            tensor.rank = 1;
            tensor.shape[0] = role == MMOE_ROLE_BIAS ? n : k;
            tensor.shape[1] = 0;
        }
        spoil(&tensor);
        return tensor;
    }
    void spoil(mmoe_tensor* tensor) {
        switch (input_.up_to(63)) {
            case 0:
                tensor->data = nullptr;
                break;
            case 1:
                tensor->rank = static_cast<int32_t>(odd_number(input_));
                break;
            case 2:
                tensor->dtype = static_cast<mmoe_dtype>(odd_number(input_));
                break;
            case 3:
                tensor->shape[input_.up_to(1)] = -1 - input_.up_to(3);
                break;
            case 4:
                tensor->stride[input_.up_to(1)] = -1 - input_.up_to(3);
                break;
            case 5:  // too many elements for any memory
                tensor->shape[0] = tensor->shape[1] = INT64_MAX;
                break;
            default:
                break;
        }
    }
    mmoe_layer layer_of(const mmoe_bundle* asked) {
        auto layer = sized<mmoe_layer>();
        (void)mmoe_bundle_info(asked, &layer, nullptr, nullptr);
        return layer;
    }

    void fill() {
        mmoe_bundle* const target = bundle();
        const mmoe_layer layer = layer_of(target);
        for (uint32_t expert = 0; expert < std::min(layer.expert_count, 3U); ++expert) {
            for (mmoe_projection p = MMOE_PROJECTION_GATE; p <= MMOE_PROJECTION_DOWN; ++p) {
                for (mmoe_role r = MMOE_ROLE_WEIGHT; r <= MMOE_ROLE_BIAS; ++r) {
                    const mmoe_tensor tensor = tensor_of(layer, p, r);
                    check(mmoe_bundle_set(target, expert, p, r, &tensor, &error_));
                }
            }
        }
    }
    void set() {
        mmoe_bundle* const target = bundle();
        const auto projection = static_cast<mmoe_projection>(or_odd(input_, 1 + input_.up_to(2)));
        const auto role = static_cast<mmoe_role>(or_odd(input_, 1 + input_.up_to(4)));
        const mmoe_tensor tensor = tensor_of(layer_of(target), projection, role);
        const auto expert = static_cast<uint32_t>(or_odd(input_, input_.up_to(2)));
        check(mmoe_bundle_set(target, expert, projection, role, &tensor, &error_));
    }
    void seal() { check(mmoe_bundle_seal(bundle(), &error_)); }
    void put() {
        mmoe_bundle* const target = bundle();
        const mmoe_layer layer = layer_of(target);
        mmoe_expert_tensor tensors[15];
        uint32_t count = 0;
        for (mmoe_projection p = MMOE_PROJECTION_GATE; p <= MMOE_PROJECTION_DOWN; ++p) {
            for (mmoe_role r = MMOE_ROLE_WEIGHT; r <= MMOE_ROLE_ZERO_POINT; ++r) {
                tensors[count++] = {p, r, tensor_of(layer, p, r)};
            }
        }
        const auto expert = static_cast<uint32_t>(or_odd(input_, input_.up_to(2)));
        check(mmoe_bundle_put(target, expert, tensors, count, &error_));
    }
    void evict() {
        check(mmoe_bundle_evict(bundle(), static_cast<uint32_t>(or_odd(input_, 0)), &error_));
    }

    mmoe_executor_options take_executor_options() {
        auto options = sized<mmoe_executor_options>();
        options.max_tokens = static_cast<uint32_t>(or_odd(input_, 1 + input_.up_to(3)));
        options.max_top_k = static_cast<uint32_t>(or_odd(input_, 1 + input_.up_to(1)));
        options.hidden_dtype = static_cast<mmoe_dtype>(or_odd(input_, 1 + input_.up_to(2)));
        options.output_dtype = static_cast<mmoe_dtype>(or_odd(input_, 1 + input_.up_to(2)));
        options.precision = static_cast<mmoe_precision>(or_odd(input_, input_.up_to(2)));
        if (input_.up_to(7) == 0) {
            options.workspace = output_pool.data();
            options.workspace_bytes = static_cast<uint64_t>(input_.up_to(kPoolBytes - 1));
        }
        return options;
    }
    void make_executor() {
        const mmoe_executor_options options = take_executor_options();
        mmoe_executor* made = nullptr;
        const mmoe_status status =
            mmoe_executor_create(context(), bundle(), &options, &made, &error_);
        keep(executors_, status, made, mmoe_executor_destroy);
    }

    // The pools hold 8 tokens of any layer that fits the budget.
    void call() {
        mmoe_executor* const runner = executor();
        mmoe_bundle* const weights = bundle();
        const int64_t hidden_size = layer_of(weights).hidden_size;
        const int64_t tokens = or_odd(input_, input_.up_to(4));
        const int64_t top_k = or_odd(input_, input_.up_to(2));
        if (tokens <= 8 && (hidden_size > 128 || top_k > 8)) return;
        auto args = sized<mmoe_run_args>();
        const auto type = static_cast<mmoe_dtype>(1 + input_.up_to(2));
        args.hidden = {pool.data(), type, 2, {tokens, hidden_size}, {}};
        args.expert_ids = {pool.data(), MMOE_DTYPE_I32, 2, {tokens, top_k}, {}};
        args.expert_weights = {pool.data(), MMOE_DTYPE_F32, 2, {tokens, top_k}, {}};
        const auto out_type = static_cast<mmoe_dtype>(1 + input_.up_to(2));
        args.output = {output_pool.data(), out_type, 2, {tokens, hidden_size}, {}};
        if (input_.up_to(7) == 0) {
            args.expert_map = {pool.data(), MMOE_DTYPE_I32, 1, {input_.up_to(9)}, {}};
            args.token_count = {pool.data(), MMOE_DTYPE_I32, 1, {or_odd(input_, 1)}, {}};
        }
        spoil(&args.hidden);
        spoil(&args.expert_ids);
        spoil(&args.output);
        check(mmoe_executor_run(runner, weights, &args, nullptr, &error_));
        auto findings = sized<mmoe_executor_findings>();
        check(mmoe_executor_poll(runner, &findings, &error_));
    }
    void route() {
        auto args = sized<mmoe_route_args>();
        const int64_t tokens = or_odd(input_, input_.up_to(4));
        const int64_t experts = 1 + input_.up_to(7);
        const int64_t top_k = or_odd(input_, input_.up_to(3));
        if (tokens > 8 && top_k == 0) return;  // nothing contradicts that many tokens
        args.scoring = static_cast<mmoe_scoring>(or_odd(input_, input_.up_to(1)));
        args.group_count = static_cast<uint32_t>(or_odd(input_, input_.up_to(3)));
        args.groups_kept = static_cast<uint32_t>(or_odd(input_, input_.up_to(3)));
        args.renormalize = static_cast<int32_t>(input_.up_to(1));
        args.logits = {pool.data(),
                       static_cast<mmoe_dtype>(1 + input_.up_to(2)),
                       2,
                       {tokens <= 8 ? tokens : 8, experts},
                       {}};
        args.expert_ids = {output_pool.data(), MMOE_DTYPE_I32, 2, {tokens, top_k}, {}};
        args.expert_weights = {output_pool.data() + 4096, MMOE_DTYPE_F32, 2, {tokens, top_k}, {}};
        if (tokens >= 0 && tokens <= 8 && top_k > 8) args.logits.shape[1] = 8;
        spoil(&args.logits);
        spoil(&args.expert_ids);
        check(mmoe_route(context(), &args, nullptr, &error_));
    }

    void ask() {
        const mmoe_layer layer = take_layer();
        const mmoe_bundle_options options = take_bundle_options();
        const mmoe_executor_options executor_options = take_executor_options();
        auto support = sized<mmoe_support>();
        auto plan = sized<mmoe_memory_plan>();
        check(mmoe_support_query(context(), config(), &layer, &options.split, &support, &error_));
        check(mmoe_bundle_plan(context(), config(), &layer, &options, &plan, &error_));
        check(mmoe_executor_plan(context(), config(), &layer, &executor_options, &plan, &error_));
    }
    void explain() {
        char text[64];
        const auto tokens = static_cast<uint32_t>(or_odd(input_, 1));
        const size_t capacity = static_cast<size_t>(input_.up_to(sizeof text));
        require(mmoe_executor_explain(executor(), bundle(), tokens, text, capacity) > 0);
    }

    mmoe_marlin_matrix take_matrix() {
        auto matrix = sized<mmoe_marlin_matrix>();
        matrix.expert_count = static_cast<uint32_t>(or_odd(input_, 1 + input_.up_to(1)));
        matrix.inputs = or_odd(input_, 32 * (1 + input_.up_to(1)));
        matrix.outputs = or_odd(input_, 8 * (1 + input_.up_to(8)));
        matrix.padded_inputs = or_odd(input_, input_.flag() ? 64 : 0);
        matrix.padded_outputs = or_odd(input_, 128);
        matrix.first_output = or_odd(input_, 64 * input_.up_to(1));
        matrix.activation = static_cast<mmoe_marlin_activation>(or_odd(input_, input_.up_to(1)));
        return matrix;
    }
    // Into a matrix and back, through memory that holds what was described.
    void repack() {
        const mmoe_marlin_matrix matrix = take_matrix();
        const mmoe_quant_config* const packing = config();
        const auto role = static_cast<mmoe_role>(or_odd(input_, 1 + input_.up_to(4)));
        auto description = sized<mmoe_marlin_description>();
        if (check(mmoe_marlin_describe(packing, &matrix, role, &description, &error_)) != MMOE_OK) {
            return;
        }
        if (std::max(description.file_bytes, description.marlin_bytes) > kPoolBytes) return;
        auto args = sized<mmoe_marlin_args>();
        args.role = role;
        args.file = description.file;
        args.file.data = pool.data();
        args.marlin = description.marlin;
        args.marlin.data = output_pool.data();
        if (input_.up_to(7) == 0) {
            args.group_index = {pool.data(), MMOE_DTYPE_I32, 2, {1, matrix.inputs}, {}};
        }
        spoil(&args.file);
        spoil(&args.marlin);
        const mmoe_context* const where = context();
        check(mmoe_marlin_pack(where, packing, &matrix, &args, &error_));
        check(mmoe_marlin_enqueue_pack(where, packing, &matrix, &args, nullptr, &error_));
        args.file.data = args.file.data == nullptr ? nullptr : file_pool.data();
        check(mmoe_marlin_unpack(where, packing, &matrix, &args, &error_));
    }

    void destroy() {
        switch (input_.up_to(3)) {
            case 0:
                return forget(contexts_, mmoe_context_destroy);
            case 1:
                return forget(configs_, mmoe_quant_config_destroy);
            case 2:
                return forget(bundles_, mmoe_bundle_destroy);
            default:
                return forget(executors_, mmoe_executor_destroy);
        }
    }
    template <class Object, class Destroy>
    void forget(std::array<Object*, kPlaces>& places, Destroy destroy_it) {
        Object*& place = places[place_of()];
        destroy_it(place);
        place = nullptr;
    }
    void wrong_kind() {
        auto* const not_a_bundle = reinterpret_cast<mmoe_bundle*>(context());
        require(check(mmoe_bundle_seal(not_a_bundle, &error_)) != MMOE_OK);
        auto* const not_an_executor = reinterpret_cast<mmoe_executor*>(config());
        const auto args = sized<mmoe_run_args>();
        require(check(mmoe_executor_run(not_an_executor, bundle(), &args, nullptr, &error_)) !=
                MMOE_OK);
    }

    Bytes input_;
    mmoe_error error_ = {};
    std::array<mmoe_context*, kPlaces> contexts_ = {};
    std::array<mmoe_quant_config*, kPlaces> configs_ = {};
    std::array<mmoe_bundle*, kPlaces> bundles_ = {};
    std::array<mmoe_executor*, kPlaces> executors_ = {};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Machine(Bytes(data, size)).run();
    return 0;
}
