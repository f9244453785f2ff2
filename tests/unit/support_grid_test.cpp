// SPDX-License-Identifier: Apache-2.0
// The support query on every cell of the grid of real models by tensor ranks: how the channels of
// a layer are divided, and how a rank's are padded.
#include <string>

#include "bundle/support.h"
#include "device/cuda_memory.h"
#include "support/support_questions.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

// How the channels of a layer are divided over ranks.
enum class Verdict {
    kWhole,    // equal ranks of whole groups
    kParts,    // equal ranks, groups cut into equal parts
    kUneven,   // whole groups, ranks differ by one
    kRefused,  // a rank would be empty
    kGroup,    // the group size does not divide the layer
};

struct Cell {
    Verdict verdict;
    int64_t number;  // kParts: channels of a part; kRefused: ranks that work; else I of rank 0
};
constexpr Cell whole(int64_t size) {
    return {Verdict::kWhole, size};
}
constexpr Cell parts(int64_t size) {
    return {Verdict::kParts, size};
}
constexpr Cell uneven(int64_t size) {
    return {Verdict::kUneven, size};
}
constexpr Cell refused(int64_t ranks) {
    return {Verdict::kRefused, ranks};
}
constexpr Cell kNoGroups = {Verdict::kGroup, 64};  // the group size that would do

constexpr int64_t kRanks128[] = {1, 2, 4, 8, 16};
constexpr int64_t kRanks32[] = {4, 8, 16};

struct Shape {
    int64_t experts, hidden, intermediate;
};
struct Model {
    const char* name;
    Shape shape;
    Cell g128[std::size(kRanks128)];
    Cell g32[std::size(kRanks32)];
};
// Models of one shape share a row.
const Model kModels[] = {
    {"Qwen3-30B-A3B",
     {128, 2048, 768},
     {whole(768), whole(384), parts(64), parts(32), refused(12)},
     {whole(192), whole(96), uneven(32)}},
    {"Qwen3-235B, GLM-4.5, MiniMax-M2",
     {128, 4096, 1536},
     {whole(1536), whole(768), whole(384), parts(64), parts(32)},
     {whole(384), whole(192), whole(96)}},
    {"Qwen3.5-35B, Qwen3-Next",
     {256, 2048, 512},
     {whole(512), whole(256), whole(128), parts(64), parts(32)},
     {whole(128), whole(64), whole(32)}},
    {"Qwen3.5-122B",
     {256, 3072, 1024},
     {whole(1024), whole(512), whole(256), whole(128), parts(64)},
     {whole(256), whole(128), whole(64)}},
    {"DeepSeek-V3, Kimi-K2",
     {384, 7168, 2048},
     {whole(2048), whole(1024), whole(512), whole(256), whole(128)},
     {whole(512), whole(256), whole(128)}},
    {"Kimi-K3",
     {896, 3584, 3072},
     {whole(3072), whole(1536), whole(768), whole(384), parts(64)},
     {whole(768), whole(384), whole(192)}},
    {"GLM-4.5-Air, Qwen1.5-MoE",
     {128, 4096, 1408},
     {whole(1408), parts(64), parts(32), uneven(128), refused(11)},
     {whole(352), uneven(160), uneven(64)}},
    {"gpt-oss",
     {128, 2880, 2880},
     {kNoGroups, kNoGroups, kNoGroups, kNoGroups, kNoGroups},
     {uneven(704), uneven(352), uneven(160)}},
    {"Mixtral",
     {8, 4096, 14336},
     {whole(14336), whole(7168), whole(3584), whole(1792), whole(896)},
     {whole(3584), whole(1792), whole(896)}},
    {"Llama-4",
     {128, 5120, 8192},
     {whole(8192), whole(4096), whole(2048), whole(1024), whole(512)},
     {whole(2048), whole(1024), whole(512)}},
};

