// SPDX-License-Identifier: Apache-2.0
// In order, for each block that a strip touches: scales and zero points lane by lane, then codes
// word by word, by the kernels' own routine.
//
// A canonical word holds the codes of one tile and lane where groups start on words; where they
// do not (a group size that no tile divides), each group is first cut out of its row.
#include "repack/cpu_records.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "cpu/launch.h"
#include "repack/group_block.h"
#include "unpack/scale_memory.h"

namespace mmoe {
namespace {

using layout::CpuRecordPlan;
using layout::kTileBytes;

int64_t record_offset(const CpuRecordPlan& plan, int64_t block, int64_t group) noexcept {
    return block * plan.block_bytes() + group * plan.record_bytes();
}

// Codes of a dense bit string, `count` <= one word of them, from code `first` on.
uint32_t codes_at(const uint32_t* words, int64_t first, int64_t count, int bits) noexcept {
    const int64_t per_word = 32 / bits;
    uint32_t word = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t k = first + i;
        const uint32_t code = words[k / per_word] >> (k % per_word * bits) & ((1u << bits) - 1);
        word |= code << (i * bits);
    }
    return word;
}

// Rows of a strip that fall into one block.
struct BlockRows {
    int64_t block;
    int first_lane;
    int64_t strip_row;
    int64_t rows;
};

class RecordPacker {
  public:
    RecordPacker(const CpuRecordPlan& plan, const Canonical& strip, uint8_t* records)
        : plan_(plan),
          strip_(strip),
          groups_(plan.groups()),
          records_(records),
          factors_(groups_, plan.scale_type),
          pack_tiles_(cpu::pack_tiles(cpu::usable_tier())),
          groups_start_on_words_(groups_ == 1 || plan.group_size % plan.inputs_per_tile() == 0) {
        if (!groups_start_on_words_) {
            cut_.resize(static_cast<size_t>(layout::kLanes * plan.tiles_per_group()));
        }
    }

    void pack(const BlockRows& rows) {
        factors_.read_scales(strip_, rows.strip_row, rows.rows);
        if (plan_.asymmetric) factors_.read_zero_points(strip_, rows.strip_row, rows.rows);
        for (int64_t group = 0; group < groups_; ++group) {
            pack_factors(rows, group, records_ + record_offset(plan_, rows.block, group));
        }
        if (strip_.file) return;  // pack_file_codes() has all rows at once
        if (groups_start_on_words_) {
            const int64_t row_words = strip_.words_per_row();
            pack_codes(rows, 0, groups_, strip_.codes.data() + rows.strip_row * row_words,
                       row_words);
            return;
        }
        for (int64_t group = 0; group < groups_; ++group) {
            pack_codes(rows, group, 1, cut_group(rows, group), plan_.tiles_per_group());
        }
    }

    // From the file's own order: all rows of the strip, whose first one has the lane.
    void pack_file_codes(const layout::CpuLane& lane) const {
        assert(strip_.rows % cpu::kFileOutputs == 0);
        cpu::PackFileTilesArgs args = {};
        args.bits = plan_.bits;
        args.codes = strip_.file->codes;
        args.blocks = {strip_.rows, strip_.words_per_row()};
        args.tiles = plan_.tiles_per_group();
        args.record_bytes = plan_.record_bytes();
        args.half_bytes = plan_.gated_pair ? plan_.block_bytes() : kTileBytes / 2;
        args.block_bytes = plan_.gated_pair ? 2 * plan_.block_bytes() : plan_.block_bytes();
        args.tile_bytes = records_ + record_offset(plan_, lane.block, 0) +
                          plan_.tile_offset_bytes() + lane.lane * 4;
        cpu::pack_file_tiles(cpu::usable_tier())(args);
    }

  private:
    void pack_factors(const BlockRows& rows, int64_t group, uint8_t* record) const {
        const int scale_bytes = layout::scale_bytes(plan_.scale_type);
        std::memcpy(record + rows.first_lane * scale_bytes, factors_.scales(group),
                    static_cast<size_t>(rows.rows * scale_bytes));
        if (!plan_.asymmetric) return;
        std::memcpy(record + plan_.zero_point_offset_bytes() + rows.first_lane,
                    factors_.zero_points(group), static_cast<size_t>(rows.rows));
    }

    // Of `groups` groups from `first_group` on, whose codes start every row of `codes`.
    void pack_codes(const BlockRows& rows, int64_t first_group, int64_t groups,
                    const uint32_t* codes, int64_t row_words) const {
        cpu::PackTilesArgs args = {};
        args.bits = plan_.bits;
        args.records = groups;
        args.record_bytes = plan_.record_bytes();
        args.tiles = plan_.tiles_per_group();
        args.rows = rows.rows;
        args.codes = codes;
        args.row_words = row_words;
        args.first_lane = rows.first_lane;
        args.tile_bytes =
            records_ + record_offset(plan_, rows.block, first_group) + plan_.tile_offset_bytes();
        pack_tiles_(args);
    }

