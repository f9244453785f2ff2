// SPDX-License-Identifier: Apache-2.0
// One MoE layer on the CPU, in this order:
//
//   sort       ids [T, top_k]      ->  slots sorted by expert
//   pack       hidden [T, H]       ->  packed rows
//   gate_up    rows x records      ->  act( gate, up ) as fp32 [slots, I]
//   repack     fp32 [slots, I]     ->  packed rows
//   down       rows x records      ->  sum over slots of weight * result, fp32 [T, H], narrowed
//
// gate_up work is (expert, block) pairs in one line, cut where the cost is equal; a down task
// owns a range of output blocks and walks over all experts in rising order, so every sum has one
// order whatever the number of threads.
#include "exec/cpu_run.h"

#include <algorithm>
#include <cstring>

namespace mmoe {
namespace {

using layout::kHalfLanes;
using layout::kLanes;

// Below these a loop costs less than waking the pool.
constexpr int64_t kPackElementsPerTask = int64_t{1} << 15;

// More tasks than threads even out uneven experts once every expert has work for many tokens.
constexpr int64_t kTasksPerThread = 8;
constexpr int64_t kFewSlotsPerExpert = 2;

struct alignas(64) TileResult {
    float values[cpu::kMaxTileTokens * kLanes];  // [tokens, 64]
};

// Operand pointers of one tile of consecutive packed rows, gathered by `row_of`.
struct TileRows {
    const void* x[cpu::kMaxTileTokens];
    const float* sum[cpu::kMaxTileTokens];
    const float* scale[cpu::kMaxTileTokens];
};

class LayerRun {
  public:
    explicit LayerRun(const CpuRun& run) noexcept
        : run_(run),
          store_(*run.bundle.cpu()),
          bundle_(store_.plan()),
          layer_(run.bundle.layer()),
          parallel_(*run.bundle.context()->parallel) {
        const auto slots = static_cast<size_t>(run.plan.slots);
        const auto experts = static_cast<size_t>(layer_.expert_count);
        routing_.first = {at<int32_t>(run.plan.first_offset), experts + 1};
        routing_.token = {at<int32_t>(run.plan.token_offset), slots};
        routing_.weight = {at<float>(run.plan.weight_offset), slots};
        routing_.active = {at<int32_t>(run.plan.active_offset), experts};
    }

    bool operator()() {
        sort_slots(run_.args, run_.bundle.slots(), routing_);
        pack_hidden();
        multiply_gate_up();
        pack_intermediate();
        multiply_down();
        return routing_.out_of_range;
    }

  private:
    template <class T>
    [[nodiscard]] T* at(int64_t offset_bytes) const noexcept {
        return reinterpret_cast<T*>(run_.workspace + offset_bytes);
    }

    // Splits [0, count) evenly into tasks of at least `grain`, one a thread at most, and runs
    // body(task, begin, end).
    template <class Body>
    void for_ranges(int64_t count, int64_t grain, Body&& body) {
        const int64_t most = int64_t{parallel_.thread_count()};
        const int64_t tasks = std::clamp<int64_t>(count / std::max<int64_t>(1, grain), 1, most);
        parallel_.run(static_cast<uint32_t>(tasks), [&](uint32_t task) {
            body(task, count * task / tasks, count * (task + 1) / tasks);
        });
    }

    void pack_row(const cpu::Row& row, const layout::CpuRecordPlan& plan, const PackedRows& rows,
                  cpu::Element source_type, const void* source, int64_t index) const {
        cpu::PackArgs args;
        args.plan = &plan;
        args.source_type = source_type;
        args.source = source;
        args.x = at<uint8_t>(rows.x_offset + index * rows.x_bytes);
        args.x_sum = at<float>(rows.sum_offset) + index * rows.sum_count;
        args.x_scale = at<float>(rows.scale_offset) + index * rows.scale_count;
        row.pack(args);
    }

    [[nodiscard]] const uint8_t* hidden_row(int64_t token) const noexcept {
        const auto element = static_cast<int64_t>(cpu::element_bytes(run_.hidden_type));
        return static_cast<const uint8_t*>(run_.args.hidden) +
               token * run_.args.hidden_stride * element;
    }

