// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: safetensors headers that lie, and those that are odd but legal. Each row is a
// file, built here byte by byte.
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "cmocka_cpp.h"
#include "support/checkpoint_files.h"
#include "support/sentence.h"

using namespace mmoe;

namespace {

struct HeaderCase {
    const char* name;
    std::string header;
    size_t data_bytes;
    Code code;
    const char* fragment;  // of the sentence
};

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape +
           R"(,"data_offsets":)" + offsets + "}";
}
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return "{" + tensor("w", dtype, shape, offsets) + "}";
}

const std::string kGood = tensor("a", "U8", "[4]", "[0,4]");

const HeaderCase kBadHeaders[] = {
    // ---- JSON ----
    {"empty header", "", 0, Code::kBadData, "'{'"},
    {"array", "[]", 0, Code::kBadData, "'{'"},
    {"space before the brace", " {}", 0, Code::kBadData, "'{'"},
    {"byte order mark", "\xEF\xBB\xBF{}", 0, Code::kBadData, "'{'"},
    {"not closed", "{", 0, Code::kBadData, "expected JSON"},
    {"two texts", "{}{}", 0, Code::kBadData, "expected JSON"},
    {"trailing comma", "{" + kGood + ",}", 4, Code::kBadData, "expected JSON"},
    {"single quotes", "{'a':1}", 0, Code::kBadData, "expected JSON"},
    {"comment", "{/**/}", 0, Code::kBadData, "expected JSON"},
    {"NUL behind the text", std::string("{}\0", 3), 0, Code::kBadData, "a NUL at byte 2"},
    {"NUL in a name", std::string("{\"\0\":1}", 7), 0, Code::kBadData, "a NUL at byte 2"},
    {"broken UTF-8", "{\"\xC3\x28\":1}", 0, Code::kBadData, "expected JSON"},
    {"overlong UTF-8", "{\"\xC0\xAF\":1}", 0, Code::kBadData, "expected JSON"},
    {"surrogate without its other half", R"({"\ud800":1})", 0, Code::kBadData, "expected JSON"},
    {"deep metadata", R"({"__metadata__":{"a":{"b":{"c":{}}}}})", 0, Code::kLimit, "4 levels"},
    {"a million brackets", R"({"w":)" + std::string(1000000, '['), 0, Code::kBadData,
     "expected an object"},
    // ---- Names ----
    {"same name twice", "{" + kGood + "," + kGood + "}", 4, Code::kBadData,
     "\"a\": expected it once"},
    {"same name, once escaped",
     "{" + kGood + R"(,"\u0061":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 8,
     Code::kBadData, "\"a\": expected it once"},
    {"field twice", R"({"w":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4,
     Code::kBadData, "\"dtype\": expected it once"},
    {"empty name", "{" + tensor("", "U8", "[4]", "[0,4]") + "}", 4, Code::kBadData,
     "an empty name or a NUL"},
    {"escaped NUL in a name", "{" + tensor("a\\u0000b", "U8", "[4]", "[0,4]") + "}", 4,
     Code::kBadData, "an empty name or a NUL"},
    {"name of 1025 bytes", "{" + tensor(std::string(1025, 'n'), "U8", "[4]", "[0,4]") + "}", 4,
     Code::kLimit, "at most 1024 bytes, got 1025"},
    {"control characters stay out of the sentence",
     "{" + tensor("a\\nERROR\\u001b[2J", "U8", "[4]", "[0,5]") + "}", 5, Code::kBadData,
     "a?ERROR?[2J: expected 4 bytes"},
    {"metadata is a list", R"({"__metadata__":[]})", 0, Code::kBadData, "__metadata__"},
    {"metadata is text", R"({"__metadata__":"x"})", 0, Code::kBadData, "__metadata__"},
    // ---- Fields ----
    {"entry is a number", R"({"w":1})", 0, Code::kBadData, "w: expected an object"},
    {"entry is a list", R"({"w":[]})", 0, Code::kBadData, "w: expected an object"},
    {"entry is null", R"({"w":null})", 0, Code::kBadData, "w: expected an object"},
    {"entry is empty", R"({"w":{}})", 0, Code::kBadData, "dtype: expected a string, got none"},
    {"unknown field", R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"stride":[1]}})", 4,
     Code::kBadData, "got \"stride\""},
    {"no dtype", R"({"w":{"shape":[4],"data_offsets":[0,4]}})", 4, Code::kBadData,
     "dtype: expected a string, got none"},
    {"no shape", R"({"w":{"dtype":"U8","data_offsets":[0,4]}})", 4, Code::kBadData,
     "shape: expected a list of numbers, got none"},
    {"no data_offsets", R"({"w":{"dtype":"U8","shape":[4]}})", 4, Code::kBadData,
     "data_offsets: expected two numbers"},
    {"only the first has a dtype", "{" + kGood + R"(,"w":{"shape":[4],"data_offsets":[4,8]}})", 8,
     Code::kBadData, "w: dtype: expected a string, got none"},
    {"only the first has a shape", "{" + kGood + R"(,"w":{"dtype":"U8","data_offsets":[4,8]}})", 8,
     Code::kBadData, "w: shape: expected a list of numbers, got none"},
    {"only the first has data_offsets", "{" + kGood + R"(,"w":{"dtype":"U8","shape":[4]}})", 8,
     Code::kBadData, "w: data_offsets: expected two"},
    {"unknown dtype", one("Q4_K", "[4]", "[0,4]"), 4, Code::kBadData, "got \"Q4_K\""},
    {"lower-case dtype", one("f32", "[1]", "[0,4]"), 4, Code::kBadData, "got \"f32\""},
    {"dtype is a number", R"({"w":{"dtype":1,"shape":[4],"data_offsets":[0,4]}})", 4,
     Code::kBadData, "dtype: expected a string"},
    {"dtype is a list", R"({"w":{"dtype":["U8"],"shape":[4],"data_offsets":[0,4]}})", 4,
     Code::kBadData, "dtype: expected a string"},
    {"shape is a number", one("U8", "4", "[0,4]"), 4, Code::kBadData, "shape: expected a list"},
    {"shape is text", one("U8", "\"4\"", "[0,4]"), 4, Code::kBadData, "shape: expected a list"},
    {"shape is an object", one("U8", "{\"0\":4}", "[0,4]"), 4, Code::kBadData,
     "shape: expected a list"},
    {"shape in a list", one("U8", "[[4]]", "[0,4]"), 4, Code::kBadData, "shape: expected whole"},
    {"negative dimension", one("U8", "[-4]", "[0,4]"), 4, Code::kBadData, "shape: expected whole"},
    {"two negative dimensions", one("U8", "[-2,-2]", "[0,4]"), 4, Code::kBadData,
     "shape: expected whole"},
    {"fraction", one("U8", "[4.0]", "[0,4]"), 4, Code::kBadData, "shape: expected whole"},
    {"exponent", one("U8", "[4e0]", "[0,4]"), 4, Code::kBadData, "shape: expected whole"},
    {"dimension of 2^63", one("U8", "[9223372036854775808]", "[0,4]"), 4, Code::kBadData,
     "below 2^63"},
    {"dimension of 2^64", one("U8", "[18446744073709551616]", "[0,4]"), 4, Code::kBadData,
     "shape: expected whole"},
    {"nine dimensions", one("U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4, Code::kLimit,
     "at most 8 dimensions"},
    {"product overflows", one("U8", "[4294967296,4294967296]", "[0,4]"), 4, Code::kBadData,
     "fewer than 2^64 bits"},
    {"product wraps to what fits", one("U8", "[4611686018427387905,4]", "[0,4]"), 4, Code::kBadData,
     "fewer than 2^64 bits"},
    {"only bits overflow", one("F64", "[288230376151711744]", "[0,4]"), 4, Code::kBadData,
     "fewer than 2^64 bits"},
    {"overflow hidden by a zero", one("U8", "[4294967296,4294967296,0]", "[0,0]"), 0,
     Code::kBadData, "fewer than 2^64 bits"},
    {"half a byte", one("F4", "[3]", "[0,1]"), 1, Code::kBadData, "expected whole bytes, got [3]"},
    // ---- Ranges ----
    {"one offset", one("U8", "[4]", "[4]"), 4, Code::kBadData, "data_offsets: expected two"},
    {"three offsets", one("U8", "[4]", "[0,4,8]"), 4, Code::kBadData, "data_offsets: expected two"},
    {"offsets are an object", one("U8", "[4]", "{\"0\":4}"), 4, Code::kBadData,
     "data_offsets: expected a list"},
    {"negative offset", one("U8", "[4]", "[-4,0]"), 4, Code::kBadData,
     "data_offsets: expected whole"},
    {"end before begin", one("U8", "[4]", "[4,0]"), 4, Code::kBadData, "begin before end"},
    {"range too long", one("U8", "[4]", "[0,5]"), 5, Code::kBadData,
     "expected 4 bytes for U8 [4], got data_offsets [0, 5]"},
    {"range too short", one("F32", "[4]", "[0,4]"), 4, Code::kBadData, "expected 16 bytes"},
    {"hole at the start", one("U8", "[4]", "[4,8]"), 8, Code::kBadData, "a hole"},
    {"hole between", "{" + kGood + "," + tensor("b", "U8", "[4]", "[8,12]") + "}", 12,
     Code::kBadData, "b: expected data at 4, got 8 (a hole)"},
    {"overlap", "{" + kGood + "," + tensor("b", "U8", "[4]", "[2,6]") + "}", 6, Code::kBadData,
     "two tensors overlap"},
    {"same range twice", "{" + kGood + "," + tensor("b", "U8", "[4]", "[0,4]") + "}", 4,
     Code::kBadData, "two tensors overlap"},
    {"offset at the end of the world",
     one("U8", "[1]", "[18446744073709551614,18446744073709551615]"), 4, Code::kBadData, "a hole"},
    {"data is cut", one("U8", "[4]", "[0,4]"), 3, Code::kTruncated,
     "expected 4 bytes of data, got 3"},
    {"data is missing", one("U8", "[4]", "[0,4]"), 0, Code::kTruncated, "got 0"},
    {"data goes on", one("U8", "[4]", "[0,4]"), 5, Code::kBadData, "got 5"},
    {"data without a tensor", "{}", 1, Code::kBadData, "expected 0 bytes of data, got 1"},
};

