// SPDX-License-Identifier: Apache-2.0
// Saving a bundle and opening it again: loading is one copy, checked on the way.
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
#include "bundle/support.h"
#include "checkpoint/file.h"

namespace mmoe {
namespace {

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
    if (header.version != kSavedVersion || header.layout != kSavedCpuRecords) {
        return Status::error(Code::kUnsupported,
                             "%s: expected version %u with layout %u, got %u with %u; load the "
                             "checkpoint again",
                             file.name(), kSavedVersion, kSavedCpuRecords, header.version,
                             header.layout);
    }
    return header;
}

// Sizes first: nothing is allocated by a number that the file's length does not bear out.
Status check_sizes(const File& file, const SavedHeader& header) {
    const auto payload = checked_mul(header.expert_bytes, uint64_t{header.expert_count});
    const auto size = payload ? checked_add(*payload, header.payload_offset) : std::nullopt;
    if (header.payload_offset != payload_offset(header.expert_count) || !size) {
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
Status check_shape(const File& file, const SavedHeader& header, const BundleSpec& spec) {
    TRY(require_support(DeviceKind::kCpu, spec));
    TRY(const Shard shard, plan_shard(spec));
    const auto expert_bytes = static_cast<uint64_t>(plan_cpu_bundle(spec, shard).slot_bytes());
    if (shard.slot_count == header.expert_count && expert_bytes == header.expert_bytes) return {};
    return Status::error(Code::kBadData, "%s: its shape contradicts its sizes", file.name());
}

Status read_expert(const File& file, uint64_t offset, std::span<uint8_t> bytes,
                   const uint64_t* checksum, int64_t slot) {
    TRY(file.read_at(offset, bytes));
    if (checksum == nullptr || checksum_of(bytes) == *checksum) return {};
    return Status::error(Code::kChecksum, "%s: expert %lld is not what was written", file.name(),
                         static_cast<long long>(slot))
        .at_offset(offset);
}

}  // namespace

Status Bundle::save(const std::string& path) const {
    if (!sealed()) return Status::error(Code::kState, "the bundle is not sealed");
    if (cpu_ == nullptr) {
        return Status::error(Code::kUnsupported, "a bundle on a CUDA device cannot be saved");
    }
    if (shard_.slot_count != shard_.expert_count) {
        return Status::error(Code::kUnsupported,
                             "a bundle with fewer slots than experts cannot be saved");
    }
    const ReadersOrWriter::Reading reading(users_);
    if (!reading.held()) return Status::error(Code::kBusy, "the bundle is being changed");
    const auto count = static_cast<uint32_t>(shard_.slot_count);
    SavedHeader header = describe_spec(spec_);
    header.expert_count = count;
    header.expert_bytes = cpu_->slot_bytes(0).size();
    header.payload_offset = payload_offset(count);
    std::vector<uint64_t> checksums(count);
    context_->parallel->run(
        count, [&](uint32_t slot) { checksums[slot] = checksum_of(cpu_->slot_bytes(slot)); });
    TRY(AtomicFile file, AtomicFile::create(path));
    TRY(file.write(assemble(header, checksums)));
    for (uint32_t slot = 0; slot < count; ++slot) TRY(file.write(cpu_->slot_bytes(slot)));
    return file.commit();
}

Result<std::shared_ptr<Bundle>> Bundle::open(std::shared_ptr<const Context> context,
                                             const std::string& path, bool verify,
                                             const Progress& progress) {
    if (context->kind != DeviceKind::kCpu) {
        return Status::error(Code::kUnsupported, "saved bundles open on the CPU only");
    }
    TRY(const File file, File::open(path));
    TRY(const SavedHeader header, read_header(file));
    TRY(check_sizes(file, header));
    TRY(const std::vector<uint64_t> checksums, read_checksums(file, header));
    TRY(const BundleSpec spec, read_spec(header));
    TRY(check_shape(file, header, spec));
    TRY(const std::shared_ptr<Bundle> bundle, create(std::move(context), spec));
    const CpuStore& store = *bundle->cpu_;
    const int64_t count = bundle->shard_.slot_count;
    const auto at_a_time = static_cast<int64_t>(bundle->context_->parallel->thread_count());
    std::vector<Status> statuses(static_cast<size_t>(at_a_time));
    for (int64_t first = 0; first < count; first += at_a_time) {
        const int64_t batch = std::min(at_a_time, count - first);
        bundle->context_->parallel->run(static_cast<uint32_t>(batch), [&](uint32_t i) {
            const int64_t slot = first + i;
            const auto index = static_cast<uint64_t>(slot);
            statuses[i] = guarded([&]() -> Status {
                TRY(read_expert(file, header.payload_offset + index * header.expert_bytes,
                                store.slot_bytes(slot), verify ? &checksums[index] : nullptr,
                                slot));
                return store.check_input_order(slot);
            });
        });
        for (int64_t i = 0; i < batch; ++i) TRY(std::move(statuses[static_cast<size_t>(i)]));
        const auto done_bytes = static_cast<uint64_t>(first + batch) * header.expert_bytes;
        if (progress && !progress(done_bytes, bundle->resident_bytes())) {
            return Status::error(Code::kCancelled, "opening was cancelled");
        }
    }
    bundle->sealed_.store(true, std::memory_order_release);
    return bundle;
}

}  // namespace mmoe
