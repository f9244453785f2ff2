// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include <stdlib.h>
// #include "helpers.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// Activation is the nonlinearity between the two GEMMs.
type Activation int32

// Nonlinearities; marlin_moe.h has the formulas.
const (
	SiLU      Activation = C.MMOE_ACTIVATION_SILU
	GELU      Activation = C.MMOE_ACTIVATION_GELU
	GELUTanh  Activation = C.MMOE_ACTIVATION_GELU_TANH
	ReLU2     Activation = C.MMOE_ACTIVATION_RELU2
	SwiGLUOAI Activation = C.MMOE_ACTIVATION_SWIGLUOAI
)

// GateForm says which projections feed the activation.
type GateForm int32

// Forms of gates.
const (
	GateSeparate    GateForm = C.MMOE_GATE_SEPARATE
	GateInterleaved GateForm = C.MMOE_GATE_INTERLEAVED
	GateNone        GateForm = C.MMOE_GATE_NONE
)

// Layer is the shape and arithmetic of one MoE layer. Zero is the default of every member but
// the sizes.
type Layer struct {
	Experts, HiddenSize, IntermediateSize uint32
	Activation                            Activation
	GateForm                              GateForm
	Alpha, Beta, Limit                    float32
	Bias                                  bool
	RouterWeightOnInput                   bool
}

func (l Layer) raw() C.mmoe_layer {
	raw := C.mmoe_layer{
		struct_size:       C.sizeof_mmoe_layer,
		expert_count:      C.uint32_t(l.Experts),
		hidden_size:       C.uint32_t(l.HiddenSize),
		intermediate_size: C.uint32_t(l.IntermediateSize),
		activation:        C.mmoe_activation(l.Activation),
		gate_form:         C.mmoe_gate_form(l.GateForm),
		alpha:             C.float(l.Alpha),
		beta:              C.float(l.Beta),
		limit:             C.float(l.Limit),
	}
	if l.Bias {
		raw.flags |= C.MMOE_LAYER_BIAS
	}
	if l.RouterWeightOnInput {
		raw.flags |= C.MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT
	}
	return raw
}

func layerOf(raw C.mmoe_layer) Layer {
	return Layer{
		Experts:             uint32(raw.expert_count),
		HiddenSize:          uint32(raw.hidden_size),
		IntermediateSize:    uint32(raw.intermediate_size),
		Activation:          Activation(raw.activation),
		GateForm:            GateForm(raw.gate_form),
		Alpha:               float32(raw.alpha),
		Beta:                float32(raw.beta),
		Limit:               float32(raw.limit),
		Bias:                raw.flags&C.MMOE_LAYER_BIAS != 0,
		RouterWeightOnInput: raw.flags&C.MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT != 0,
	}
}

// Split says how a layer is divided over parallel ranks. The zero value is not at all.
type Split struct {
	TensorRanks, TensorRank, ExpertRanks, ExpertRank uint32
}

func (s Split) raw() C.mmoe_split {
	return C.mmoe_split{
		tensor_ranks: C.uint32_t(s.TensorRanks), tensor_rank: C.uint32_t(s.TensorRank),
		expert_ranks: C.uint32_t(s.ExpertRanks), expert_rank: C.uint32_t(s.ExpertRank),
	}
}

// GroupSizeChannel means one scale a channel (an output).
const GroupSizeChannel = C.MMOE_GROUP_SIZE_CHANNEL

// QuantFields are the fields of a quant config; the integers are the MMOE_* values of
// marlin_moe.h. Bits and GroupSize are required.
type QuantFields struct {
	Format        int32
	Bits          int32
	GroupSize     int32
	Asymmetric    bool
	ZeroPointForm int32
	Order         int32
	ScaleType     DType // 0: as a checkpoint's tensors say, else bf16
}

// QuantConfig says how weights were quantised.
type QuantConfig struct{ handle *C.mmoe_quant_config }

func quantConfigOf(handle *C.mmoe_quant_config) *QuantConfig {
	config := &QuantConfig{handle}
	runtime.SetFinalizer(config, func(c *QuantConfig) { c.Close() })
	return config
}

