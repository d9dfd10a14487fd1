package raftleadtest_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead/raftleadtest"
)

func TestTheScaleMultipliesTimeouts(t *testing.T) {
	for what, x := range map[string]struct {
		text   string
		option float64
		want   time.Duration
	}{
		"neither":         {"", 0, time.Second},
		"the environment": {"2.5", 0, 2500 * time.Millisecond},
		"the option":      {"", 3, 3 * time.Second},
		"both":            {"2.5", 3, 3 * time.Second},
		"less":            {"0.5", 0, 500 * time.Millisecond},
	} {
		t.Run(what, func(t *testing.T) {
			t.Setenv(raftleadtest.ScaleVariable, x.text)
			synctest.Test(t, func(t *testing.T) {
				tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{Scale: x.option})
				defer func() { must(t, tracker.Close()) }()
				must(t, tracker.Track("0", make(script)))
				began := time.Now()
				_, err := expect(t, tracker, "0", time.Second).Done(t.Context())
				if got := time.Since(began); !errors.Is(err, raftleadtest.ErrTimeout) || got != x.want {
					t.Errorf("%v after %v, want %v", err, got, x.want)
				}

				c, err := raftleadtest.NewCluster(raftleadtest.ClusterOptions{Scale: x.option, Timeout: 2 * time.Second})
				must(t, err)
				defer func() { must(t, c.Close()) }()
				if got, want := c.Server("0").Raft().ReloadableConfig().HeartbeatTimeout, x.want/5; got != want {
					t.Errorf("a heartbeat timeout of %v, want %v", got, want)
				}
				elect(t, c, "0")
				hold, err := c.Hold(raftleadtest.Enqueued, 1)
				must(t, err)
				began = time.Now()
				if err, got := hold.Wait(t.Context()), time.Since(began); !errors.Is(err, raftleadtest.ErrTimeout) || got != 2*x.want {
					t.Errorf("%v after %v, want %v", err, got, 2*x.want)
				}
			})
		})
	}
}

func TestAScaleThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{"fast", "0", "-1", "NaN", "Inf", "1s"} {
		t.Run(text, func(t *testing.T) {
			t.Setenv(raftleadtest.ScaleVariable, text)
			tracker := raftleadtest.NewTracker(raftleadtest.TrackerOptions{})
			defer func() { must(t, tracker.Close()) }()
			_, expected := tracker.Expect("0", time.Second)
			_, cluster := raftleadtest.NewCluster(raftleadtest.ClusterOptions{})
			_, scale := raftleadtest.Scale()
			for what, err := range map[string]error{"Track": tracker.Track("0", make(script)), "Expect": expected, "NewCluster": cluster, "Scale": scale} {
				if !errors.Is(err, tenure.ErrInvalid) || !strings.Contains(err.Error(), raftleadtest.ScaleVariable) || !strings.Contains(err.Error(), text) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