void expect_failure(const std::string& path, const CheckpointOptions& options, Code code,
                    const char* fragment) {
    auto opened = Checkpoint::open(path, options, Log());
    assert_false(opened.ok());
    const Status& status = opened.status();
    const bool says_so = std::strstr(status.message(), fragment) != nullptr &&
                         test::says_expected_and_got(status.message());
    if (status.code() != code || !says_so) print_error("%s\n", status.message());
    assert_int_equal(status.code(), code);
    assert_true(says_so);
}

void headers_that_lie_are_refused(void**) {
    const test::ScratchFolder folder("checkpoint_header");
    for (const HeaderCase& row : kBadHeaders) {
        print_message("    %s\n", row.name);
        const std::string path =
            folder.write("x.safetensors", test::safetensors_of(row.header, row.data_bytes));
        expect_failure(path, {}, row.code, row.fragment);
        expect_failure(path, {}, row.code, "x.safetensors: ");
    }
}

struct LengthCase {
    const char* name;
    std::string bytes;
    uint64_t max_header_bytes;
    Code code;
    const char* fragment;
};

std::string with_length(uint64_t length, const std::string& rest) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes + rest;
}

void lengths_that_lie_are_refused(void**) {
    const uint64_t default_limit = CheckpointOptions{}.max_header_bytes;
    const LengthCase cases[] = {
        {"empty file", "", default_limit, Code::kTruncated, "at least 8 bytes, got 0"},
        {"seven bytes", std::string(7, '\0'), default_limit, Code::kTruncated, "got 7"},
        {"no header", with_length(0, ""), default_limit, Code::kBadData, "'{'"},
        {"header is cut", with_length(3, "{}"), default_limit, Code::kTruncated,
         "expected 3 bytes"},
        {"length of 2^64 - 1", with_length(UINT64_MAX, "{}"), default_limit, Code::kLimit,
         "at most"},
        {"length of 2^64 - 1, no limit", with_length(UINT64_MAX, "{}"), UINT64_MAX,
         Code::kTruncated, "got 2"},
        {"length of 2^63", with_length(uint64_t{1} << 63, "{}"), UINT64_MAX, Code::kTruncated,
         "got 2"},
        {"above the default limit", with_length(default_limit + 1, "{}"), default_limit,
         Code::kLimit, "at most 100000000 bytes, got 100000001"},
        {"above the caller's limit", with_length(10, "{        }"), 9, Code::kLimit,
         "at most 9 bytes, got 10"},
    };
    const test::ScratchFolder folder("checkpoint_length");
    for (const LengthCase& row : cases) {
        print_message("    %s\n", row.name);
        CheckpointOptions options;
        options.max_header_bytes = row.max_header_bytes;
        expect_failure(folder.write("x.safetensors", row.bytes), options, row.code, row.fragment);
    }
}

