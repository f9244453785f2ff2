// SPDX-License-Identifier: Apache-2.0
// Input: a config.json. Every scheme that is accepted must be one that the library can name.
#include "checkpoint/model_config.h"
#include "target.h"

using namespace mmoe;

namespace {

void require_scheme(Result<QuantConfig> config) {
    if (!config.ok()) return fuzz::require_sentence(config.status());
    fuzz::require(validate(config.value()).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto parsed = parse_model_config(fuzz::as_text(data, size));
    if (!parsed.ok()) {
        fuzz::require_sentence(parsed.status());
        return 0;
    }
    const ModelConfig& config = parsed.value();
    fuzz::require(config.hidden_size.value_or(1) > 0 && config.expert_count.value_or(1) > 0);
    for (const bool gated : {true, false}) {
        Layer layer;
        const Status status = apply_model_config(config, gated, &layer);
        if (!status.ok()) fuzz::require_sentence(status);
        fuzz::require(!status.ok() || layer.gated() == gated);
    }
    if (!config.schemes_problem.ok()) {
        fuzz::require_sentence(config.schemes_problem);
        return 0;
    }
    MatchBudget budget;
    require_scheme(config.schemes.of("model.layers.0.mlp.experts.0.gate_proj", &budget));
    require_scheme(config.schemes.of("", &budget));
    require_scheme(config.schemes.only());
    return 0;
}
