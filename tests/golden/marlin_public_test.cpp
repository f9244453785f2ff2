// SPDX-License-Identifier: Apache-2.0
// The golden vectors of marlin_fixture_test.cpp and marlin_hash_test.cpp once more, through the
// public functions, for whole expert batches and both ways: what vLLM 073c510c wrote, and hashes of
// matrices that a rule makes.
#include <fstream>
#include <string>
#include <vector>

#include "support/fixture_file.h"
#include "support/marlin_public.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream stream(path);
    return nlohmann::json::parse(stream);
}

// Packs a file tensor, compares with the golden one, unpacks that and compares with the file.
void check_role(const PublicMarlin& batch, const std::string& what, mmoe_role role,
                const TensorView& file, const TensorView& golden,
                const TensorView& group_index = {}) {
    const mmoe_tensor order = group_index.absent() ? mmoe_tensor{} : public_tensor(group_index);
    OwnedTensor packed = batch.marlin(role, static_cast<mmoe_dtype>(golden.dtype), 0xEE);
    batch.pack(role, public_tensor(file), &packed, order);
    assert_same_bytes(what, packed.bytes, golden.data);
    OwnedTensor again = batch.file(role, static_cast<mmoe_dtype>(file.dtype), 0xEE);
    batch.unpack(role, public_tensor(golden), &again, order);
    assert_same_bytes(what + ", back", again.bytes, file.data);
}

// ---- marlin/: one matrix in several packings ----------------------------------------------------

struct Matrix {
    const FixtureFile& file;
    mmoe_quant_fields fields;
    mmoe_marlin_matrix shape;
};

Matrix matrix_of(const FixtureFile& file, const nlohmann::json& entry) {
    mmoe_quant_fields fields = {};
    fields.bits = entry.at("bits").get<int>();
    fields.group_size = entry.at("group_size").get<int>();
    fields.symmetry = MMOE_ASYMMETRIC;
    mmoe_marlin_matrix shape = {};
    shape.expert_count = entry.at("experts").get<uint32_t>();
    shape.inputs = entry.at("K").get<int64_t>();
    shape.outputs = entry.at("N").get<int64_t>();
    return {file, fields, shape};
}

void check_compressed_tensors(Matrix m, bool a8) {
    const std::string suffix = a8 ? "_a8" : "";
    m.shape.activation = a8 ? MMOE_MARLIN_8_BIT : MMOE_MARLIN_16_BIT;
    const PublicMarlin batch(m.fields, m.shape);
    check_role(batch, "weight" + suffix, MMOE_ROLE_WEIGHT, m.file.find("ct.weight_packed"),
               m.file.find("marlin.weight" + suffix));
    check_role(batch, "scales" + suffix, MMOE_ROLE_SCALE, m.file.find("ct.weight_scale"),
               m.file.find("marlin.scales" + suffix));
    check_role(batch, "qzeros" + suffix, MMOE_ROLE_ZERO_POINT, m.file.find("ct.weight_zero_point"),
               m.file.find("marlin.qzeros" + suffix));
}

void check_awq(Matrix m) {
    m.fields.format = MMOE_FORMAT_AWQ;
    const PublicMarlin batch(m.fields, m.shape);
    check_role(batch, "AWQ weight", MMOE_ROLE_WEIGHT, m.file.find("awq.qweight"),
               m.file.find("marlin.weight"));
    check_role(batch, "AWQ qzeros", MMOE_ROLE_ZERO_POINT, m.file.find("awq.qzeros"),
               m.file.find("marlin.qzeros"));
}

// GPTQ tensors are the compressed-tensors ones turned over, matrix by matrix.
std::vector<uint32_t> turned(const TensorView& view) {
    const auto* words = static_cast<const uint32_t*>(view.data);
    std::vector<uint32_t> out;
    for (int64_t e = 0; e < view.shape[0]; ++e) {
        for (int64_t column = 0; column < view.shape[2]; ++column) {
            for (int64_t row = 0; row < view.shape[1]; ++row) {
                out.push_back(words[(e * view.shape[1] + row) * view.shape[2] + column]);
            }
        }
    }
    return out;
}

TensorView turned_view(const TensorView& view, const std::vector<uint32_t>& words) {
    return {DType::kI32, 3, {view.shape[0], view.shape[2], view.shape[1]}, words.data()};
}