void a_missing_path_is_named_as_given(void**) {
    const std::string folder = std::string(MMOE_TEST_SCRATCH) + "/nowhere";
    const std::string deep = std::string(100, 'd') + "/" + std::string(60, 'f');
    expect_failure(folder, {}, Code::kNotFound,
                   (folder + ": cannot open: No such file or directory").c_str());
    expect_failure("/nope", {}, Code::kNotFound, "/nope: cannot open: No such file or directory");
    // The end of a long path stays, and so does the reason.
    expect_failure("/" + deep, {}, Code::kNotFound,
                   ("..." + deep.substr(deep.size() - 117) + ": cannot open: No such").c_str());
}

// Entries cost more memory than their text, so their number is limited too.
void tensors_are_counted(void**) {
    const std::string header =
        "{" + kGood + "," + tensor("b", "U8", "[0]", "[4,4]") + R"(,"__metadata__":{}})";
    assert_true(parse_safetensors_header(header, 4, 0).ok());
    assert_true(parse_safetensors_header(header, 4, 0, 2).ok());
    auto entries = parse_safetensors_header(header, 4, 0, 1);
    assert_int_equal(entries.status().code(), Code::kLimit);
    assert_non_null(std::strstr(entries.status().message(), "at most 1 tensors"));
}

void every_cut_of_a_file_is_refused(void**) {
    const test::ScratchFolder folder("checkpoint_cut");
    const std::string whole = test::safetensors_of({{"a", {"I32", {2, 2}}}, {"b", {"U8", {3}}}});
    assert_true(Checkpoint::open(folder.write("x.safetensors", whole), {}, Log()).ok());
    for (size_t size = 0; size < whole.size(); ++size) {
        auto opened =
            Checkpoint::open(folder.write("x.safetensors", whole.substr(0, size)), {}, Log());
        assert_false(opened.ok());
        assert_int_equal(opened.status().code(), Code::kTruncated);
    }
}

