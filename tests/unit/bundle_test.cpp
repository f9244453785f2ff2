// SPDX-License-Identifier: Apache-2.0
// Room bundle: filling tensor by tensor, sealing, saving, opening, and files that lie.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "bundle/saved_header.h"

#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

constexpr int64_t kHidden = 96;
constexpr int64_t kIntermediate = 64;
constexpr int64_t kGroup = 32;
constexpr int64_t kExperts = 3;

std::shared_ptr<const Context> make_context(uint64_t budget_bytes = 0) {
    auto context = std::make_shared<Context>();
    context->allocator = std::make_shared<const Allocator>();
    context->parallel = Parallel::create(2, nullptr, nullptr).value();
    context->budget = std::make_shared<Budget>(budget_bytes);
    return context;
}

QuantConfig asymmetric_config() {
    QuantConfig config;
    config.group_size = kGroup;
    config.symmetry = Symmetry::kAsymmetric;
    return config;
}

Layer small_layer() {
    Layer layer;
    layer.expert_count = kExperts;
    layer.hidden_size = kHidden;
    layer.intermediate_size = kIntermediate;
    return layer;
}

BundleSpec small_spec(const Split& split = {}, int64_t slot_count = 0) {
    return {asymmetric_config(), small_layer(), split, slot_count};
}

std::string scratch(const char* name) {
    return std::string(MMOE_TEST_SCRATCH) + "/" + name;
}

// Tensors of one projection in compressed-tensors packing.
struct Tensors {
    std::vector<uint32_t> weight;
    std::vector<uint16_t> scale;
    std::vector<uint32_t> zero_point;
    int64_t outputs, inputs;

    Tensors(int64_t n, int64_t k, std::mt19937& random) : outputs(n), inputs(k) {
        weight.resize(static_cast<size_t>(n * k / 8));
        scale.resize(static_cast<size_t>(n * k / kGroup));
        zero_point.resize(static_cast<size_t>(n / 8 * (k / kGroup)));
        for (uint32_t& word : weight) word = static_cast<uint32_t>(random());
        for (uint32_t& word : zero_point) word = static_cast<uint32_t>(random());
        for (uint16_t& bits : scale) bits = static_cast<uint16_t>(0x3C00 + random() % 256);
    }
    [[nodiscard]] TensorView view(Role role) const {
        switch (role) {
            case Role::kWeight:
                return {DType::kI32, 2, {outputs, inputs / 8}, weight.data()};
            case Role::kScale:
                return {DType::kBf16, 2, {outputs, inputs / kGroup}, scale.data()};
            default:
                return {DType::kI32, 2, {outputs / 8, inputs / kGroup}, zero_point.data()};
        }
    }
};

constexpr Projection kProjections[] = {Projection::kGate, Projection::kUp, Projection::kDown};
constexpr Role kRoles[] = {Role::kWeight, Role::kScale, Role::kZeroPoint};

Tensors tensors_of(const Layer& layer, int64_t expert, Projection projection) {
    std::mt19937 random(static_cast<uint32_t>(expert * 3) + static_cast<uint32_t>(projection));
    return {layer.outputs(projection), layer.inputs(projection), random};
}

std::shared_ptr<Bundle> empty_bundle() {
    return Bundle::create(make_context(), small_spec()).value();
}

std::shared_ptr<Bundle> full_bundle() {
    std::shared_ptr<Bundle> bundle = empty_bundle();
    for (int64_t expert = 0; expert < kExperts; ++expert) {
        for (const Projection projection : kProjections) {
            const Tensors tensors = tensors_of(bundle->layer(), expert, projection);
            for (const Role role : kRoles) {
                assert_true(bundle->set(expert, projection, role, tensors.view(role)).ok());
            }
        }
    }
    assert_true(bundle->seal().ok());
    return bundle;
}

void expect(const Status& status, Code code, const char* words) {
    if (status.code() != code || std::strstr(status.message(), words) == nullptr) {
        fail_msg("expected %d \"%s\", got %d \"%s\"", static_cast<int>(code), words,
                 static_cast<int>(status.code()), status.ok() ? "" : status.message());
    }
}

