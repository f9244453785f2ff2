// SPDX-License-Identifier: Apache-2.0

package marlinmoe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"marlinmoe"
)

// model is a small checkpoint, quantised with zero points: E 8, H 256, I 160, top 3.
const model = "../../tests/data/ct/w4a16_asym_g32_fp16"

// openModel gives the model on a CPU context; both are closed when the test ends, if not before.
func openModel(t testing.TB) (*marlinmoe.Context, *marlinmoe.Checkpoint) {
	t.Helper()
	device := cpu(t, marlinmoe.ContextOptions{})
	t.Cleanup(func() { device.Close() })
	checkpoint, err := marlinmoe.OpenCheckpoint(device, model)
	fatal(t, err)
	t.Cleanup(func() { checkpoint.Close() })
	return device, checkpoint
}

func TestLoadsComeInTheBackground(t *testing.T) {
	device, checkpoint := openModel(t)
	job, err := marlinmoe.StartLoad(device, checkpoint, 0, marlinmoe.BundleOptions{})
	fatal(t, err)
	fatal(t, checkpoint.Close()) // the load keeps what it needs
	fatal(t, device.Close())
	for {
		progress, err := job.Progress()
		fatal(t, err)
		if progress.Finished {
			break
		}
		time.Sleep(time.Millisecond)
	}
	bundle, err := job.Wait(context.Background())
	fatal(t, err)
	info, err := bundle.Info()
	fatal(t, err)
	if info.ResidentExperts != 8 || info.Layer.HiddenSize != 256 {
		t.Fatalf("%+v", info)
	}
	var failure *marlinmoe.Error
	_, err = job.Wait(context.Background())
	if !errors.As(err, &failure) || failure.Status != marlinmoe.StatusState {
		t.Fatalf("a second Wait: %v", err)
	}
	fatal(t, job.Close())
	fatal(t, job.Close())
	fatal(t, bundle.Close())
}

func TestContextsCancelLoads(t *testing.T) {
	device, checkpoint := openModel(t)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := marlinmoe.LoadBundleContext(gone, device, checkpoint, 0, marlinmoe.BundleOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	job, err := marlinmoe.StartLoad(device, checkpoint, 0, marlinmoe.BundleOptions{})
	fatal(t, err)
	defer job.Close()
	bundle, err := job.Wait(gone)
	if err == nil { // the load had been quicker
		fatal(t, bundle.Close())
	} else if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAJobIsSharedByGoroutines(t *testing.T) {
	device, checkpoint := openModel(t)
	job, err := marlinmoe.StartLoad(device, checkpoint, 0, marlinmoe.BundleOptions{})
	fatal(t, err)
	var group sync.WaitGroup
	taken := make(chan *marlinmoe.Bundle, 4)
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if _, err := job.Progress(); err != nil {
				t.Error(err)
			}
			if bundle, err := job.Wait(context.Background()); err == nil {
				taken <- bundle
			}
		}()
	}
	group.Wait()
	fatal(t, job.Close())
	if len(taken) != 1 {
		t.Fatalf("%d goroutines got the bundle", len(taken))
	}
	fatal(t, (<-taken).Close())
}

func TestProgressStopsALoadAndPanicsComeBack(t *testing.T) {
	device, checkpoint := openModel(t)
	_, err := marlinmoe.LoadBundle(device, checkpoint, 0, marlinmoe.BundleOptions{},
		func(_, _ uint64) bool { return false })
	var failure *marlinmoe.Error
	if !errors.As(err, &failure) || failure.Status != marlinmoe.StatusCancelled {
		t.Fatal(err)
	}
	defer func() {
		if recover() != "no more" {
			t.Fatal("the panic did not come back")
		}
	}()
	_, _ = marlinmoe.LoadBundle(device, checkpoint, 0, marlinmoe.BundleOptions{},
		func(_, _ uint64) bool { panic("no more") })
}

func TestExpertsComeAndGo(t *testing.T) {
	device, checkpoint := openModel(t)
	bundle, err := marlinmoe.LoadBundle(device, checkpoint, 0, marlinmoe.BundleOptions{Slots: 1}, nil)
	fatal(t, err)
	defer bundle.Close()
	fatal(t, bundle.PutFrom(checkpoint, 0, 5))
	if err := bundle.PutFrom(checkpoint, 0, 6); err == nil {
		t.Fatal("there was no free slot")
	}
	fatal(t, bundle.Evict(5))
	fatal(t, bundle.PutFrom(checkpoint, 0, 6))
}

