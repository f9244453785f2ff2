// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include "helpers.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Scoring says how a router's logits become scores.
type Scoring int32

// Scorings.
const (
	ScoringSoftmax Scoring = C.MMOE_SCORING_SOFTMAX
	ScoringSigmoid Scoring = C.MMOE_SCORING_SIGMOID
)

// RouteArgs are the operands of Route.
type RouteArgs[T Element] struct {
	Logits         []T // [T, Experts]
	Experts, TopK  int
	Scoring        Scoring
	CorrectionBias []float32 // [Experts]: added to the scores to choose, not to the weights; may be nil
	GroupCount     uint32    // the experts form this many equal groups; 0: 1
	GroupsKept     uint32    // groups that experts are chosen from; 0: all
	Renormalize    bool      // divide the weights of a token by their sum
	Scale          float32   // multiplies every weight at the end; 0: 1
}

// Route chooses TopK experts for every token, as the routers of the known models do, on a context
// of the CPU. Ids and weights are [T, TopK], as Run takes them.
func Route[T Element](context *Context, args RouteArgs[T]) (ids []int32, weights []float32, err error) {
	defer runtime.KeepAlive(context)
	if args.Experts <= 0 || args.TopK < 0 || len(args.Logits)%args.Experts != 0 {
		return nil, nil, invalid(fmt.Sprintf("Logits: %d elements for %d experts and TopK %d",
			len(args.Logits), args.Experts, args.TopK))
	}
	if args.CorrectionBias != nil && len(args.CorrectionBias) != args.Experts {
		return nil, nil, invalid(fmt.Sprintf("CorrectionBias: expected %d elements, got %d", args.Experts,
			len(args.CorrectionBias)))
	}
	tokens := len(args.Logits) / args.Experts
	raw := C.mmoe_route_args{
		struct_size: C.sizeof_mmoe_route_args, scoring: C.mmoe_scoring(args.Scoring),
		group_count: C.uint32_t(args.GroupCount), groups_kept: C.uint32_t(args.GroupsKept),
		scale: C.float(args.Scale),
	}
	if args.Renormalize {
		raw.renormalize = 1
	}
	shape := C.struct_marlin_moe_go_route_shape{
		tokens: C.int64_t(tokens), experts: C.int64_t(args.Experts), top_k: C.int64_t(args.TopK),
		logits_dtype: C.mmoe_dtype(dtypeOf[T]()),
	}
	ids, weights = make([]int32, tokens*args.TopK), make([]float32, tokens*args.TopK)
	var bias unsafe.Pointer
	if args.CorrectionBias != nil {
		bias = address(args.CorrectionBias)
	}
	err = check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.marlin_moe_go_route(context.handle, raw, shape, address(args.Logits), bias,
			address(ids), address(weights), failure)
	})
	if err != nil {
		return nil, nil, err
	}
	return ids, weights, nil
}
