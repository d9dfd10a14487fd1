package promtrace_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/promtrace"
	"github.com/tenure-go/tenure/store/memstore"
)

// A member whose metrics are told to Prometheus. A program would have promhttp.HandlerFor
// show the registry.
func Example() {
	ctx, st := context.Background(), memstore.New()
	registry, id := prometheus.NewRegistry(), tenure.NewID()
	metrics, err := promtrace.New(registry, id, promtrace.Options{Elections: []string{"nightly"}})
	if err != nil {
		log.Fatal(err)
	}
	defer metrics.Close()
	m, err := tenure.Join(ctx, st, tenure.Options{ID: id, Trace: metrics.Trace()})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	err = m.Lead(ctx, "nightly", func(ctx context.Context, t tenure.Term) error {
		metrics.TrackTerm("nightly", t)
		all, err := registry.Gather()
		for _, family := range all {
			if name := family.GetName(); strings.HasPrefix(name, "tenure_is_") {
				fmt.Println(name, family.GetMetric()[0].GetGauge().GetValue())
			}
		}
		return err
	}, tenure.LeadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	// Output: tenure_is_leader 1
}

// Who only looks on follows elections without being a member.
func ExampleMetrics_Observe() {
	ctx, cancel := context.WithCancel(context.Background())
	st, registry := memstore.New(), prometheus.NewRegistry()
	metrics, err := promtrace.New(registry, "monitoring", promtrace.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer metrics.Close()
	done := make(chan error)
	go func() { done <- metrics.Observe("nightly", tenure.NewView(st, "nightly").Observe(ctx)) }()
	cancel()
	fmt.Println(<-done)
	// Output: observe "nightly": context canceled
}