func TestOneExpertIsPutOverAnother(t *testing.T) {
	device := cpu(t, marlinmoe.ContextOptions{})
	defer device.Close()
	bundle := tinyBundle(t, device)
	defer bundle.Close()
	codes, scales := make([]int32, inner*hidden/8), make([]float32, inner*hidden/32)
	for i := range codes {
		codes[i] = -0x66666667
	}
	for i := range scales {
		scales[i] = 1.0 / 64
	}
	var tensors []marlinmoe.ExpertTensor
	for _, p := range []struct {
		projection      marlinmoe.Projection
		outputs, inputs int
	}{{marlinmoe.Gate, inner, hidden}, {marlinmoe.Up, inner, hidden}, {marlinmoe.Down, hidden, inner}} {
		weight, err := marlinmoe.TensorOf(p.projection, marlinmoe.Weight, codes, p.outputs, p.inputs/8)
		fatal(t, err)
		scale, err := marlinmoe.TensorOf(p.projection, marlinmoe.Scale, scales, p.outputs, p.inputs/32)
		fatal(t, err)
		tensors = append(tensors, weight, scale)
	}
	fatal(t, bundle.Put(1, tensors))
	if got, want := run(t, device, bundle, 1)[0], run(t, device, bundle, 0)[0]; got != want {
		t.Fatalf("%g, not %g", got, want)
	}
	var failure *marlinmoe.Error
	err := bundle.Put(1, tensors[1:])
	if !errors.As(err, &failure) || failure.Status != marlinmoe.StatusMissingTensor {
		t.Fatal(err)
	}
}

func TestCheckpointsAreRead(t *testing.T) {
	_, checkpoint := openModel(t)
	layer, err := checkpoint.Layer(0)
	fatal(t, err)
	defer layer.Config.Close()
	if layer.TopK != 3 || layer.Layer.Experts != 8 {
		t.Fatalf("%+v", layer)
	}
	infos, err := checkpoint.Tensors()
	fatal(t, err)
	const name = "model.layers.0.mlp.gate.weight"
	info, err := checkpoint.Tensor(name)
	fatal(t, err)
	if len(infos) == 0 || info.Type != marlinmoe.TypeF16 || fmt.Sprint(info.Shape) != "[8 256]" {
		t.Fatalf("%d tensors, %+v", len(infos), info)
	}
	data, err := checkpoint.Read(name)
	fatal(t, err)
	if len(data) != 8*256*2 {
		t.Fatal(len(data))
	}
	weights, err := checkpoint.Dequantize(0, 0, marlinmoe.Up)
	fatal(t, err)
	if len(weights) != 256*160 {
		t.Fatal(len(weights))
	}
}

func TestPlansSayWhatAnObjectTakes(t *testing.T) {
	device, checkpoint := openModel(t)
	layer, err := checkpoint.Layer(0)
	fatal(t, err)
	plan, err := marlinmoe.PlanBundle(device, layer.Config, layer.Layer, marlinmoe.BundleOptions{})
	fatal(t, err)
	bundle, err := marlinmoe.LoadBundle(device, checkpoint, 0, marlinmoe.BundleOptions{}, nil)
	fatal(t, err)
	defer bundle.Close()
	info, err := bundle.Info()
	fatal(t, err)
	if plan.ResidentBytes != info.ResidentBytes {
		t.Fatalf("planned %d, took %d", plan.ResidentBytes, info.ResidentBytes)
	}
	workspace, err := marlinmoe.PlanExecutor(device, layer.Config, layer.Layer,
		marlinmoe.ExecutorOptions{MaxTokens: 4, MaxTopK: 3})
	fatal(t, err)
	if workspace.ResidentBytes == 0 {
		t.Fatal("a workspace takes something")
	}
}

func TestRoutersChooseTheBest(t *testing.T) {
	device := cpu(t, marlinmoe.ContextOptions{})
	defer device.Close()
	ids, weights, err := marlinmoe.Route(device, marlinmoe.RouteArgs[float32]{
		Logits: []float32{0, 2, 1, -1}, Experts: 4, TopK: 2, Renormalize: true})
	fatal(t, err)
	want := 1 / (1 + math.Exp(-1)) // of the best two, one apart
	if ids[0] != 1 || ids[1] != 2 || math.Abs(float64(weights[0])-want) > 1e-6 {
		t.Fatal(ids, weights)
	}
	_, _, err = marlinmoe.Route(device, marlinmoe.RouteArgs[float32]{Logits: []float32{0, 1, 2}, Experts: 2})
	if !errors.Is(err, marlinmoe.ErrInvalidArgument) {
		t.Fatal(err)
	}
}
