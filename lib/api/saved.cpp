// SPDX-License-Identifier: Apache-2.0
// Bundles from the background and from saved files.
#include "api/handles.h"

using namespace mmoe;
using namespace mmoe::api;

mmoe_status mmoe_load_start(mmoe_context* context, const mmoe_checkpoint* checkpoint,
                            uint32_t layer, const mmoe_bundle_options* options, mmoe_load** out,
                            mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(checkpoint, "checkpoint"));
        TRY(require_not_null(out, "out"));
        TRY(BundleArguments arguments, read_bundle_options(options));
        TRY(const LayerEntry* entry, find_layer(*checkpoint->object, layer));
        TRY(std::shared_ptr<LoadJob> job,
            LoadJob::start(context->object, checkpoint->object, *entry, arguments.split,
                           arguments.slot_count, std::move(arguments.progress)));
        *out = new mmoe_load(std::move(job));
        return {};
    });
}

mmoe_status mmoe_load_poll(const mmoe_load* load, mmoe_load_progress* progress, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(load, "load"));
        TRY(require_not_null(progress, "progress"));
        TRY(check_output(progress, "progress"));
        const LoadJob::Snapshot now = load->object->poll();
        mmoe_load_progress filled = {};
        filled.finished = now.finished ? 1 : 0;
        filled.done_bytes = now.done_bytes;
        filled.total_bytes = now.total_bytes;
        write_output(filled, progress);
        return {};
    });
}

mmoe_status mmoe_load_wait(mmoe_load* load, mmoe_bundle** out, mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(load, "load"));
        TRY(require_not_null(out, "out"));
        // Allocated first: a bundle that was taken must not get lost.
        auto handle = std::make_unique<mmoe_bundle>(nullptr);
        TRY(handle->object, load->object->wait());
        *out = handle.release();
        return {};
    });
}

void mmoe_load_cancel(mmoe_load* load) {
    if (require_handle(load, "load").ok()) load->object->cancel();
}

void mmoe_load_destroy(mmoe_load* load) {
    delete load;
}

mmoe_status mmoe_bundle_save(const mmoe_bundle* bundle, const char* path, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        TRY(require_not_null(path, "path"));
        return bundle->object->save(path);
    });
}

mmoe_status mmoe_bundle_open(mmoe_context* context, const char* path,
                             const mmoe_bundle_open_options* options, mmoe_bundle** out,
                             mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_not_null(path, "path"));
        TRY(require_not_null(out, "out"));
        mmoe_bundle_open_options known;
        TRY(read_options(options, "options", &known));
        TRY(std::shared_ptr<Bundle> bundle,
            Bundle::open(context->object, path, known.skip_checksums == 0,
                         progress_of(known.progress, known.progress_user)));
        *out = new mmoe_bundle(std::move(bundle));
        return {};
    });
}