void check_gptq(Matrix m) {
    m.fields.format = MMOE_FORMAT_GPTQ;
    const PublicMarlin plain(m.fields, m.shape);
    const TensorView weight = m.file.find("ct.weight_packed");
    const TensorView zeros = m.file.find("ct.weight_zero_point");
    const std::vector<uint32_t> words = turned(weight);
    std::vector<uint32_t> zero_words = turned(zeros);
    check_role(plain, "GPTQ weight", MMOE_ROLE_WEIGHT, turned_view(weight, words),
               m.file.find("marlin.weight"));
    check_role(plain, "GPTQ v2 qzeros", MMOE_ROLE_ZERO_POINT, turned_view(zeros, zero_words),
               m.file.find("marlin.qzeros"));
    // Version 1, as GPTQModel writes it.
    for (uint32_t& word : zero_words) word -= m.fields.bits == 4 ? 0x11111111u : 0x01010101u;
    m.fields.zero_point_form = MMOE_ZERO_POINT_MINUS_ONE_WORD;
    const PublicMarlin version_1(m.fields, m.shape);
    check_role(version_1, "GPTQ v1 qzeros", MMOE_ROLE_ZERO_POINT, turned_view(zeros, zero_words),
               m.file.find("marlin.qzeros"));
}

void check_activation_order(Matrix m) {
    m.fields.order = MMOE_ORDER_GROUP;
    const PublicMarlin batch(m.fields, m.shape);
    check_role(batch, "ordered weight", MMOE_ROLE_WEIGHT, m.file.find("ct.weight_packed"),
               m.file.find("marlin.weight_actorder"), m.file.find("g_idx"));
    check_role(batch, "order", MMOE_ROLE_GROUP_INDEX, m.file.find("g_idx"),
               m.file.find("g_idx_sort_indices"));
}

void single_matrices_match(void**) {
    const auto folder = fixture_path("marlin");
    if (!folder) skip_without_fixture("marlin");
    for (const auto& entry : read_json(*folder / "index.json")) {
        const auto name = entry.at("file").get<std::string>();
        print_message("%s\n", name.c_str());
        const FixtureFile file(*folder / name);
        const Matrix m = matrix_of(file, entry);
        check_compressed_tensors(m, false);
        if (entry.at("has_a8").get<bool>()) check_compressed_tensors(m, true);
        check_awq(m);
        check_gptq(m);
        if (entry.at("has_actorder").get<bool>()) check_activation_order(m);
    }
}

// ---- marlin_moe/: whole layers ------------------------------------------------------------------

struct Names {
    const char* weight;
    const char* scale;
    const char* zero_point;
    const char* group_index;
};
constexpr Names kCompressedNames = {".weight_packed", ".weight_scale", ".weight_zero_point",
                                    ".weight_g_idx"};
constexpr Names kGptqNames = {".qweight", ".scales", ".qzeros", ".g_idx"};

// One projection's tensors of all experts, stacked.
OwnedTensor stacked(const FixtureFile& file, int64_t experts, const std::string& projection,
                    const char* suffix) {
    OwnedTensor stack;
    for (int64_t e = 0; e < experts; ++e) {
        const TensorView one = file.find("model.layers.0.mlp.experts." + std::to_string(e) + "." +
                                         projection + suffix);
        if (one.absent()) return {};
        stack.view = public_tensor(one);
        size_t byte_count = dtype_bytes(one.dtype);
        for (int axis = 0; axis < one.rank; ++axis) {
            byte_count *= static_cast<size_t>(one.shape[axis]);
            stack.view.shape[axis + 1] = one.shape[axis];
        }
        const auto* data = static_cast<const uint8_t*>(one.data);
        stack.bytes.insert(stack.bytes.end(), data, data + byte_count);
    }
    stack.view.shape[0] = experts;
    ++stack.view.rank;
    stack.view.data = stack.bytes.data();
    return stack;
}

struct LayerCase {
    mmoe_quant_fields fields;
    int64_t experts, hidden, intermediate, padded;
    const FixtureFile& checkpoint;
    const FixtureFile& golden;
};

// A role of a projection into its part of `matrix`, and back out of the golden matrix.
void pack_role(const LayerCase& c, const mmoe_marlin_matrix& shape, const char* projection,
               const std::string& golden, mmoe_role role, const char* suffix, OwnedTensor* matrix) {
    const Names& names = c.fields.format == MMOE_FORMAT_AWQ ? kGptqNames : kCompressedNames;
    const PublicMarlin batch(c.fields, shape);
    OwnedTensor file = stacked(c.checkpoint, c.experts, projection, suffix);
    OwnedTensor order = stacked(c.checkpoint, c.experts, projection, names.group_index);
    const mmoe_tensor group_index = role == MMOE_ROLE_WEIGHT ? order.view : mmoe_tensor{};
    if (matrix->bytes.empty()) *matrix = batch.marlin(role, file.view.dtype, 0xEE);
    batch.pack(role, file.view, matrix, group_index);
    OwnedTensor again = batch.file(role, file.view.dtype, 0xEE);
    batch.unpack(role, public_tensor(c.golden.find(golden)), &again, group_index);
    assert_same_bytes(golden + " back to " + projection, again.bytes, file.bytes.data());
}

