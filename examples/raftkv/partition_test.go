package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var rounds = flag.Int("rounds", 4, "how often TestPartitions cuts the leader off")

// network is what the servers of a fleet reach each other through.
type network interface {
	// cut loses what a server sends to the others, or is sent by them, or both.
	cut(id raft.ServerID, sent, received bool) error
	// heal loses nothing any more.
	heal() error
}

// A leader that is cut off stops working before another begins.
func TestPartitions(t *testing.T) {
	t.Parallel()
	namespaces(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*rounds)*20*time.Second)
		defer cancel()
		f := newFleet(ctx, t, whole)
		net := connect(t, f)
		f.startAll()
		var gaps []time.Duration
		for round := 0; len(gaps) < *rounds; round++ {
			if gap, ok := f.cutOff(net, round); ok {
				gaps = append(gaps, gap)
			}
		}
		f.ordered()
		before := 0
		for _, gap := range gaps {
			if gap > 0 {
				before++
			}
		}
		t.Logf("HeartbeatTimeout %v; from the last work of the leader that is cut off to the first of the next:\n%s", heartbeat, table(gaps))
		t.Logf("its work stops before the new leader's begins, %d of %d", before, len(gaps))
		if before < len(gaps) {
			t.Error("and that should be all")
		}
	})
}

// One that does not stop is found.
func TestPartitionOfStubborn(t *testing.T) {
	t.Parallel()
	namespaces(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f := newFleet(ctx, t, stubborn)
		net := connect(t, f)
		f.startAll()
		leader, token := f.agreed()
		if err := net.cut(leader, true, true); err != nil {
			t.Fatal(err)
		}
		f.successor(leader, token)
		f.until("the work of two leaders overlaps", func() bool { return len(wrong(f.all())) > 0 })
		t.Log(wrong(f.all()))
	})
}

// ways are those in which a leader is cut off, round by round.
var ways = []struct {
	name           string
	sent, received bool
}{{"all", true, true}, {"sent", true, false}, {"received", false, true}}

// cutOff cuts the leader off until another works, and returns the time between. It is not ok if the leader
// did not work any more when it was cut off.
func (f *fleet) cutOff(net network, round int) (gap time.Duration, ok bool) {
	leader, token := f.agreed()
	way := ways[round%len(ways)]
	if err := net.cut(leader, way.sent, way.received); err != nil {
		f.t.Fatal(err)
	}
	cut := monotonic()
	if code := f.read(leader); code < 300 || code == http.StatusNotFound {
		f.t.Errorf("round %d: %s answers a read with %d although it is cut off", round+1, leader, code)
	}
	next := f.successor(leader, token)
	if err := net.heal(); err != nil {
		f.t.Fatal(err)
	}
	f.agreed() // the old leader as well: what it did is on record
	var last time.Duration
	for _, w := range terms(f.all()) {
		if w.by == leader && w.token < next.token {
			last = w.end
		}
	}
	gap = f.gap(leader, next.token)
	f.t.Logf("round %2d: %-8s of %s is lost: it works on for %8.3f ms, %s begins %8.3f ms later",
		round+1, way.name, leader, ms(last-cut), next.by, ms(gap))
	return gap, last > cut
}

// read asks a server for a key, and returns what itself answers: 0 if it does not.
func (f *fleet) read(id raft.ServerID) int {
	ctx, cancel := context.WithTimeout(f.ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.peers[id].http+"/kv/any", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	itself := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := itself.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func table(gaps []time.Duration) string {
	sorted := slices.Sorted(slices.Values(gaps))
	return fmt.Sprintf("rounds      min   median      max\n%6d %5.0f ms %5.0f ms %5.0f ms",
		len(sorted), ms(sorted[0]), ms(sorted[len(sorted)/2]), ms(sorted[len(sorted)-1]))
}

// withProxies says aloud that a test has something else than a network: go test hides what a package
// prints when it passes, so that "make test" shows the file.
func withProxies(t *testing.T, why error) {
	line := fmt.Sprintf("%s: PROXIES INSTEAD OF A NETWORK: %v\n", t.Name(), why)
	fmt.Fprint(os.Stderr, line)
	if file := os.Getenv("TENURE_SKIPPED"); file != "" {
		if err := appendTo(file, line); err != nil {
			t.Fatal(err)
		}
	}
}