void the_order_of_tensors_does_not_matter(void**) {
    const std::shared_ptr<Bundle> forward = full_bundle();
    const std::shared_ptr<Bundle> backward = empty_bundle();
    for (int64_t expert = kExperts; expert-- > 0;) {
        for (const Projection projection :
             {Projection::kDown, Projection::kUp, Projection::kGate}) {
            const Tensors tensors = tensors_of(backward->layer(), expert, projection);
            for (const Role role : {Role::kZeroPoint, Role::kScale, Role::kWeight}) {
                assert_true(backward->set(expert, projection, role, tensors.view(role)).ok());
            }
        }
    }
    for (int64_t slot = 0; slot < kExperts; ++slot) {
        const auto a = forward->cpu()->slot_bytes(slot);
        const auto b = backward->cpu()->slot_bytes(slot);
        assert_int_equal(a.size(), b.size());
        assert_memory_equal(a.data(), b.data(), a.size());
    }
}

void what_does_not_belong_is_refused(void**) {
    const std::shared_ptr<Bundle> bundle = empty_bundle();
    const Tensors gate = tensors_of(bundle->layer(), 0, Projection::kGate);
    const TensorView weight = gate.view(Role::kWeight);
    TensorView wrong_shape = weight;
    wrong_shape.shape[1] += 1;
    TensorView wrong_type = weight;
    wrong_type.dtype = DType::kI64;
    const struct {
        const char* name;
        int64_t expert;
        Projection projection;
        Role role;
        TensorView tensor;
        Code code;
        const char* words;
    } rows[] = {
        {"expert", kExperts, Projection::kGate, Role::kWeight, weight, Code::kInvalidArgument,
         "expert 3: expected an expert from 0 to 2"},
        {"shape", 0, Projection::kGate, Role::kWeight, wrong_shape, Code::kShape,
         "expert 0: gate_proj: weight: expected [64, 12], got [64, 13]"},
        {"type", 0, Projection::kGate, Role::kWeight, wrong_type, Code::kDtype,
         "weight: expected I32, got I64"},
        {"bias", 0, Projection::kGate, Role::kBias, weight, Code::kInvalidArgument,
         "have no such tensor"},
    };
    for (const auto& row : rows) {
        expect(bundle->set(row.expert, row.projection, row.role, row.tensor), row.code, row.words);
    }
    expect(bundle->seal(), Code::kMissingTensor, "expert 0 gate_proj: weight was never set");
    assert_true(bundle->set(0, Projection::kGate, Role::kWeight, weight).ok());
    expect(bundle->seal(), Code::kMissingTensor, "expert 0 gate_proj: scale was never set");
}

// Sets every tensor of expert 0 but the scale of `last`.
void set_all_but_scale(Bundle& bundle, Projection last) {
    for (const Projection projection : kProjections) {
        const Tensors tensors = tensors_of(bundle.layer(), 0, projection);
        for (const Role role : kRoles) {
            if (projection == last && role == Role::kScale) continue;
            assert_true(bundle.set(0, projection, role, tensors.view(role)).ok());
        }
    }
}

void a_bad_value_changes_nothing(void**) {
    const std::shared_ptr<Bundle> bundle = empty_bundle();
    set_all_but_scale(*bundle, Projection::kUp);
    Tensors up = tensors_of(bundle->layer(), 0, Projection::kUp);
    const uint16_t good = up.scale[5];
    up.scale[5] = 0x7F80;  // infinity
    expect(bundle->set(0, Projection::kUp, Role::kScale, up.view(Role::kScale)), Code::kBadData,
           "up_proj: scale of output 1, group 2: expected a finite number");
    up.scale[5] = good;
    assert_true(bundle->set(0, Projection::kUp, Role::kScale, up.view(Role::kScale)).ok());
    expect(bundle->set(0, Projection::kUp, Role::kScale, up.view(Role::kScale)), Code::kState,
           "already complete");
}

// Tensors of one expert for put(), with the memory that they point into.
struct WholeExpert {
    std::vector<Tensors> memory;
    ExpertTensors views;

    explicit WholeExpert(int64_t seed) {
        for (const Projection projection : kProjections) {
            memory.push_back(tensors_of(small_layer(), seed, projection));
            for (const Role role : kRoles) views.at(projection, role) = memory.back().view(role);
        }
    }
};

bool same_bytes(const Bundle& a, int64_t expert_a, const Bundle& b, int64_t expert_b) {
    const auto bytes = [](const Bundle& bundle, int64_t expert) {
        return bundle.cpu()->slot_bytes(bundle.slots()[static_cast<size_t>(expert)]);
    };
    return std::ranges::equal(bytes(a, expert_a), bytes(b, expert_b));
}

