// SPDX-License-Identifier: Apache-2.0

package marlinmoe_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"marlinmoe"
)

// A layer of a model, from its directory to an output. Load has been called before.
func Example() {
	device, err := marlinmoe.NewContext(marlinmoe.ContextOptions{Device: marlinmoe.DeviceCPU})
	if err != nil {
		panic(err)
	}
	defer device.Close()
	checkpoint, err := marlinmoe.OpenCheckpoint(device, "../../tests/data/ct/w4a16_asym_g32_fp16")
	if err != nil {
		panic(err)
	}
	defer checkpoint.Close()
	bundle, err := marlinmoe.LoadBundle(device, checkpoint, 0, marlinmoe.BundleOptions{}, nil)
	if err != nil {
		panic(err)
	}
	defer bundle.Close()
	executor, err := marlinmoe.NewExecutor(device, bundle,
		marlinmoe.ExecutorOptions{MaxTokens: 1, MaxTopK: 2, Hidden: marlinmoe.TypeF32})
	if err != nil {
		panic(err)
	}
	defer executor.Close()
	hidden, output := make([]float32, 256), make([]float32, 256)
	hidden[0] = 1
	err = marlinmoe.Run(executor, bundle, marlinmoe.RunArgs[float32, float32]{
		Hidden: hidden, ExpertIDs: []int32{0, 1}, ExpertWeights: []float32{0.75, 0.25}, TopK: 2,
		Output: output,
	})
	fmt.Println(err, output[0] != 0)
	// Output: <nil> true
}

// A load that gives up when its context ends.
func ExampleLoadBundleContext() {
	device, err := marlinmoe.NewContext(marlinmoe.ContextOptions{Device: marlinmoe.DeviceCPU})
	if err != nil {
		panic(err)
	}
	defer device.Close()
	checkpoint, err := marlinmoe.OpenCheckpoint(device, "../../tests/data/ct/w4a16_asym_g32_fp16")
	if err != nil {
		panic(err)
	}
	defer checkpoint.Close()
	patient, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bundle, err := marlinmoe.LoadBundleContext(patient, device, checkpoint, 0, marlinmoe.BundleOptions{})
	if err != nil {
		panic(err)
	}
	defer bundle.Close()
	info, err := bundle.Info()
	fmt.Println(info.ResidentExperts, err)
	// Output: 8 <nil>
}

// Router logits become ids and weights as Run takes them.
func ExampleRoute() {
	device, err := marlinmoe.NewContext(marlinmoe.ContextOptions{Device: marlinmoe.DeviceCPU})
	if err != nil {
		panic(err)
	}
	defer device.Close()
	ids, weights, err := marlinmoe.Route(device, marlinmoe.RouteArgs[float32]{
		Logits: []float32{0, 2, 1, -1}, Experts: 4, TopK: 2, Renormalize: true,
	})
	fmt.Printf("%v %.2f %v\n", ids, weights, err)
	// Output: [1 2] [0.73 0.27] <nil>
}

// Errors have a category for errors.Is, and everything else for errors.As.
func ExampleError() {
	_, err := marlinmoe.NewQuantConfig(marlinmoe.QuantFields{Bits: 3, GroupSize: 32})
	var failure *marlinmoe.Error
	fmt.Println(errors.Is(err, marlinmoe.ErrInvalidArgument), errors.As(err, &failure))
	// Output: true true
}