    void pack_hidden() {
        if (bundle_.input_order) return pack_hidden_by_slot();
        for_ranges(run_.args.tokens, kPackElementsPerTask / layer_.hidden_size,
                   [&](uint32_t, int64_t begin, int64_t end) {
                       for (int64_t t = begin; t < end; ++t) {
                           pack_row(*run_.rows.gate_up.few, bundle_.gate_up, run_.plan.hidden,
                                    run_.hidden_type, hidden_row(t), t);
                       }
                   });
    }

    // With activation order each expert wants its own order of inputs.
    void pack_hidden_by_slot() {
        const int64_t row_bytes =
            layer_.hidden_size * static_cast<int64_t>(cpu::element_bytes(run_.hidden_type));
        for_ranges(routing_.slot_count(), kPackElementsPerTask / layer_.hidden_size,
                   [&](uint32_t task, int64_t begin, int64_t end) {
                       uint8_t* row = at<uint8_t>(run_.plan.gather_offset) + task * row_bytes;
                       for (int64_t slot = begin; slot < end; ++slot) {
                           const auto s = static_cast<size_t>(slot);
                           gather(hidden_row(routing_.token[s]), expert_of(slot).input_order, row);
                           pack_row(*run_.rows.gate_up.few, bundle_.gate_up, run_.plan.hidden,
                                    run_.hidden_type, row, slot);
                       }
                   });
    }

    void gather(const uint8_t* source, const int32_t* order, uint8_t* row) const noexcept {
        const size_t element = cpu::element_bytes(run_.hidden_type);
        for (int64_t k = 0; k < layer_.hidden_size; ++k) {
            std::memcpy(row + static_cast<size_t>(k) * element,
                        source + static_cast<size_t>(order[k]) * element, element);
        }
    }

    [[nodiscard]] CpuStore::Expert weights_of(int32_t expert) const noexcept {
        return store_.expert(run_.bundle.slots()[static_cast<size_t>(expert)]);
    }

    [[nodiscard]] CpuStore::Expert weights_of_active(int32_t i) const noexcept {
        return weights_of(routing_.active[static_cast<size_t>(i)]);
    }

    // Weights of the expert that owns a sorted slot.
    [[nodiscard]] CpuStore::Expert expert_of(int64_t slot) const noexcept {
        const auto next = std::upper_bound(routing_.first.begin(), routing_.first.end(), slot);
        return weights_of(static_cast<int32_t>(next - routing_.first.begin()) - 1);
    }

    void pack_intermediate() {
        const int64_t width = bundle_.gate_up.outputs;
        const float* values = at<float>(run_.plan.intermediate_offset);
        for_ranges(routing_.slot_count(), kPackElementsPerTask / width,
                   [&](uint32_t, int64_t begin, int64_t end) {
                       for (int64_t slot = begin; slot < end; ++slot) {
                           pack_row(*run_.rows.down.few, bundle_.down, run_.plan.intermediate,
                                    cpu::Element::kF32, values + slot * width, slot);
                       }
                   });
    }

    // Consecutive slots of one expert.
    struct SlotTile {
        int32_t first;
        int tokens;
        bool last;  // of the expert
    };

    // One block of weights, and what the thread reads after its last tile; or null.
    struct Block {
        const uint8_t* records;
        const uint8_t* next;
    };

    // Multiplies the rows of one tile with one block. `row_of(i)` is the packed row of slot i.
    template <class RowOf>
    void multiply_tile(const cpu::Row& row, const layout::CpuRecordPlan& plan,
                       const PackedRows& rows, const Block& block, const SlotTile& slots,
                       RowOf&& row_of, TileResult& result) const {
        TileRows tile;
        for (int i = 0; i < slots.tokens; ++i) {
            const int64_t index = row_of(slots.first + i);
            tile.x[i] = at<uint8_t>(rows.x_offset + index * rows.x_bytes);
            tile.sum[i] = at<float>(rows.sum_offset) + index * rows.sum_count;
            tile.scale[i] = at<float>(rows.scale_offset) + index * rows.scale_count;
        }
        cpu::MultiplyArgs args;
        args.plan = &plan;
        args.block = block.records;
        args.next_block = slots.last ? block.next : block.records;
        args.x = tile.x;
        args.x_sum = tile.sum;
        args.x_scale = tile.scale;
        args.out = result.values;
        row.multiply(slots.tokens, args);
    }