struct GoodCase {
    const char* name;
    std::string header;
    size_t data_bytes;
    DType dtype;  // of "w"
    std::vector<int64_t> shape;
};

void odd_but_legal_headers_are_read(void**) {
    const GoodCase cases[] = {
        {"scalar", one("F32", "[]", "[0,4]"), 4, DType::kF32, {}},
        {"no elements", one("F32", "[0]", "[0,0]"), 0, DType::kF32, {0}},
        {"no elements beside others",
         "{" + tensor("z", "U8", "[3,0]", "[4,4]") + "," + tensor("w", "U8", "[4]", "[0,4]") + "}",
         4,
         DType::kU8,
         {4}},
        {"empty tensors at one offset",
         "{" + tensor("y", "U8", "[0]", "[0,0]") + "," + tensor("w", "I8", "[2]", "[0,2]") + "," +
             tensor("z", "U8", "[0]", "[0,0]") + "}",
         2,
         DType::kI8,
         {2}},
        {"order of names is not order of data",
         "{" + tensor("a", "U8", "[1]", "[2,3]") + "," + tensor("w", "F16", "[1]", "[0,2]") + "}",
         3,
         DType::kF16,
         {1}},
        {"padded with spaces", one("BF16", "[1]", "[0,2]") + "      ", 2, DType::kBf16, {1}},
        {"metadata",
         R"({"__metadata__":{"format":"pt"},)" + one("I64", "[1]", "[0,8]").substr(1),
         8,
         DType::kI64,
         {1}},
        {"eight dimensions",
         one("U8", "[1,1,1,1,1,1,2,2]", "[0,4]"),
         4,
         DType::kU8,
         {1, 1, 1, 1, 1, 1, 2, 2}},
        {"two halves of a byte", one("F4", "[2]", "[0,1]"), 1, DType::kOther, {2}},
        {"types that only have a size", one("F8_E4M3", "[3]", "[0,3]"), 3, DType::kOther, {3}},
        {"six bits", one("F6_E2M3", "[4]", "[0,3]"), 3, DType::kOther, {4}},
    };
    const test::ScratchFolder folder("checkpoint_odd");
    for (const GoodCase& row : cases) {
        print_message("    %s\n", row.name);
        const std::string bytes = test::safetensors_of(row.header, row.data_bytes);
        auto opened = Checkpoint::open(folder.write("x.safetensors", bytes), {}, Log());
        assert_true(opened.ok());
        const TensorEntry* entry = opened.value()->find("w");
        assert_non_null(entry);
        assert_int_equal(entry->dtype, row.dtype);
        assert_int_equal(entry->rank, row.shape.size());
        for (int axis = 0; axis < entry->rank; ++axis) {
            assert_int_equal(entry->shape[axis], row.shape[static_cast<size_t>(axis)]);
        }
        assert_true(entry->file_offset + entry->byte_count <= bytes.size());
        assert_true(entry->file_offset >= 8 + row.header.size());
    }
}