void an_expert_is_replaced_in_place(void**) {
    const std::shared_ptr<Bundle> bundle = full_bundle();
    const std::shared_ptr<Bundle> before = full_bundle();
    const uint8_t* address = bundle->cpu()->expert(1).gate_up;
    assert_true(bundle->put(1, WholeExpert(2).views).ok());
    assert_ptr_equal(bundle->cpu()->expert(1).gate_up, address);
    assert_true(same_bytes(*bundle, 1, *before, 2));
    assert_true(same_bytes(*bundle, 0, *before, 0));

    WholeExpert bad(0);
    bad.memory[2].scale[0] = 0x7FC0;  // NaN
    expect(bundle->put(1, bad.views), Code::kBadData, "expert 1: down_proj: scale");
    assert_true(same_bytes(*bundle, 1, *before, 2));  // as before
    bad.views.at(Projection::kUp, Role::kWeight) = {};
    expect(bundle->put(1, bad.views), Code::kMissingTensor, "expert 1: up_proj: weight is missing");
    expect(bundle->put(kExperts, bad.views), Code::kInvalidArgument, "expert 3");

    const ReadersOrWriter::Reading run(bundle->users());
    expect(bundle->put(1, WholeExpert(1).views), Code::kBusy, "in use");
    expect(bundle->evict(1), Code::kBusy, "in use");
}

void experts_come_and_go(void**) {
    const std::shared_ptr<Bundle> all = full_bundle();
    const auto bundle = Bundle::create(make_context(), small_spec({}, 2)).value();
    assert_true(bundle->seal().ok());
    assert_int_equal(bundle->resident_count(), 0);
    assert_true(bundle->put(2, WholeExpert(2).views).ok());
    assert_true(bundle->put(0, WholeExpert(0).views).ok());
    expect(bundle->put(1, WholeExpert(1).views), Code::kState, "all 2 slots are taken");
    assert_true(bundle->evict(2).ok());
    assert_true(bundle->evict(2).ok());  // not there: no error
    assert_true(bundle->put(1, WholeExpert(1).views).ok());
    assert_int_equal(bundle->resident_count(), 2);
    assert_int_equal(bundle->slots()[2], -1);
    assert_true(same_bytes(*bundle, 0, *all, 0));
    assert_true(same_bytes(*bundle, 1, *all, 1));
    expect(bundle->save(scratch("few-slots")), Code::kUnsupported, "fewer slots");
}

void a_sealed_bundle_does_not_change(void**) {
    const std::shared_ptr<Bundle> bundle = full_bundle();
    const Tensors gate = tensors_of(bundle->layer(), 0, Projection::kGate);
    expect(bundle->set(0, Projection::kGate, Role::kScale, gate.view(Role::kScale)), Code::kState,
           "sealed");
    expect(bundle->seal(), Code::kState, "sealed already");
}

void a_rank_ignores_experts_of_others(void**) {
    Split split;
    split.expert_ranks = 2;
    split.expert_rank = 1;
    const auto bundle = Bundle::create(make_context(), small_spec(split)).value();
    assert_int_equal(bundle->shard().first_expert, 1);
    assert_int_equal(bundle->shard().expert_count, 2);
    const Tensors gate = tensors_of(bundle->layer(), 0, Projection::kGate);
    assert_true(bundle->set(0, Projection::kGate, Role::kWeight, gate.view(Role::kWeight)).ok());
    expect(bundle->seal(), Code::kMissingTensor, "expert 1 gate_proj");
}

void the_budget_holds(void**) {
    const auto need = Bundle::plan(*make_context(), small_spec()).value();
    const auto context = make_context(2 * need.resident_bytes - 1);
    const auto first = Bundle::create(context, small_spec());
    auto second = Bundle::create(context, small_spec());
    expect(second.status(), Code::kMemoryBudget, "expert weights");
}

std::vector<char> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const std::vector<char>& bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

void a_saved_bundle_opens_as_it_was(void**) {
    const std::string path = scratch("saved.mmoe");
    const std::shared_ptr<Bundle> bundle = full_bundle();
    assert_true(bundle->save(path).ok());
    assert_true(bundle->save(path).ok());  // replaces the first
    for (const bool verify : {true, false}) {
        const auto opened = Bundle::open(make_context(), path, verify, {}).value();
        assert_true(opened->sealed());
        assert_true(opened->spec().config == bundle->spec().config);
        assert_true(opened->layer() == bundle->layer());
        for (int64_t slot = 0; slot < kExperts; ++slot) {
            const auto a = bundle->cpu()->slot_bytes(slot);
            const auto b = opened->cpu()->slot_bytes(slot);
            assert_memory_equal(a.data(), b.data(), a.size());
        }
    }
    expect(empty_bundle()->save(path), Code::kState, "not sealed");
    auto cancelled =
        Bundle::open(make_context(), path, true, [](uint64_t, uint64_t) { return false; });
    expect(cancelled.status(), Code::kCancelled, "cancelled");
}