    // Calls body(tile) for an expert's slots, cut as evenly as the row's tiles allow.
    template <class Body>
    void for_tiles(int32_t expert, const cpu::Row& row, Body&& body) const {
        const int32_t first = routing_.first[static_cast<size_t>(expert)];
        const int64_t count = routing_.slots_of(expert);
        const int64_t tiles = ceil_div(count, int64_t{row.most_tokens});
        for (int64_t tile = 0; tile < tiles; ++tile) {
            const int64_t begin = count * tile / tiles;
            const int64_t end = count * (tile + 1) / tiles;
            body(SlotTile{first + static_cast<int32_t>(begin), static_cast<int>(end - begin),
                          tile + 1 == tiles});
        }
    }

    // Time of one block of an expert in arbitrary units: reading it costs about as much as
    // multiplying it with two tokens.
    [[nodiscard]] int64_t block_cost(int32_t expert) const noexcept {
        return std::max<int64_t>(2, routing_.slots_of(expert));
    }

    [[nodiscard]] int64_t task_limit() const noexcept {
        const bool few = routing_.slot_count() <= kFewSlotsPerExpert * routing_.active_count;
        return int64_t{parallel_.thread_count()} * (few ? 1 : kTasksPerThread);
    }

    void multiply_gate_up() {
        const int64_t blocks = bundle_.gate_up.blocks();
        int64_t total_cost = 0;
        for (int32_t i = 0; i < routing_.active_count; ++i) {
            total_cost += blocks * block_cost(routing_.active[static_cast<size_t>(i)]);
        }
        const int64_t tasks = std::min(task_limit(), blocks * routing_.active_count);
        parallel_.run(static_cast<uint32_t>(tasks), [&](uint32_t task) {
            gate_up_range(total_cost * task / tasks, total_cost * (task + 1) / tasks);
        });
    }

    // The (expert, block) pairs whose cost starts in [begin_cost, end_cost).
    void gate_up_range(int64_t begin_cost, int64_t end_cost) const {
        const int64_t blocks = bundle_.gate_up.blocks();
        const int64_t block_bytes = bundle_.gate_up.block_bytes();
        int64_t cost = 0;  // of everything before this expert
        for (int32_t i = 0; i < routing_.active_count && cost < end_cost; ++i) {
            const int32_t expert = routing_.active[static_cast<size_t>(i)];
            const int64_t each = block_cost(expert);
            const auto first_at = [&](int64_t wanted) {
                return std::min(ceil_div(std::max<int64_t>(0, wanted - cost), each), blocks);
            };
            const int64_t begin = first_at(begin_cost);
            const int64_t end = first_at(end_cost);
            const CpuStore::Expert weights = weights_of(expert);
            const uint8_t* following =
                i + 1 < routing_.active_count ? weights_of_active(i + 1).gate_up : nullptr;
            for (int64_t block = begin; block < end; ++block) {
                const uint8_t* records = weights.gate_up + block * block_bytes;
                gate_up_block(expert, weights, block,
                              {records, block + 1 < blocks ? records + block_bytes : following});
            }
            cost += blocks * each;
        }
    }

    void gate_up_block(int32_t expert, const CpuStore::Expert& weights, int64_t block,
                       const Block& records) const {
        const int64_t per_block = bundle_.gate_up.outputs_per_block();
        cpu::ActivateArgs args = activation();
        args.outputs = std::min(per_block, bundle_.gate_up.outputs - block * per_block);
        args.bias =
            weights.gate_up_bias == nullptr ? nullptr : weights.gate_up_bias + block * kLanes;
        float* out = at<float>(run_.plan.intermediate_offset) + block * per_block;
        const cpu::Row& row = run_.rows.gate_up.serving(routing_.slots_of(expert));
        for_tiles(expert, row, [&](const SlotTile& tile) {
            TileResult result;
            multiply_tile(
                row, bundle_.gate_up, run_.plan.hidden, records, tile,
                [&](int32_t s) {
                    return bundle_.input_order ? s : routing_.token[static_cast<size_t>(s)];
                },
                result);
            for (int i = 0; i < tile.tokens; ++i) {
                const int32_t s = tile.first + i;
                args.values = result.values + i * kLanes;
                args.weight =
                    layer_.router_weight_on_input ? routing_.weight[static_cast<size_t>(s)] : 1.0F;
                args.out = out + s * bundle_.gate_up.outputs;
                run_.rows.elementwise->activate(args);
            }
        });
    }