void sentences_say_where(void**) {
    const test::ScratchFolder folder("checkpoint_where");
    const std::string header = one("Q4_K", "[4]", "[0,4]");
    auto opened =
        Checkpoint::open(folder.write("x.safetensors", test::safetensors_of(header, 4)), {}, Log());
    assert_false(opened.ok());
    // Just behind the value that is wrong.
    assert_int_equal(opened.status().file_offset(), 8 + header.find("Q4_K") + 5);
}

void reads_stay_inside_a_tensor(void**) {
    const test::ScratchFolder folder("checkpoint_range");
    const std::string path = folder.write(
        "x.safetensors", test::safetensors_of({{"a", {"I64", {2}, {7, 9}}}, {"b", {"U8", {4}}}}));
    auto opened = Checkpoint::open(path, {}, Log());
    assert_true(opened.ok());
    const TensorEntry* entry = opened.value()->find("a");
    int64_t second = 0;
    const std::span<uint8_t> out(reinterpret_cast<uint8_t*>(&second), sizeof second);
    assert_true(opened.value()->read(*entry, 8, out).ok());
    assert_int_equal(second, 9);
    assert_true(opened.value()->read(*entry, 16, out.first(0)).ok());
    for (const uint64_t offset : {uint64_t{9}, uint64_t{16}, uint64_t{17}, UINT64_MAX}) {
        assert_int_equal(opened.value()->read(*entry, offset, out).code(), Code::kInvalidArgument);
    }
}

void a_file_that_shrinks_is_an_error(void**) {
    const test::ScratchFolder folder("checkpoint_shrink");
    const std::string path =
        folder.write("x.safetensors", test::safetensors_of({{"a", {"U8", {100}}}}));
    auto opened = Checkpoint::open(path, {}, Log());
    assert_true(opened.ok());
    std::filesystem::resize_file(path, 120);
    std::vector<uint8_t> bytes(100);
    const Status status = opened.value()->read(*opened.value()->find("a"), 0, bytes);
    assert_int_equal(status.code(), Code::kFileChanged);
    assert_int_equal(status.file_offset(), 120);
    assert_non_null(std::strstr(status.message(), "x.safetensors"));
}

void only_regular_files_are_opened(void**) {
    const test::ScratchFolder folder("checkpoint_kinds");
    expect_failure(folder.file("absent.safetensors"), {}, Code::kNotFound, "absent.safetensors");
    expect_failure(std::string("a\0b", 3), {}, Code::kIo, "cannot open");
    expect_failure("", {}, Code::kNotFound, "cannot open");
#if !defined(_WIN32)
    expect_failure("/dev/null", {}, Code::kIo, "expected a regular file");
    // A pipe without a writer would block an open that waits.
    const std::string pipe = folder.file("pipe.safetensors");
    assert_int_equal(::mkfifo(pipe.c_str(), 0600), 0);
    expect_failure(pipe, {}, Code::kIo, "expected a regular file");
#endif
    folder.clear();
    expect_failure(folder.path(), {}, Code::kNotFound, "expected model.safetensors or");
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(a_missing_path_is_named_as_given),
        cmocka_unit_test(tensors_are_counted),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(odd_but_legal_headers_are_read),
        cmocka_unit_test(sentences_say_where),
        cmocka_unit_test(reads_stay_inside_a_tensor),
        cmocka_unit_test(a_file_that_shrinks_is_an_error),
        cmocka_unit_test(only_regular_files_are_opened),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
