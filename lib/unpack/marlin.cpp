// SPDX-License-Identifier: Apache-2.0
// Row of tiles by row of tiles, as repack packs them; then the permuted rows of scales and zero
// points.
#include <algorithm>
#include <cinttypes>
#include <cstddef>

#include "base/checked.h"
#include "unpack/fields.h"
#include "unpack/marlin.h"
#include "unpack/marlin_tile.h"
#include "unpack/row_memory.h"
#include "unpack/scale_memory.h"

namespace mmoe {

namespace {

// Output rows of one strip in memory, and where they stand in the matrix.
struct StripRows {
    int64_t first_output = 0;
    int64_t rows = 0;
    int64_t columns = 0;
};

// Copies the rows of one row of tiles that belong to the strip; `line_output` is the matrix's
// output of its first row.
template <class Map>
void store_line(const MarlinLine<Map>& line, int64_t line_output, const StripRows& strip,
                int64_t first_word, int64_t words, uint32_t* codes) {
    PlainLine<Map> plain;
    to_plain<Map>(line, plain);
    const int64_t begin = std::max(strip.first_output, line_output);
    const int64_t end = std::min(strip.first_output + strip.rows, line_output + Map::kOutputs);
    const int64_t count = std::min<int64_t>(words - first_word, kLineWords);
    for (int64_t output = begin; output < end; ++output) {
        copy_line(plain[output - line_output], count,
                  codes + (output - strip.first_output) * words + first_word);
    }
}

// Bits past the last column may come from padding: they are cleared.
void clear_spare_bits(const StripRows& strip, int bits, int64_t words, uint32_t* codes) {
    const int64_t used_bits = strip.columns * bits % 32;
    if (used_bits == 0) return;
    for (int64_t row = 1; row <= strip.rows; ++row) codes[row * words - 1] &= (1u << used_bits) - 1;
}

// codes: [rows, words per row].
template <int bits, layout::MarlinTile tile>
void unpack_weights(const MarlinShape& shape, const StripRows& strip, const uint32_t* weight,
                    uint32_t* codes) {
    using Map = MarlinTileMap<bits, tile>;
    const int64_t words = ceil_div(strip.columns, int64_t{Map::kFields});
    const int64_t end_output = strip.first_output + strip.rows;
    for (int64_t column = strip.first_output / Map::kOutputs; column * Map::kOutputs < end_output;
         ++column) {
        for (int64_t first_word = 0; first_word < words; first_word += kLineWords) {
            MarlinLine<Map> line = {};
            for (int word = 0; word < kLineWords && first_word + word < words;
                 word += Map::kRowWords) {
                const int64_t k_tile = (first_word + word) / Map::kRowWords;
                const int64_t tile_index = k_tile * (shape.outputs / Map::kOutputs) + column;
                unpack_tile<bits, tile>(weight + tile_index * Map::kWords, word, line);
            }
            store_line<Map>(line, column * Map::kOutputs, strip, first_word, words, codes);
        }
    }
    clear_spare_bits(strip, bits, words, codes);
}

class MarlinUnpacker final : public Unpacker {
  public:
    MarlinUnpacker(const MarlinShape& shape, MarlinRows rows, const ConstMarlinTensors& tensors,
                   RowMemory memory)
        : shape_(shape), rows_(std::move(rows)), tensors_(tensors), memory_(std::move(memory)) {}

    Canonical strip(int64_t first_row, int64_t rows) override {
        const StripRows where{rows_.first_output + first_row, rows, rows_.columns};
        if (!tensors_.weight.empty()) {
            with_marlin_tile(shape_.bits, shape_.tile, [&]<int bits, layout::MarlinTile tile>() {
                unpack_weights<bits, tile>(shape_, where, tensors_.weight.data(), memory_.codes(0));
            });
        }
        if (!tensors_.scale.empty()) read_scales(where);
        if (!tensors_.zero_point.empty()) read_zero_points(where);
        Canonical strip = memory_.view(0, rows);
        strip.order = rows_.order;
        return strip;
    }

  private:
    void read_scales(const StripRows& where) {
        const int64_t groups = memory_.shape().groups();
        for (int64_t row = 0; row < where.rows; ++row) {
            const int64_t place =
                layout::marlin_scale_place(where.first_output + row, shape_.scale_order());
            for (int64_t group = 0; group < groups; ++group) {
                memory_.scales(row)[group] = load_scale(shape_.scale_type, tensors_.scale.data(),
                                                        group * shape_.outputs + place);
            }
        }
    }

