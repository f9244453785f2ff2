// SPDX-License-Identifier: Apache-2.0

package marlinmoe_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"marlinmoe"
)

const hidden, inner = 64, 32

func TestMain(m *testing.M) {
	if err := marlinmoe.Load(""); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tinyBundle has two experts: all weights are 1/64 in the first and 2/64 in the second.
func tinyBundle(t testing.TB, context *marlinmoe.Context) *marlinmoe.Bundle {
	t.Helper()
	config, err := marlinmoe.NewQuantConfig(
		marlinmoe.QuantFields{Bits: 4, GroupSize: 32, ScaleType: marlinmoe.TypeF32})
	fatal(t, err)
	defer config.Close()
	layer := marlinmoe.Layer{Experts: 2, HiddenSize: hidden, IntermediateSize: inner}
	builder, err := marlinmoe.NewBundleBuilder(context, config, layer, marlinmoe.BundleOptions{})
	fatal(t, err)
	defer builder.Close()
	for expert := uint32(0); expert < 2; expert++ {
		for _, p := range []struct {
			projection      marlinmoe.Projection
			outputs, inputs int
		}{{marlinmoe.Gate, inner, hidden}, {marlinmoe.Up, inner, hidden}, {marlinmoe.Down, hidden, inner}} {
			codes := make([]int32, p.outputs*p.inputs/8)
			for i := range codes {
				codes[i] = -0x66666667 // eight codes of 9; the zero point is 8
			}
			scales := make([]float32, p.outputs*p.inputs/32)
			for i := range scales {
				scales[i] = float32(expert+1) / 64
			}
			fatal(t, marlinmoe.Set(builder, expert, p.projection, marlinmoe.Weight, codes, p.outputs, p.inputs/8))
			fatal(t, marlinmoe.Set(builder, expert, p.projection, marlinmoe.Scale, scales, p.outputs, p.inputs/32))
		}
	}
	bundle, err := builder.Seal()
	fatal(t, err)
	return bundle
}

func cpu(t testing.TB, options marlinmoe.ContextOptions) *marlinmoe.Context {
	t.Helper()
	options.Device = marlinmoe.DeviceCPU
	context, err := marlinmoe.NewContext(options)
	fatal(t, err)
	return context
}

// run gives one token of ones to one expert.
func run(t testing.TB, context *marlinmoe.Context, bundle *marlinmoe.Bundle, expert int32) []float32 {
	t.Helper()
	executor, err := marlinmoe.NewExecutor(context, bundle,
		marlinmoe.ExecutorOptions{MaxTokens: 1, MaxTopK: 1, Hidden: marlinmoe.TypeF32})
	fatal(t, err)
	defer executor.Close()
	ones, output := make([]float32, hidden), make([]float32, hidden)
	for i := range ones {
		ones[i] = 1
		output[i] = float32(math.NaN())
	}
	fatal(t, marlinmoe.Run(executor, bundle, marlinmoe.RunArgs[float32, float32]{
		Hidden: ones, ExpertIDs: []int32{expert}, ExpertWeights: []float32{1}, TopK: 1, Output: output,
	}))
	return output
}

func TestExpertsDifferAndStraysAreZero(t *testing.T) {
	context := cpu(t, marlinmoe.ContextOptions{Threads: 2})
	defer context.Close()
	bundle := tinyBundle(t, context)
	defer bundle.Close()
	for expert := int32(0); expert < 3; expert++ {
		x := float64(expert + 1)
		want := inner * x / 64 * x * x / (1 + math.Exp(-x))
		if expert == 2 {
			want = 0
		}
		for _, got := range run(t, context, bundle, expert) {
			if math.Abs(float64(got)-want) > 1e-4*want {
				t.Fatalf("expert %d: expected %g, got %g", expert, want, got)
			}
		}
	}
}

func TestGoroutinesShareABundle(t *testing.T) {
	context := cpu(t, marlinmoe.ContextOptions{Threads: 2})
	bundle := tinyBundle(t, context)
	want := run(t, context, bundle, 1)
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			got := run(t, context, bundle, 1)
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("output %d: %g, not %g", i, got[i], want[i])
				}
			}
		}()
	}
	group.Wait()
	fatal(t, context.Close())
	fatal(t, bundle.Close())
	fatal(t, bundle.Close())
}

func TestSavedBundlesOpenAgain(t *testing.T) {
	context := cpu(t, marlinmoe.ContextOptions{})
	defer context.Close()
	bundle := tinyBundle(t, context)
	path := filepath.Join(t.TempDir(), "layer.bundle")
	fatal(t, bundle.Save(path))
	opened, err := marlinmoe.OpenBundle(context, path)
	fatal(t, err)
	if got, want := run(t, context, opened, 0)[0], run(t, context, bundle, 0)[0]; got != want {
		t.Fatalf("%g, not %g", got, want)
	}
}

func TestErrorsHaveACategoryAndASentence(t *testing.T) {
	_, err := marlinmoe.NewQuantConfig(marlinmoe.QuantFields{Bits: 5, GroupSize: 32})
	if !errors.Is(err, marlinmoe.ErrInvalidArgument) || err.Error() == "" {
		t.Fatal(err)
	}
	context := cpu(t, marlinmoe.ContextOptions{})
	defer context.Close()
	_, err = marlinmoe.OpenCheckpoint(context, "/nonexistent/model")
	if !errors.Is(err, marlinmoe.ErrIO) {
		t.Fatal(err)
	}
	config, err := marlinmoe.NewQuantConfig(marlinmoe.QuantFields{Bits: 4, GroupSize: 32})
	fatal(t, err)
	answer, err := marlinmoe.QuerySupport(context, config,
		marlinmoe.Layer{Experts: 1, HiddenSize: 65, IntermediateSize: 32}, marlinmoe.Split{})
	fatal(t, err)
	if answer.Supported || answer.Sentence == "" {
		t.Fatalf("%+v", answer)
	}
}

func TestLogLinesMayCome(t *testing.T) {
	var mutex sync.Mutex
	var lines []string
	context := cpu(t, marlinmoe.ContextOptions{LogLevel: marlinmoe.LogDebug,
		Log: func(_ marlinmoe.LogLevel, line string) {
			mutex.Lock()
			defer mutex.Unlock()
			lines = append(lines, line)
		}})
	bundle := tinyBundle(t, context)
	fatal(t, context.Close())
	runtime.GC()
	fatal(t, bundle.Close()) // may still log
}
