// SPDX-License-Identifier: Apache-2.0
// A bundle from Marlin matrices, and Marlin matrices from a bundle: expert by expert, several side
// by side where their bytes are in host memory.
#include "base/for_each_task.h"
#include "bundle/bundle.h"
#include "bundle/marlin_experts.h"
#include "bundle/saved_slot.h"

namespace mmoe {
namespace {

// Calls body(i), which returns Status, for all `count` experts; a failure names the expert.
template <class Body>
Status for_each_expert(Parallel* parallel, int64_t count, int64_t first_expert, const Body& body) {
    return for_each_task(parallel, count, [&](int64_t i) -> Status {
        return body(i).within("expert %lld", static_cast<long long>(first_expert + i));
    });
}

}  // namespace

Status Bundle::check_export(int64_t first_expert, int64_t count) const {
    for (int64_t expert = first_expert; expert < first_expert + count; ++expert) {
        TRY(check_expert(expert).within("expert %lld", static_cast<long long>(expert)));
        if (slots_[static_cast<size_t>(expert)] >= 0) continue;
        return Status::error(Code::kInvalidArgument, "expert %lld is not in the bundle",
                             static_cast<long long>(expert));
    }
    return {};
}

Status Bundle::export_marlin(int64_t first_expert, const MarlinExperts& experts) const {
    if (!sealed()) return Status::error(Code::kState, "the bundle is not sealed");
    const ReadersOrWriter::Reading reading(users_);
    if (!reading.held()) return Status::error(Code::kBusy, "the bundle is being changed");
    TRY(check_export(first_expert, experts.count));
    const SavedLayout layout = store_->saved_layout();
    const bool on_host = !store_->slot_bytes(0).empty();
    Buffer scratch;
    if (!on_host) {
        const uint64_t size_bytes = saved_slot_bytes(spec_, shard_, layout);
        TRY(scratch, Buffer::create(context_->allocator, size_bytes, "expert to export"));
    }
    return for_each_expert(
        on_host ? context_->parallel.get() : nullptr, experts.count, first_expert,
        [&](int64_t i) -> Status {
            const int64_t slot = slots_[static_cast<size_t>(first_expert + i)];
            std::span<const uint8_t> bytes = store_->slot_bytes(slot);
            if (!on_host) {
                const std::span<uint8_t> copied(scratch.data(), scratch.size_bytes());
                TRY(store_->read_slot(slot, copied));
                bytes = copied;
            }
            TRY(const std::unique_ptr<SlotReader> reader,
                open_slot({spec_, shard_, layout, slot}, bytes, context_->allocator));
            return pack_marlin_expert(*reader, spec_, shard_, experts.expert(i));
        });
}

Result<std::shared_ptr<Bundle>> Bundle::import_marlin(std::shared_ptr<const Context> context,
                                                      const BundleSpec& spec,
                                                      const MarlinExperts& experts) {
    TRY(const std::shared_ptr<Bundle> bundle, create(std::move(context), spec));
    const Context& where = *bundle->context_;
    const Shard& shard = bundle->shard_;
    TRY(for_each_expert(
        bundle->cpu_ != nullptr ? where.parallel.get() : nullptr, shard.slot_count,
        shard.first_expert, [&](int64_t slot) -> Status {
            TRY(const std::unique_ptr<SlotReader> reader,
                open_marlin_expert(bundle->spec_, shard, experts.expert(slot), where.allocator));
            return put_slot(*reader, bundle->spec_, shard, slot, *bundle->store_, where.allocator);
        }));
    bundle->store_->end_filling();
    bundle->sealed_.store(true, std::memory_order_release);
    return bundle;
}

}  // namespace mmoe