    // [rows, tiles_per_group] dense words of one group, padded with zeros.
    const uint32_t* cut_group(const BlockRows& rows, int64_t group) noexcept {
        const int64_t per_word = plan_.inputs_per_tile();
        uint32_t* out = cut_.data();
        for (int64_t row = 0; row < rows.rows; ++row) {
            const uint32_t* words =
                strip_.codes.data() + (rows.strip_row + row) * strip_.words_per_row();
            for (int64_t k = 0; k < plan_.group_size; k += per_word) {
                *out++ = codes_at(words, group * plan_.group_size + k,
                                  std::min(per_word, plan_.group_size - k), plan_.bits);
            }
        }
        return cut_.data();
    }

    const CpuRecordPlan& plan_;
    const Canonical& strip_;
    int64_t groups_;
    uint8_t* records_;
    GroupBlock factors_;  // of one block's rows
    cpu::PackTiles pack_tiles_;
    bool groups_start_on_words_;
    std::vector<uint32_t> cut_;  // one group of one block's rows
};

// One group of one lane, back to canonical places.
class RecordReader {
  public:
    RecordReader(const CpuRecordPlan& plan, const uint8_t* record, int lane) noexcept
        : plan_(plan), record_(record), lane_(lane) {}

    [[nodiscard]] float scale() const noexcept {
        return load_scale(plan_.scale_type, record_, lane_);
    }
    [[nodiscard]] uint8_t zero_point() const noexcept {
        return record_[plan_.zero_point_offset_bytes() + lane_];
    }
    // ORs the codes into a row of dense words, from code `first` on. Padding codes are 0.
    void add_codes(uint32_t* words, int64_t first) const noexcept {
        const int64_t per_word = plan_.inputs_per_tile();
        const int shift = static_cast<int>(first % per_word) * plan_.bits;
        words += first / per_word;
        const uint8_t* lane = record_ + plan_.tile_offset_bytes() + lane_ * 4;
        for (int64_t k = 0; k < plan_.group_size; k += per_word, lane += kTileBytes, ++words) {
            uint32_t word;
            std::memcpy(&word, lane, sizeof word);
            const uint64_t dense = uint64_t{layout::cpu_dense_word(word, plan_.bits)} << shift;
            words[0] |= static_cast<uint32_t>(dense);
            if ((dense >> 32) != 0) words[1] |= static_cast<uint32_t>(dense >> 32);
        }
    }

  private:
    const CpuRecordPlan& plan_;
    const uint8_t* record_;
    int lane_;
};

}  // namespace

void pack_cpu_records(const CpuRecordPlan& plan, const Canonical& strip, int64_t first_row, bool up,
                      std::span<uint8_t> records) {
    const int64_t per_block = plan.outputs_per_block();
    assert(first_row % per_block == 0 && strip.columns == plan.inputs);
    assert(static_cast<int64_t>(records.size()) == plan.matrix_bytes());
    RecordPacker packer(plan, strip, records.data());
    for (int64_t row = 0; row < strip.rows; row += per_block) {
        const layout::CpuLane lane = layout::cpu_lane(plan, first_row + row, up);
        packer.pack({lane.block, lane.lane, row, std::min(per_block, strip.rows - row)});
    }
    if (strip.file) packer.pack_file_codes(layout::cpu_lane(plan, first_row, up));
}

void unpack_cpu_records(const CpuRecordPlan& plan, std::span<const uint8_t> records, bool up,
                        int64_t first_row, int64_t rows, std::span<uint32_t> codes,
                        std::span<float> scales, std::span<uint8_t> zero_points) {
    const int64_t words_per_row = ceil_div(plan.inputs, int64_t{plan.inputs_per_tile()});
    std::fill(codes.begin(), codes.end(), 0u);
    for (int64_t row = 0; row < rows; ++row) {
        const layout::CpuLane lane = layout::cpu_lane(plan, first_row + row, up);
        for (int64_t group = 0; group < plan.groups(); ++group) {
            const RecordReader reader(plan, records.data() + record_offset(plan, lane.block, group),
                                      lane.lane);
            const auto at = static_cast<size_t>(row * plan.groups() + group);
            if (!scales.empty()) scales[at] = reader.scale();
            if (!zero_points.empty()) {
                zero_points[at] = plan.asymmetric ? reader.zero_point()
                                                  : static_cast<uint8_t>(1u << (plan.bits - 1));
            }
            if (!codes.empty()) {
                reader.add_codes(codes.data() + row * words_per_row, group * plan.group_size);
            }
        }
    }
}

}  // namespace mmoe
