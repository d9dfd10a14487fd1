package main

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cmd/tenure/internal/web"
	"github.com/tenure-go/tenure/store"
)

// storePages are the pages that read a store. They are the JSON of "tenure status",
// "tenure leader" and "tenure history".
func storePages(st func() (store.Store, error)) web.Pages {
	return web.Pages{
		Elections: func(ctx context.Context) (any, error) {
			st, err := st()
			if err != nil {
				return nil, err
			}
			all, err := tenure.Survey(ctx, st)
			if err != nil && !errors.Is(err, tenure.ErrCorrupt) {
				return nil, err
			}
			found := electionsJSON{Elections: []statusJSON{}}
			for _, s := range all {
				found.Elections = append(found.Elections, newStatusJSON(s))
			}
			if err != nil {
				found.Error = err.Error()
			}
			return found, nil
		},
		Election: func(ctx context.Context, name string) (any, error) {
			st, err := st()
			if err != nil {
				return nil, err
			}
			status, err := tenure.NewView(st, name).Status(ctx)
			if err != nil {
				return nil, err
			}
			return newStatusJSON(status), nil
		},
		Leader: func(ctx context.Context, name string) (any, error) {
			st, err := st()
			if err != nil {
				return nil, err
			}
			leader, ok, err := tenure.NewView(st, name).Read(ctx)
			switch {
			case err != nil:
				return nil, err
			case !ok:
				return nil, web.NotFoundError("nobody leads")
			}
			return newLeaderJSON(name, leader), nil
		},
		History: func(ctx context.Context, name string) (any, error) {
			st, err := st()
			if err != nil {
				return nil, err
			}
			terms, err := tenure.NewView(st, name).History(ctx)
			if err != nil {
				return nil, err
			}
			h := historyJSON{Terms: []termJSON{}}
			for _, t := range terms {
				h.Terms = append(h.Terms, newTermJSON(name, t))
			}
			return h, nil
		},
	}
}

type historyJSON struct {
	Terms []termJSON `json:"terms"`
}

type electionsJSON struct {
	Elections []statusJSON `json:"elections"`
	Error     string       `json:"error,omitempty"` // of what could not be read
}

// serveSite answers on a listener.
func (f *listenFlags) serveSite(l net.Listener, p web.Pages, report func(string)) *web.Server {
	return web.Serve(l, web.Handler(p, f.anywhere), report)
}

// buildInfo is a metric that says what runs.
func buildInfo() prometheus.Collector {
	v := version()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tenure_build_info", Help: "1: what runs.",
		ConstLabels: prometheus.Labels{"version": v.Version, "revision": v.Commit, "goversion": v.Go},
	}, func() float64 { return 1 })
}

// metricsPage shows metrics to Prometheus, to a few at once.
func metricsPage(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