void check_matrix(const LayerCase& c, const std::string& name,
                  const std::vector<std::pair<const char*, mmoe_marlin_matrix>>& parts) {
    const Names& names = c.fields.format == MMOE_FORMAT_AWQ ? kGptqNames : kCompressedNames;
    struct Row {
        mmoe_role role;
        const char* suffix;
        const char* golden;
    };
    const Row rows[] = {{MMOE_ROLE_WEIGHT, names.weight, "_qweight"},
                        {MMOE_ROLE_SCALE, names.scale, "_scales"},
                        {MMOE_ROLE_ZERO_POINT, names.zero_point, "_qzeros"},
                        {MMOE_ROLE_GROUP_INDEX, names.group_index, "_g_idx_sort_indices"}};
    for (const Row& row : rows) {
        const std::string golden = name + row.golden;
        const bool has_role = row.role == MMOE_ROLE_ZERO_POINT
                                  ? c.fields.symmetry == MMOE_ASYMMETRIC
                                  : row.role != MMOE_ROLE_GROUP_INDEX || c.golden.has(golden);
        if (!has_role) continue;
        OwnedTensor matrix;
        for (const auto& [projection, shape] : parts) {
            pack_role(c, shape, projection, golden, row.role, row.suffix, &matrix);
        }
        assert_same_bytes(golden, matrix.bytes, c.golden.find(golden).data);
    }
}

void check_layer(const LayerCase& c) {
    mmoe_marlin_matrix gate = {};
    gate.expert_count = static_cast<uint32_t>(c.experts);
    gate.inputs = c.hidden;
    gate.outputs = c.intermediate;
    gate.padded_outputs = 2 * c.padded;
    mmoe_marlin_matrix up = gate;
    up.first_output = c.padded;
    mmoe_marlin_matrix down = {};
    down.expert_count = gate.expert_count;
    down.inputs = c.intermediate;
    down.padded_inputs = c.padded;
    down.outputs = c.hidden;
    check_matrix(c, "w13", {{"gate_proj", gate}, {"up_proj", up}});
    check_matrix(c, "w2", {{"down_proj", down}});
}

void whole_layers_match(void**) {
    const auto folder = fixture_path("marlin_moe");
    if (!folder) skip_without_fixture("marlin_moe");
    for (const auto& entry : read_json(*folder / "index.json")) {
        const auto name = entry.at("file").get<std::string>();
        print_message("%s\n", name.c_str());
        const auto checkpoint_name = entry.at("checkpoint").get<std::string>();
        const FixtureFile golden(*folder / name);
        const FixtureFile checkpoint(*fixture_path(checkpoint_name));
        mmoe_quant_fields fields = {};
        if (checkpoint_name.rfind("awq_gptq", 0) == 0) fields.format = MMOE_FORMAT_AWQ;
        fields.bits = entry.at("bits").get<int>();
        fields.group_size = entry.at("group_size").get<int>();
        if (!entry.at("symmetric").get<bool>()) fields.symmetry = MMOE_ASYMMETRIC;
        if (!entry.at("actorder").is_null()) fields.order = MMOE_ORDER_GROUP;
        check_layer({fields, entry.at("experts").get<int64_t>(), entry.at("hidden").get<int64_t>(),
                     entry.at("intermediate").get<int64_t>(),
                     entry.at("padded_intermediate").get<int64_t>(), checkpoint, golden});
    }
}

// ---- Hashes: the rule and the values of marlin_hash_test.cpp ------------------------------------

constexpr int64_t kSize = 128;  // K and N
constexpr int64_t kGroups = 2;

uint64_t fnv(const std::vector<uint8_t>& bytes) {
    uint64_t hash = 0xCBF29CE484222325;
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
    return hash;
}

// compressed-tensors: codes along k, zero points along n, both as dense bit strings.
struct RuleTensors {
    OwnedTensor weight, zero_point;
};
RuleTensors rule_tensors(const PublicMarlin& batch, int bits) {
    RuleTensors t{batch.file(MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, 0),
                  batch.file(MMOE_ROLE_ZERO_POINT, MMOE_DTYPE_I32, 0)};
    const int64_t fields = 32 / bits;
    const auto mask = static_cast<uint32_t>((1 << bits) - 1);
    for (int64_t n = 0; n < kSize; ++n) {
        for (int64_t k = 0; k < kSize; ++k) {
            const auto code = static_cast<uint32_t>(131 * k + 71 * n + k * n % 13) & mask;
            t.weight.data<uint32_t>()[(n * kSize + k) / fields] |= code << (k % fields * bits);
        }
        for (int64_t g = 0; g < kGroups; ++g) {
            const auto zero = static_cast<uint32_t>(29 * g + 11 * n + n * n % 7) & mask;
            t.zero_point.data<uint32_t>()[n / fields * kGroups + g] |= zero << (n % fields * bits);
        }
    }
    return t;
}