    [[nodiscard]] cpu::ActivateArgs activation() const noexcept {
        cpu::ActivateArgs args = {};
        // SWIGLUOAI is SILU with other constants, which the layer already holds.
        args.activation = layer_.activation == Activation::kSwigluOai
                              ? cpu::Activation::kSilu
                              : static_cast<cpu::Activation>(layer_.activation);
        args.gated = layer_.gated();
        args.alpha = layer_.alpha;
        args.beta = layer_.beta;
        args.limit = layer_.limit;
        return args;
    }

    void multiply_down() {
        const int64_t blocks = bundle_.down.blocks();
        const int64_t tasks = std::min(task_limit(), blocks);
        parallel_.run(static_cast<uint32_t>(std::max<int64_t>(1, tasks)), [&](uint32_t task) {
            const int64_t count = std::max<int64_t>(1, tasks);
            down_range(blocks * task / count, blocks * (task + 1) / count);
        });
    }

    // Output blocks [begin, end) of every token.
    void down_range(int64_t begin, int64_t end) const {
        const int64_t hidden = layer_.hidden_size;
        const int64_t first = begin * kLanes;
        const int64_t width = std::min(end * kLanes, hidden) - first;
        const int64_t block_bytes = bundle_.down.block_bytes();
        float* sums = at<float>(run_.plan.sums_offset);
        for (int64_t t = 0; t < run_.args.tokens; ++t) {
            std::fill_n(sums + t * hidden + first, width, 0.0F);
        }
        for (int32_t i = 0; i < routing_.active_count; ++i) {
            const CpuStore::Expert weights = weights_of_active(i);
            const uint8_t* following = i + 1 < routing_.active_count
                                           ? weights_of_active(i + 1).down + begin * block_bytes
                                           : nullptr;
            for (int64_t block = begin; block < end; ++block) {
                const uint8_t* records = weights.down + block * block_bytes;
                down_block(routing_.active[static_cast<size_t>(i)], weights, block,
                           {records, block + 1 < end ? records + block_bytes : following});
            }
        }
        const auto element = static_cast<int64_t>(cpu::element_bytes(run_.output_type));
        auto* output = static_cast<uint8_t*>(run_.args.output);
        for (int64_t t = 0; t < run_.args.tokens; ++t) {
            run_.rows.elementwise->store(run_.output_type, width, sums + t * hidden + first,
                                         output + (t * run_.args.output_stride + first) * element);
        }
    }

    void down_block(int32_t expert, const CpuStore::Expert& weights, int64_t block,
                    const Block& records) const {
        const int64_t first = block * kLanes;
        cpu::CombineArgs args = {};
        args.outputs = std::min<int64_t>(kLanes, layer_.hidden_size - first);
        args.bias = weights.down_bias == nullptr ? nullptr : weights.down_bias + first;
        float* sums = at<float>(run_.plan.sums_offset) + first;
        const cpu::Row& row = run_.rows.down.serving(routing_.slots_of(expert));
        for_tiles(expert, row, [&](const SlotTile& tile) {
            TileResult result;
            multiply_tile(
                row, bundle_.down, run_.plan.intermediate, records, tile,
                [](int32_t s) { return s; }, result);
            for (int i = 0; i < tile.tokens; ++i) {
                const auto s = static_cast<size_t>(tile.first + i);
                args.values = result.values + i * kLanes;
                args.weight = layer_.router_weight_on_input ? 1.0F : routing_.weight[s];
                args.sum = sums + routing_.token[s] * layer_.hidden_size;
                run_.rows.elementwise->combine(args);
            }
        });
    }

    const CpuRun& run_;
    const CpuStore& store_;
    const CpuBundlePlan& bundle_;
    const Layer& layer_;
    Parallel& parallel_;
    Routing routing_;
};

}  // namespace

bool run_cpu_layer(const CpuRun& run) {
    if (run.args.tokens == 0) return false;
    LayerRun layer(run);
    return layer();
}

}  // namespace mmoe
