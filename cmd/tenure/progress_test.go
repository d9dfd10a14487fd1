package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressIsToldNowAndThen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		progress *progress
		want     string
	}{
		"a file": {&progress{}, "tenure: x: 1 of 4\ntenure: x: 3 of 4\ntenure: x: 4 of 4\ntenure: y: 0 of 2\n"},
		"a terminal": {
			&progress{terminal: true},
			"\r\x1b[Kx: 1 of 4\r\x1b[Kx: 3 of 4\r\x1b[Kx: 4 of 4\r\x1b[Ky: 0 of 2",
		},
		"JSON on a terminal": {&progress{json: true, terminal: true}, strings.Join([]string{
			`{"event":"progress","phase":"x","done":1,"of":4}`, `{"event":"progress","phase":"x","done":3,"of":4}`,
			`{"event":"progress","phase":"x","done":4,"of":4}`, `{"event":"progress","phase":"y","done":0,"of":2}`,
		}, "\n") + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got strings.Builder
				tell := func(phase string, done, of int) { got.WriteString(c.progress.due(phase, done, of)) }
				tell("x", 1, 4)
				tell("x", 2, 4)   // too soon
				time.Sleep(apart) // in virtual time
				tell("x", 3, 4)
				tell("x", 4, 4) // the last is always told, and the first of another phase
				tell("y", 0, 2)
				if got.String() != c.want {
					t.Errorf("got %q, want %q", got.String(), c.want)
				}
			})
		})
	}
}

func TestTimesAreBrief(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 12: "12ns", 1234567: "1.23ms", 987654321: "988ms", 3333333333: "3.33s", -1234567: "-1.23ms", 13433333333: "13.4s",
	} {
		if got := brief(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