struct HashCase {
    const char* name;
    int bits;
    mmoe_marlin_activation activation;
    uint64_t weight, zero_point;
};
constexpr HashCase kHashes[] = {
    {"4 bits", 4, MMOE_MARLIN_16_BIT, 0xb2bd4ba41ed2cd5e, 0xe499a9296c389bd3},
    {"4 bits, 8-bit activations", 4, MMOE_MARLIN_8_BIT, 0x232027960047b262, 0x67a99d37ce03a4dd},
    {"8 bits", 8, MMOE_MARLIN_16_BIT, 0x9784aea11fa48cdc, 0x4736cb61eb3e7fd3},
    {"8 bits, 8-bit activations", 8, MMOE_MARLIN_8_BIT, 0xb59f3914d9395e3e, 0x439b7d7c81275e87},
};

PublicMarlin rule_matrix(int bits, int32_t group_size, mmoe_marlin_activation activation) {
    mmoe_quant_fields fields = {};
    fields.bits = bits;
    fields.group_size = group_size;
    fields.symmetry = MMOE_ASYMMETRIC;
    mmoe_marlin_matrix shape = {};
    shape.expert_count = 1;
    shape.inputs = kSize;
    shape.outputs = kSize;
    shape.activation = activation;
    return {fields, shape};
}

void matrices_have_their_hash(void**) {
    for (const HashCase& c : kHashes) {
        print_message("%s\n", c.name);
        const PublicMarlin batch = rule_matrix(c.bits, kSize / kGroups, c.activation);
        const RuleTensors t = rule_tensors(batch, c.bits);
        OwnedTensor weight = batch.marlin(MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, 0);
        OwnedTensor zero_point = batch.marlin(MMOE_ROLE_ZERO_POINT, MMOE_DTYPE_I32, 0);
        batch.pack(MMOE_ROLE_WEIGHT, t.weight.view, &weight);
        batch.pack(MMOE_ROLE_ZERO_POINT, t.zero_point.view, &zero_point);
        assert_true(fnv(weight.bytes) == c.weight);
        assert_true(fnv(zero_point.bytes) == c.zero_point);
    }
}

// Scales that are the numbers of their outputs show where each comes from.
std::vector<uint8_t> scale_sources(const PublicMarlin& batch, mmoe_role role, int64_t groups) {
    OwnedTensor file = batch.file(role, MMOE_DTYPE_F32, 0);
    for (int64_t i = 0; i < kSize * groups; ++i) {
        file.data<float>()[i] = static_cast<float>(i / groups);
    }
    OwnedTensor packed = batch.marlin(role, MMOE_DTYPE_F32, 0);
    batch.pack(role, file.view, &packed);
    std::vector<uint8_t> words;
    for (int64_t n = 0; n < kSize; ++n) {
        words.push_back(static_cast<uint8_t>(packed.data<float>()[n]));
        words.insert(words.end(), 3, 0);  // little end first
    }
    return words;
}

void scale_orders_have_their_hash(void**) {
    constexpr uint64_t kGrouped = 0x878d57dfb692f725;
    constexpr uint64_t kSingle = 0xf2ddb3ea2a45d925;
    const PublicMarlin grouped = rule_matrix(4, kSize / kGroups, MMOE_MARLIN_16_BIT);
    const PublicMarlin channel = rule_matrix(4, MMOE_GROUP_SIZE_CHANNEL, MMOE_MARLIN_16_BIT);
    const PublicMarlin one_group = rule_matrix(4, kSize, MMOE_MARLIN_16_BIT);
    const PublicMarlin a8 = rule_matrix(4, kSize / kGroups, MMOE_MARLIN_8_BIT);
    assert_true(fnv(scale_sources(grouped, MMOE_ROLE_SCALE, kGroups)) == kGrouped);
    assert_true(fnv(scale_sources(channel, MMOE_ROLE_SCALE, 1)) == kSingle);
    assert_true(fnv(scale_sources(one_group, MMOE_ROLE_SCALE, 1)) == kSingle);
    assert_true(fnv(scale_sources(a8, MMOE_ROLE_SCALE, kGroups)) == kSingle);
    assert_true(fnv(scale_sources(grouped, MMOE_ROLE_BIAS, 1)) == kSingle);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(single_matrices_match),
        cmocka_unit_test(whole_layers_match),
        cmocka_unit_test(matrices_have_their_hash),
        cmocka_unit_test(scale_orders_have_their_hash),
    };
    return cmocka_run_group_tests_name("golden_marlin_public", tests, nullptr, nullptr);
}
