// SPDX-License-Identifier: Apache-2.0
// The handles: a reference to the object inside, and a tag that tells one kind from another.
#pragma once

#include <cstdint>
#include <memory>

#include "api/boundary.h"
#include "bundle/bundle.h"
#include "bundle/load_job.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/quant_config.h"
#include "device/context.h"
#include "exec/executor.h"

namespace mmoe::api {

// Different for every kind and cleared on destroy: a handle of the wrong kind, and most handles
// that were destroyed, are found before they do harm.
enum class Tag : uint64_t {
    kDestroyed = 0,
    kContext = 0x6d6d6f652d637478,
    kQuantConfig = 0x6d6d6f652d716366,
    kCheckpoint = 0x6d6d6f652d63686b,
    kBundle = 0x6d6d6f652d626e64,
    kExecutor = 0x6d6d6f652d657865,
    kLoad = 0x6d6d6f652d6c6f61,
};

template <Tag kTag, class Object>
struct Handle {
    explicit Handle(std::shared_ptr<Object> referenced) noexcept : object(std::move(referenced)) {}
    ~Handle() { tag = Tag::kDestroyed; }

    // Written by volatile so that the store in the destructor is not dropped as dead.
    volatile Tag tag = kTag;
    std::shared_ptr<Object> object;
    static constexpr Tag kKind = kTag;
};

}  // namespace mmoe::api

struct mmoe_context : mmoe::api::Handle<mmoe::api::Tag::kContext, const mmoe::Context> {
    using Handle::Handle;
};
struct mmoe_quant_config
    : mmoe::api::Handle<mmoe::api::Tag::kQuantConfig, const mmoe::QuantConfig> {
    using Handle::Handle;
};
struct mmoe_checkpoint : mmoe::api::Handle<mmoe::api::Tag::kCheckpoint, const mmoe::Checkpoint> {
    using Handle::Handle;
    std::shared_ptr<const mmoe::Allocator> allocator;  // of the context it was opened with
};
struct mmoe_bundle : mmoe::api::Handle<mmoe::api::Tag::kBundle, mmoe::Bundle> {
    using Handle::Handle;
};
struct mmoe_load : mmoe::api::Handle<mmoe::api::Tag::kLoad, mmoe::LoadJob> {
    using Handle::Handle;
};
struct mmoe_executor : mmoe::api::Handle<mmoe::api::Tag::kExecutor, mmoe::Executor> {
    using Handle::Handle;
};

namespace mmoe::api {

// Proves that a handle is there and of its kind.
template <class AnyHandle>
Status require_handle(const AnyHandle* handle, const char* name) noexcept {
    TRY(require_not_null(handle, name));
    if (handle->tag == AnyHandle::kKind) return {};
    return Status::error(Code::kInvalidArgument, "%s: not a live handle of its kind", name);
}

Result<Layer> read_layer(const mmoe_layer* given);
mmoe_layer describe_layer(const Layer& layer) noexcept;
mmoe_quant_fields describe_config(const QuantConfig& config) noexcept;
// Bundle options of every function that takes them.
struct BundleArguments {
    Split split;
    int64_t slot_count = 0;
    Progress progress;
};
Result<BundleArguments> read_bundle_options(const mmoe_bundle_options* options);
Progress progress_of(mmoe_progress_fn progress, void* user);

// Finds a layer by its index, or says how many there are.
Result<const LayerEntry*> find_layer(const Checkpoint& checkpoint, uint32_t layer);
Split read_split(const mmoe_split& given) noexcept;

}  // namespace mmoe::api