// What the query says of every rank must be one verdict.
void check_cell(const Model& model, int group, int64_t ranks, const Cell& cell) {
    const std::string where =
        std::string(model.name) + ", g" + std::to_string(group) + ", " + std::to_string(ranks);
    const auto [experts, hidden, intermediate] = model.shape;
    int64_t channels = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
        const Support answer = query_support(
            kCpu,
            {scheme(4, group, true), shape(experts, hidden, intermediate), {ranks, rank, 1, 0}, 0});
        channels += answer.local_intermediate;
        const int64_t local = answer.local_intermediate, part = answer.down_group_size;
        const int64_t units = intermediate / group;
        bool ok = false;
        switch (cell.verdict) {
            case Verdict::kWhole:
                ok = answer.reasons == 0 && local == cell.number && part == group &&
                     local * ranks == intermediate;
                break;
            case Verdict::kParts:
                ok = answer.reasons == 0 && part == cell.number && group % part == 0 &&
                     part < group && local * ranks == intermediate;
                break;
            case Verdict::kUneven:
                ok = answer.reasons == 0 && part == group && (rank > 0 || local == cell.number) &&
                     (local == units / ranks * group || local == (units / ranks + 1) * group);
                break;
            case Verdict::kRefused:
                ok = answer.reasons == kReasonSplit && answer.most_tensor_ranks == cell.number &&
                     answer.remedy.starts_with("use " + std::to_string(cell.number) +
                                               " tensor ranks");
                break;
            case Verdict::kGroup:
                ok = answer.reasons == kReasonGroupSize && answer.most_tensor_ranks == 0 &&
                     answer.remedy == "quantise with group size " + std::to_string(cell.number);
                break;
        }
        if (!ok) {
            fail_msg("%s, rank %d: got %d channels in groups of %d, \"%s\", \"%s\"", where.c_str(),
                     static_cast<int>(rank), static_cast<int>(local), static_cast<int>(part),
                     answer.sentence.c_str(), answer.remedy.c_str());
        }
    }
    const bool runs = cell.verdict != Verdict::kRefused && cell.verdict != Verdict::kGroup;
    if (channels != (runs ? intermediate : 0)) fail_msg("%s: channels are lost", where.c_str());
}

// "At most n ranks" means that n work, and no number between.
void check_refusal(const Model& model, int64_t ranks, const Cell& cell) {
    if (cell.verdict != Verdict::kRefused) return;
    const auto [experts, hidden, intermediate] = model.shape;
    for (int64_t fewer = cell.number; fewer <= ranks; ++fewer) {
        const Support answer = query_support(
            kCpu,
            {scheme(4, 128, true), shape(experts, hidden, intermediate), {fewer, 0, 1, 0}, 0});
        assert_int_equal(answer.reasons == 0, fewer == cell.number);
    }
}

void real_models_are_split_as_the_grid_says(void**) {
    for (const Model& model : kModels) {
        for (size_t i = 0; i < std::size(kRanks128); ++i) {
            check_cell(model, 128, kRanks128[i], model.g128[i]);
            check_refusal(model, kRanks128[i], model.g128[i]);
        }
        for (size_t i = 0; i < std::size(kRanks32); ++i) {
            check_cell(model, 32, kRanks32[i], model.g32[i]);
        }
    }
}

// ---- Padding ----

struct PaddingCase {
    const char* name;
    DeviceKind device;
    int group;
    int64_t intermediate, ranks;
    bool gated;
    int64_t local, padded;  // of rank 0
};
constexpr PaddingCase kPaddingCases[] = {
    {"a rank of the CPU fills its blocks", kCpu, 128, 768, 8, true, 96, 96},
    {"blocks of gate and up", kCpu, 0, 200, 1, true, 200, 224},
    {"blocks of up alone", kCpu, 0, 200, 1, false, 200, 256},
    {"CUDA tiles", kCuda, 32, 768, 8, true, 96, 128},
    {"CUDA tiles and groups", kCuda, 96, 288, 1, true, 288, 384},
    {"CUDA, gpt-oss", kCuda, 32, 2880, 2, true, 1440, 1472},
};

void ranks_are_padded(void**) {
    for (const PaddingCase& c : kPaddingCases) {
        if (c.device == kCuda && !cuda_is_built()) continue;
        Layer layer = shape(8, 5760, c.intermediate);
        if (!c.gated) layer.gate_form = GateForm::kNone;
        const Support answer =
            query_support(c.device, {scheme(4, c.group), layer, {c.ranks, 0, 1, 0}, 0});
        if (answer.reasons != 0 || answer.local_intermediate != c.local ||
            answer.padded_intermediate != c.padded) {
            fail_msg("%s: got %d, padded %d, \"%s\"", c.name,
                     static_cast<int>(answer.local_intermediate),
                     static_cast<int>(answer.padded_intermediate), answer.sentence.c_str());
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(real_models_are_split_as_the_grid_says),
        cmocka_unit_test(ranks_are_padded),
    };
    return cmocka_run_group_tests_name("unit_support_grid", tests, nullptr, nullptr);
}
