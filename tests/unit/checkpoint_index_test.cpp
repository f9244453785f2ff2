// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: directories and model.safetensors.index.json.
#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/checkpoint_files.h"
#include "support/sentence.h"

using namespace mmoe;

namespace {

constexpr const char* kIndex = "model.safetensors.index.json";

std::string map_of(const std::string& members) {
    return "{\"weight_map\":{" + members + "}}";
}

std::string many_shards(int count) {
    std::string members;
    for (int i = 0; i < count; ++i) {
        const std::string number = std::to_string(i);
        members += (i == 0 ? "\"t" : ",\"t") + number + "\":\"x" + number + "\"";
    }
    return map_of(members);
}

struct IndexCase {
    const char* name;
    std::string json;
    Code code;
    const char* fragment;
};

const IndexCase kBadIndexes[] = {
    {"empty", "", Code::kBadData, "expected JSON"},
    {"list", "[]", Code::kBadData, "expected an object with weight_map"},
    {"text", "\"weight_map\"", Code::kBadData, "expected an object with weight_map"},
    {"no map", "{}", Code::kBadData, "weight_map: expected an object, got none"},
    {"map deeper down", R"({"metadata":{"weight_map":{"a":"s1"}}})", Code::kBadData,
     "weight_map: expected an object, got none"},
    {"map is a list", R"({"weight_map":["s1"]})", Code::kBadData, "weight_map: expected an object"},
    {"map is null", R"({"weight_map":null})", Code::kBadData, "weight_map: expected an object"},
    {"map is true", R"({"weight_map":true})", Code::kBadData,
     "expected an object, got true or false"},
    {"map is a fraction", R"({"weight_map":0.5})", Code::kBadData,
     "expected an object, got a number"},
    {"two maps", R"({"weight_map":{},"weight_map":{}})", Code::kBadData, "got it twice"},
    {"tensor twice", map_of(R"("a":"s1","a":"s2")"), Code::kBadData, "\"a\": expected it once"},
    {"cut", R"({"weight_map":{"a":"s1")", Code::kBadData, "expected JSON"},
    {"shard is a number", map_of(R"("a":1)"), Code::kBadData, "a: expected the name of a file"},
    {"shard is null", map_of(R"("a":null)"), Code::kBadData, "a: expected the name of a file"},
    {"shard is an object", map_of(R"("a":{"file":"s1"})"), Code::kBadData,
     "a: expected the name of a file"},
    {"parent folder", map_of(R"("a":"../s1")"), Code::kBadData, "got \"../s1\""},
    {"absolute path", map_of(R"("a":"/etc/passwd")"), Code::kBadData, "got \"/etc/passwd\""},
    {"folder below", map_of(R"("a":"sub/s1")"), Code::kBadData, "without a path"},
    {"Windows path", map_of(R"("a":"..\\s1")"), Code::kBadData, "without a path"},
    {"the folder itself", map_of(R"("a":".")"), Code::kBadData, "without a path"},
    {"the parent itself", map_of(R"("a":"..")"), Code::kBadData, "without a path"},
    {"empty shard name", map_of(R"("a":"")"), Code::kBadData, "without a path"},
    {"NUL in a shard name", map_of(R"("a":"s1\u0000.txt")"), Code::kBadData, "without a path"},
    {"shard name of 256 bytes", map_of(R"("a":")" + std::string(256, 's') + "\""), Code::kBadData,
     "without a path"},
    {"tensor name of 1025 bytes", map_of("\"" + std::string(1025, 'n') + R"(":"s1")"), Code::kLimit,
     "at most 1024 bytes"},
    {"too deep", R"({"metadata":)" + std::string(10, '[') + std::string(10, ']') + "}",
     Code::kLimit, "at most 8 levels"},
    {"shard does not exist", map_of(R"("a":"s1","b":"s3")"), Code::kNotFound, "s3: cannot open"},
    {"tensor in no shard", map_of(R"("a":"s1","c":"s2")"), Code::kMissingTensor,
     "s2: expected c as the index says"},
    {"tensor in the shard behind", map_of(R"("b":"s1","both":"s2")"), Code::kMissingTensor,
     "s1: expected b as the index says"},
    {"10001 shards", many_shards(10001), Code::kLimit, "at most 10000 shards"},
    {"10000 shards, none there", many_shards(10000), Code::kNotFound, "cannot open"},
    {"tensor in the other shard", map_of(R"("a":"s2","b":"s2")"), Code::kMissingTensor,
     "s2: expected a as the index says"},
};

