// SPDX-License-Identifier: Apache-2.0
// Saving a bundle and opening it again: loading is one copy, checked on the way. A file of another
// device's layout is repacked expert by expert.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "base/guard.h"
#include "bundle/atomic_file.h"
#include "bundle/bundle.h"
#include "bundle/saved_header.h"
#include "bundle/saved_slot.h"
#include "bundle/support.h"
#include "checkpoint/file.h"

namespace mmoe {
namespace {

constexpr uint64_t kMaxScratchBytes = uint64_t{64} << 20;

uint64_t checksum_of(std::span<const uint8_t> bytes) noexcept {
    return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t payload_offset(uint64_t expert_count) noexcept {
    return round_up(sizeof(SavedHeader) + expert_count * sizeof(uint64_t), kSavedAlignmentBytes);
}

// Header and checksums with their own checksum filled in, up to the payload.
std::vector<uint8_t> assemble(SavedHeader header, std::span<const uint64_t> checksums) {
    std::vector<uint8_t> bytes(header.payload_offset);
    header.header_checksum = 0;
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!checksums.empty()) {
        std::memcpy(bytes.data() + sizeof header, checksums.data(), checksums.size_bytes());
    }
    header.header_checksum = checksum_of(bytes);
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

Result<SavedHeader> read_header(const File& file) {
    SavedHeader header;
    if (file.size_bytes() < sizeof header) {
        return Status::error(
            Code::kTruncated, "%s: expected a saved bundle's header of %zu bytes, got %llu",
            file.name(), sizeof header, static_cast<unsigned long long>(file.size_bytes()));
    }
    TRY(file.read_at(0, {reinterpret_cast<uint8_t*>(&header), sizeof header}));
    if (std::memcmp(header.magic, kSavedMagic, sizeof kSavedMagic) != 0) {
        return Status::error(Code::kBadData, "%s: not a saved bundle", file.name());
    }
    if (header.version != kSavedVersion || !is_saved_layout(header.layout)) {
        return Status::error(Code::kUnsupported,
                             "%s: expected version %u with layout 1 or 2, got %u with %u; load the "
                             "checkpoint again",
                             file.name(), kSavedVersion, header.version, header.layout);
    }
    return header;
}

// Sizes first: nothing is allocated by a number that the file's length does not bear out.
Status check_sizes(const File& file, const SavedHeader& header) {
    const auto payload = checked_mul(header.expert_bytes, uint64_t{header.expert_count});
    const auto size = payload ? checked_add(*payload, header.payload_offset) : std::nullopt;
    if (header.expert_count == 0 || header.payload_offset != payload_offset(header.expert_count) ||
        !size) {
        return Status::error(Code::kBadData, "%s: its sizes contradict each other", file.name());
    }
    if (*size != file.size_bytes()) {
        return Status::error(*size > file.size_bytes() ? Code::kTruncated : Code::kBadData,
                             "%s: expected %llu bytes, got %llu", file.name(),
                             static_cast<unsigned long long>(*size),
                             static_cast<unsigned long long>(file.size_bytes()));
    }
    return {};
}

// Reads everything before the payload; returns the checksums of the experts.
Result<std::vector<uint64_t>> read_checksums(const File& file, const SavedHeader& header) {
    std::vector<uint8_t> bytes(header.payload_offset);
    TRY(file.read_at(0, bytes));
    SavedHeader zeroed = header;
    zeroed.header_checksum = 0;
    std::memcpy(bytes.data(), &zeroed, sizeof zeroed);
    if (checksum_of(bytes) != header.header_checksum) {
        return Status::error(Code::kChecksum, "%s: the header is not what was written",
                             file.name());
    }
    std::vector<uint64_t> checksums(header.expert_count);
    std::memcpy(checksums.data(), bytes.data() + sizeof header,
                checksums.size() * sizeof(uint64_t));
    return checksums;
}

// From shapes alone, before memory is taken for them.
Status check_shape(DeviceKind device, const File& file, const SavedHeader& header,
                   const BundleSpec& spec) {
    TRY(require_support(device, spec));
    TRY(const Shard shard, plan_shard(spec));
    const auto layout = static_cast<SavedLayout>(header.layout);
    const uint64_t expert_bytes = saved_slot_bytes(spec, shard, layout);
    if (shard.slot_count == header.expert_count && expert_bytes == header.expert_bytes) return {};
    return Status::error(Code::kBadData, "%s: its shape contradicts its sizes", file.name());
}

// A file whose experts go into the slots of a store.
struct Opening {
    const File& file;
    const SavedHeader& header;
    std::span<const uint64_t> checksums;  // empty: trusted
    const Bundle& bundle;
    Store& store;

    [[nodiscard]] SavedLayout layout() const noexcept {
        return static_cast<SavedLayout>(header.layout);
    }
    [[nodiscard]] bool same_layout() const noexcept { return layout() == store.saved_layout(); }
    // Experts are read to where they stay, or else through scratch.
    [[nodiscard]] bool in_place() const noexcept {
        return same_layout() && !store.slot_bytes(0).empty();
    }
};

Status read_expert(const Opening& opening, int64_t slot, std::span<uint8_t> bytes) {
    const auto index = static_cast<uint64_t>(slot);
    const uint64_t offset = opening.header.payload_offset + index * opening.header.expert_bytes;
    TRY(opening.file.read_at(offset, bytes));
    if (!opening.checksums.empty() && checksum_of(bytes) != opening.checksums[index]) {
        return Status::error(Code::kChecksum, "%s: expert %lld is not what was written",
                             opening.file.name(), static_cast<long long>(slot))
            .at_offset(offset);
    }
    const Bundle& bundle = opening.bundle;
    return check_saved_slot({bundle.spec(), bundle.shard(), opening.layout(), slot}, bytes);
}

Status open_expert(const Opening& opening, int64_t slot) {
    if (opening.in_place()) return read_expert(opening, slot, opening.store.slot_bytes(slot));
    const Bundle& bundle = opening.bundle;
    const std::shared_ptr<const Allocator>& allocator = bundle.context()->allocator;
    TRY(const Buffer bytes,
        Buffer::create(allocator, opening.header.expert_bytes, "expert of a saved bundle"));
    const std::span<uint8_t> span(bytes.data(), bytes.size_bytes());
    TRY(read_expert(opening, slot, span));
    if (opening.same_layout()) return opening.store.write_slot(slot, span);
    return convert_saved_slot({bundle.spec(), bundle.shard(), opening.layout(), slot}, span,
                              opening.store, allocator);
}

// Experts side by side; what is not read in place is bounded.
int64_t experts_at_a_time(const Opening& opening) noexcept {
    const auto threads = static_cast<int64_t>(opening.bundle.context()->parallel->thread_count());
    if (opening.in_place()) return threads;
    const uint64_t fitting = kMaxScratchBytes / std::max<uint64_t>(1, opening.header.expert_bytes);
    return std::clamp<int64_t>(static_cast<int64_t>(fitting), 1, threads);
}

// One expert's bytes, where they are or in `scratch`.
Result<std::span<const uint8_t>> bytes_of(const Store& store, int64_t slot,
                                          std::span<uint8_t> scratch) {
    if (scratch.empty()) return std::span<const uint8_t>(store.slot_bytes(slot));
    TRY(store.read_slot(slot, scratch));
    return std::span<const uint8_t>(scratch);
}

// Of every slot: where all are in host memory, side by side.
Result<std::vector<uint64_t>> slot_checksums(const Store& store, uint32_t count, Parallel& parallel,
                                             std::span<uint8_t> scratch) {
    std::vector<uint64_t> checksums(count);
    if (scratch.empty()) {
        parallel.run(count,
                     [&](uint32_t slot) { checksums[slot] = checksum_of(store.slot_bytes(slot)); });
        return checksums;
    }
    for (uint32_t slot = 0; slot < count; ++slot) {
        TRY(const std::span<const uint8_t> bytes, bytes_of(store, slot, scratch));
        checksums[slot] = checksum_of(bytes);
    }
    return checksums;
}

}  // namespace

Status Bundle::save(const std::string& path) const {
    if (!sealed()) return Status::error(Code::kState, "the bundle is not sealed");
    if (shard_.slot_count != shard_.expert_count) {
        return Status::error(Code::kUnsupported,
                             "a bundle with fewer slots than experts cannot be saved");
    }
    const ReadersOrWriter::Reading reading(users_);
    if (!reading.held()) return Status::error(Code::kBusy, "the bundle is being changed");
    const auto count = static_cast<uint32_t>(shard_.slot_count);
    SavedHeader header = describe_spec(spec_, store_->saved_layout());
    header.expert_count = count;
    header.expert_bytes = saved_slot_bytes(spec_, shard_, store_->saved_layout());
    header.payload_offset = payload_offset(count);
    Buffer scratch;
    if (store_->slot_bytes(0).empty()) {
        TRY(scratch, Buffer::create(context_->allocator, header.expert_bytes, "expert to save"));
    }
    const std::span<uint8_t> copied(scratch.data(), scratch.size_bytes());
    TRY(const std::vector<uint64_t> checksums,
        slot_checksums(*store_, count, *context_->parallel, copied));
    TRY(AtomicFile file, AtomicFile::create(path));
    TRY(file.write(assemble(header, checksums)));
    for (uint32_t slot = 0; slot < count; ++slot) {
        TRY(const std::span<const uint8_t> bytes, bytes_of(*store_, slot, copied));
        TRY(file.write(bytes));
    }
    return file.commit();
}

Result<std::shared_ptr<Bundle>> Bundle::open(std::shared_ptr<const Context> context,
                                             const std::string& path, bool verify,
                                             const Progress& progress) {
    TRY(const File file, File::open(path));
    TRY(const SavedHeader header, read_header(file));
    TRY(check_sizes(file, header));
    TRY(const std::vector<uint64_t> checksums, read_checksums(file, header));
    TRY(const BundleSpec spec, read_spec(header));
    TRY(check_shape(context->kind, file, header, spec));
    TRY(const std::shared_ptr<Bundle> bundle, create(std::move(context), spec));
    const Opening opening{
        file, header, verify ? std::span<const uint64_t>(checksums) : std::span<const uint64_t>(),
        *bundle, *bundle->store_};
    const int64_t count = bundle->shard_.slot_count;
    const int64_t at_a_time = experts_at_a_time(opening);
    std::vector<Status> statuses(static_cast<size_t>(at_a_time));
    for (int64_t first = 0; first < count; first += at_a_time) {
        const int64_t batch = std::min(at_a_time, count - first);
        bundle->context_->parallel->run(static_cast<uint32_t>(batch), [&](uint32_t i) {
            statuses[i] = guarded([&] { return open_expert(opening, first + i); });
        });
        for (int64_t i = 0; i < batch; ++i) TRY(std::move(statuses[static_cast<size_t>(i)]));
        const auto done_bytes = bundle->resident_bytes() / static_cast<uint64_t>(count) *
                                static_cast<uint64_t>(first + batch);
        if (progress && !progress(done_bytes, bundle->resident_bytes())) {
            return Status::error(Code::kCancelled, "opening was cancelled");
        }
    }
    bundle->store_->end_filling();
    bundle->sealed_.store(true, std::memory_order_release);
    return bundle;
}

}  // namespace mmoe