void a_file_that_lies_is_refused(void**) {
    const std::string path = scratch("lies.mmoe");
    assert_true(full_bundle()->save(path).ok());
    const std::vector<char> good = read_file(path);
    const auto patch = [](size_t offset, uint32_t value) {
        return [=](std::vector<char>& bytes) {
            std::memcpy(bytes.data() + offset, &value, sizeof value);
        };
    };
    const struct {
        const char* name;
        std::function<void(std::vector<char>&)> change;
        Code code;
        const char* words;
    } rows[] = {
        {"empty", [](auto& b) { b.clear(); }, Code::kTruncated, "header of 128 bytes, got 0"},
        {"another kind of file", patch(0, 0), Code::kBadData, "not a saved bundle"},
        {"another version", patch(offsetof(SavedHeader, version), 99), Code::kUnsupported,
         "got 99 with 1"},
        {"another layout", patch(offsetof(SavedHeader, layout), 7), Code::kUnsupported, "with 7"},
        {"cut short", [](auto& b) { b.pop_back(); }, Code::kTruncated, "expected"},
        {"a byte more", [](auto& b) { b.push_back(0); }, Code::kBadData, "expected"},
        {"sizes that overflow", patch(offsetof(SavedHeader, expert_bytes) + 4, 0xFFFFFFFF),
         Code::kBadData, "contradict"},
        {"more experts", patch(offsetof(SavedHeader, expert_count), 0xFFFFFFFF), Code::kBadData,
         "contradict"},
        {"a changed shape", patch(offsetof(SavedHeader, hidden_size), 97), Code::kChecksum,
         "header is not what was written"},
        {"a changed checksum", patch(sizeof(SavedHeader), 1), Code::kChecksum, "header"},
        {"a changed weight", [](auto& b) { b.back() = static_cast<char>(b.back() ^ 1); },
         Code::kChecksum, "expert 2 is not what was written"},
    };
    const std::string changed = scratch("changed.mmoe");
    for (const auto& row : rows) {
        std::vector<char> bytes = good;
        row.change(bytes);
        write_file(changed, bytes);
        auto opened = Bundle::open(make_context(), changed, true, {});
        if (opened.ok()) fail_msg("%s: was opened", row.name);
        expect(opened.status(), row.code, row.words);
    }
    auto missing = Bundle::open(make_context(), scratch("no-such-file"), true, {});
    expect(missing.status(), Code::kNotFound, "no-such-file");
}

void every_flipped_header_bit_is_noticed(void**) {
    const std::string path = scratch("flips.mmoe");
    assert_true(full_bundle()->save(path).ok());
    std::vector<char> bytes = read_file(path);
    const size_t header_bytes = sizeof(SavedHeader) + kExperts * sizeof(uint64_t);
    for (size_t bit = 0; bit < header_bytes * 8; ++bit) {
        const char mask = static_cast<char>(1 << (bit % 8));
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
        write_file(path, bytes);
        if (Bundle::open(make_context(), path, true, {}).ok()) fail_msg("bit %zu", bit);
        bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
    }
}

void saving_leaves_no_part_behind(void**) {
    const std::shared_ptr<Bundle> bundle = full_bundle();
    expect(bundle->save(scratch("no-such-directory/x.mmoe")), Code::kNotFound, "x.mmoe");
    const std::string directory = scratch("taken");
    std::filesystem::create_directory(directory);
    expect(bundle->save(directory), Code::kIo, "taken");  // a directory has the name
    assert_true(std::filesystem::remove(directory));
    for (const auto& entry : std::filesystem::directory_iterator(scratch(""))) {
        if (entry.path().extension() == ".tmp") fail_msg("%s", entry.path().string().c_str());
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_tensors_does_not_matter),
        cmocka_unit_test(what_does_not_belong_is_refused),
        cmocka_unit_test(a_bad_value_changes_nothing),
        cmocka_unit_test(an_expert_is_replaced_in_place),
        cmocka_unit_test(experts_come_and_go),
        cmocka_unit_test(a_sealed_bundle_does_not_change),
        cmocka_unit_test(a_rank_ignores_experts_of_others),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(a_saved_bundle_opens_as_it_was),
        cmocka_unit_test(a_file_that_lies_is_refused),
        cmocka_unit_test(every_flipped_header_bit_is_noticed),
        cmocka_unit_test(saving_leaves_no_part_behind),
    };
    return cmocka_run_group_tests_name("unit_bundle", tests, nullptr, nullptr);
}