// NewQuantConfig makes a quant config from its fields.
func NewQuantConfig(fields QuantFields) (*QuantConfig, error) {
	raw := C.mmoe_quant_fields{
		struct_size:     C.sizeof_mmoe_quant_fields,
		format:          C.mmoe_format(fields.Format),
		bits:            C.int32_t(fields.Bits),
		group_size:      C.int32_t(fields.GroupSize),
		zero_point_form: C.mmoe_zero_point_form(fields.ZeroPointForm),
		order:           C.mmoe_order(fields.Order),
		scale_dtype:     C.mmoe_dtype(fields.ScaleType),
	}
	if fields.Asymmetric {
		raw.symmetry = C.MMOE_ASYMMETRIC
	}
	var handle *C.mmoe_quant_config
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_quant_config_create(&raw, &handle, failure)
	})
	if err != nil {
		return nil, err
	}
	return quantConfigOf(handle), nil
}

// LoadQuantConfig reads the quant config that a model's config.json gives one module; with an
// empty module the config must name a single scheme.
func LoadQuantConfig(path, module string) (*QuantConfig, error) {
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	var cModule *C.char
	if module != "" {
		cModule = C.CString(module)
		defer C.free(unsafe.Pointer(cModule))
	}
	var handle *C.mmoe_quant_config
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_quant_config_load(cPath, cModule, &handle, failure)
	})
	if err != nil {
		return nil, err
	}
	return quantConfigOf(handle), nil
}

// Fields gives back the config's fields.
func (c *QuantConfig) Fields() (QuantFields, error) {
	raw := C.mmoe_quant_fields{struct_size: C.sizeof_mmoe_quant_fields}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_quant_config_info(c.handle, &raw, failure)
	})
	runtime.KeepAlive(c)
	return QuantFields{
		Format: int32(raw.format), Bits: int32(raw.bits), GroupSize: int32(raw.group_size),
		Asymmetric: raw.symmetry == C.MMOE_ASYMMETRIC, ZeroPointForm: int32(raw.zero_point_form),
		Order: int32(raw.order), ScaleType: DType(raw.scale_dtype),
	}, err
}

// Close drops the reference.
func (c *QuantConfig) Close() error {
	if c.handle != nil {
		C.go_mmoe_quant_config_destroy(c.handle)
		c.handle = nil
		runtime.SetFinalizer(c, nil)
	}
	return nil
}

// Support is the answer of QuerySupport.
type Support struct {
	Supported bool
	Reasons   uint64 // MMOE_REASON_* bits
	Sentence  string // why not
	Remedy    string // the smallest change that helps, or empty

	MostTensorRanks        uint32 // that work, not above those asked about; 0: the layer cannot run
	LocalIntermediateSize  uint32 // channels of this rank; 0 if not supported, as the fields below
	PaddedIntermediateSize uint32 // the same as kept on the device
	LocalGroupSize         uint32 // channels of this rank that share a scale of down
}

// QuerySupport asks whether a layer can run, before anything is loaded.
func QuerySupport(context *Context, config *QuantConfig, layer Layer, split Split) (Support, error) {
	rawLayer, rawSplit := layer.raw(), split.raw()
	raw := C.mmoe_support{struct_size: C.sizeof_mmoe_support}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_support_query(context.handle, config.handle, &rawLayer, &rawSplit, &raw, failure)
	})
	runtime.KeepAlive(context)
	runtime.KeepAlive(config)
	return Support{
		Supported: raw.supported != 0, Reasons: uint64(raw.reasons),
		Sentence: C.GoString(&raw.sentence[0]), Remedy: C.GoString(&raw.remedy[0]),
		MostTensorRanks:        uint32(raw.most_tensor_ranks),
		LocalIntermediateSize:  uint32(raw.local_intermediate_size),
		PaddedIntermediateSize: uint32(raw.padded_intermediate_size),
		LocalGroupSize:         uint32(raw.local_group_size),
	}, err
}