// s1 holds a and both; s2 holds b and both.
void write_shards(const test::ScratchFolder& folder) {
    folder.write("config.json", "{}");
    folder.write("s1",
                 test::safetensors_of({{"a", {"I64", {1}, {11}}}, {"both", {"I64", {1}, {1}}}}));
    folder.write("s2",
                 test::safetensors_of({{"b", {"I64", {1}, {22}}}, {"both", {"I64", {1}, {2}}}}));
}

void indexes_that_lie_are_refused(void**) {
    const test::ScratchFolder folder("checkpoint_index");
    write_shards(folder);
    for (const IndexCase& row : kBadIndexes) {
        print_message("    %s\n", row.name);
        folder.write(kIndex, row.json);
        auto opened = Checkpoint::open(folder.path(), {}, Log());
        assert_false(opened.ok());
        const char* message = opened.status().message();
        const bool says_so =
            std::strstr(message, row.fragment) != nullptr && test::says_expected_and_got(message);
        if (!says_so) print_error("%s\n", opened.status().message());
        assert_true(says_so);
        assert_int_equal(opened.status().code(), row.code);
    }
}

int64_t number_in(const Checkpoint& checkpoint, const char* name) {
    const TensorEntry* entry = checkpoint.find(name);
    assert_non_null(entry);
    int64_t number = 0;
    assert_true(
        checkpoint.read(*entry, 0, {reinterpret_cast<uint8_t*>(&number), sizeof number}).ok());
    return number;
}

std::string last_line;

void the_index_decides_between_shards(void**) {
    const test::ScratchFolder folder("checkpoint_shards");
    write_shards(folder);
    const Log log([](void*, int32_t, const char* line) { last_line += line; }, nullptr,
                  LogLevel::kWarning);
    for (const int64_t shard : {1, 2}) {
        folder.write(kIndex,
                     map_of(R"("a":"s1","b":"s2","both":"s)" + std::to_string(shard) + "\""));
        last_line.clear();
        auto opened = Checkpoint::open(folder.path(), {}, log);
        assert_true(opened.ok());
        assert_int_equal(opened.value()->tensors().size(), 3);
        assert_int_equal(number_in(*opened.value(), "a"), 11);
        assert_int_equal(number_in(*opened.value(), "b"), 22);
        assert_int_equal(number_in(*opened.value(), "both"), shard);
        assert_string_equal(last_line.c_str(), "1 tensors are not in the index and are left out");
    }
}

void a_model_of_one_file_needs_no_index(void**) {
    const test::ScratchFolder folder("checkpoint_one_file");
    folder.write("model.safetensors", test::safetensors_of({{"a", {"I64", {1}, {5}}}}));
    auto without_config = Checkpoint::open(folder.path(), {}, Log());
    assert_int_equal(without_config.status().code(), Code::kNotFound);
    assert_non_null(std::strstr(without_config.status().message(), "config.json"));
    folder.write("config.json", "{}");
    for (const std::string& path : {folder.path(), folder.path() + "/"}) {
        auto opened = Checkpoint::open(path, {}, Log());
        assert_true(opened.ok());
        assert_int_equal(number_in(*opened.value(), "a"), 5);
        assert_true(opened.value()->layers().empty());
    }
}

void an_empty_index_is_an_empty_model(void**) {
    const test::ScratchFolder folder("checkpoint_empty_index");
    folder.write("config.json", "{}");
    folder.write(kIndex, map_of(""));
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    assert_true(opened.ok());
    assert_true(opened.value()->tensors().empty());
    assert_null(opened.value()->find("a"));
}

void the_header_limit_holds_for_the_index(void**) {
    const test::ScratchFolder folder("checkpoint_index_limit");
    write_shards(folder);
    folder.write(kIndex, map_of(R"("a":"s1")") + std::string(1000, ' '));
    CheckpointOptions options;
    options.max_header_bytes = 1000;
    auto opened = Checkpoint::open(folder.path(), options, Log());
    assert_int_equal(opened.status().code(), Code::kLimit);
    options.max_header_bytes = 2000;
    assert_true(Checkpoint::open(folder.path(), options, Log()).ok());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(indexes_that_lie_are_refused),
        cmocka_unit_test(the_index_decides_between_shards),
        cmocka_unit_test(a_model_of_one_file_needs_no_index),
        cmocka_unit_test(an_empty_index_is_an_empty_model),
        cmocka_unit_test(the_header_limit_holds_for_the_index),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