    void read_zero_points(const StripRows& where) {
        const int64_t groups = memory_.shape().groups();
        const int64_t group_words = shape_.outputs * shape_.bits / 32;
        for (int64_t row = 0; row < where.rows; ++row) {
            const auto place =
                layout::marlin_zero_point_place(where.first_output + row, shape_.bits, shape_.tile);
            for (int64_t group = 0; group < groups; ++group) {
                const uint32_t word =
                    tensors_.zero_point[static_cast<size_t>(group * group_words + place.word)];
                memory_.zero_points(row)[group] =
                    static_cast<uint8_t>(field(word, place.field, shape_.bits));
            }
        }
    }

    MarlinShape shape_;
    MarlinRows rows_;
    ConstMarlinTensors tensors_;
    RowMemory memory_;  // of one strip
};

Status check_size(const char* name, int64_t expected, size_t got) {
    if (static_cast<size_t>(expected) == got || got == 0) return {};
    return Status::error(Code::kShape, "Marlin %s: expected %" PRId64 " elements, got %zu", name,
                         expected, got);
}

Status check_shape(const MarlinShape& shape) {
    const int64_t tile_inputs = layout::marlin_tile_inputs(shape.tile);
    const bool whole = shape.inputs > 0 && shape.inputs % tile_inputs == 0 && shape.outputs > 0 &&
                       shape.outputs % layout::kMarlinBlock == 0;
    const bool grouped = shape.groups > 0 && shape.inputs % shape.groups == 0;
    if (whole && grouped && (shape.bits == 4 || shape.bits == 8)) return {};
    return Status::error(Code::kShape,
                         "Marlin matrix: expected inputs in tiles of %" PRId64
                         ", outputs in blocks of %d and groups that divide the inputs, got %" PRId64
                         " inputs, %" PRId64 " outputs, %" PRId64 " groups, %d bits",
                         tile_inputs, layout::kMarlinBlock, shape.inputs, shape.outputs,
                         shape.groups, shape.bits);
}

Status check_rows(const MarlinShape& shape, const MarlinRows& rows) {
    const bool whole_groups =
        shape.groups == 1 || rows.columns % (shape.inputs / shape.groups) == 0;
    const bool inside = rows.first_output >= 0 && rows.rows > 0 && rows.columns > 0 &&
                        rows.first_output <= shape.outputs - rows.rows &&
                        rows.columns <= shape.inputs;
    if (whole_groups && inside) return {};
    return Status::error(Code::kShape,
                         "Marlin projection: expected whole groups inside %" PRId64
                         " outputs by %" PRId64 " inputs, got outputs %" PRId64 " to %" PRId64
                         " by %" PRId64 " inputs",
                         shape.outputs, shape.inputs, rows.first_output,
                         rows.first_output + rows.rows - 1, rows.columns);
}

}  // namespace

Result<std::unique_ptr<Unpacker>> unpack_marlin(const MarlinShape& shape, MarlinRows rows,
                                                const ConstMarlinTensors& tensors, int64_t max_rows,
                                                std::shared_ptr<const Allocator> allocator) {
    TRY(check_shape(shape));
    TRY(check_rows(shape, rows));
    TRY(check_size("weight", shape.weight_words(), tensors.weight.size()));
    TRY(check_size("scale bytes", shape.scale_bytes(), tensors.scale.size()));
    TRY(check_size("zero point", shape.zero_point_words(), tensors.zero_point.size()));
    Canonical strip;
    strip.columns = rows.columns;
    strip.group_size = shape.groups == 1 ? rows.columns : shape.inputs / shape.groups;
    strip.bits = shape.bits;
    strip.scale_type = shape.scale_type;
    const RowMemory::Pieces pieces{.codes = !tensors.weight.empty(),
                                   .scales = !tensors.scale.empty(),
                                   .zero_points = !tensors.zero_point.empty()};
    TRY(RowMemory memory, RowMemory::create(strip, pieces, max_rows, std::move(allocator)));
    return std::unique_ptr<Unpacker>(
        std::make_unique<MarlinUnpacker>(shape, std::move(rows), tensors, std::move(memory)));
}

}  // namespace mmoe
