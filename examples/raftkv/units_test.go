package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
)

// unit is one unit of a leader's work: by the host's clock, from before it was asked whether
// the term is held until after what it did last.
type unit struct {
	token      tenure.Token
	by         raft.ServerID
	begin, end time.Duration
}

// write appends a unit to the trace of a server.
func (u unit) write(file string) error {
	return appendTo(file, fmt.Sprintln(u.token, u.by, int64(u.begin), int64(u.end)))
}

// trace is all that the leaders of a cluster have done. It reads each unit once, because it is
// asked often.
type trace struct {
	t     *testing.T
	dir   string
	ids   []raft.ServerID
	read  map[raft.ServerID]int64
	units []unit
}

func traceOf(dir string, id raft.ServerID) string { return filepath.Join(dir, string(id)+".units") }

func newTrace(t *testing.T, dir string, of peers) *trace {
	tr := &trace{t: t, dir: dir, read: map[raft.ServerID]int64{}}
	for id := range of {
		tr.ids = append(tr.ids, id)
	}
	return tr
}

// all returns the units that there are now.
func (tr *trace) all() []unit {
	for _, id := range tr.ids {
		f, err := os.Open(traceOf(tr.dir, id))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			tr.t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(f, tr.read[id], 1<<40))
		_ = f.Close()
		if err != nil {
			tr.t.Fatal(err)
		}
		text = text[:bytes.LastIndexByte(text, '\n')+1]
		tr.read[id] += int64(len(text))
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			var u unit
			if _, err := fmt.Sscan(lines.Text(), (*int64)(&u.token), (*string)(&u.by), (*int64)(&u.begin), (*int64)(&u.end)); err != nil {
				tr.t.Fatalf("%q: %v", lines.Text(), err)
			}
			tr.units = append(tr.units, u)
		}
	}
	return tr.units
}

// work is what was done in one term.
type work struct {
	unit  // from its first to its last
	units int
}

// terms are the units by their token, which rises.
func terms(units []unit) (all []work) {
	of := map[tenure.Token]*work{}
	for _, u := range units {
		w := of[u.token]
		if w == nil {
			w = &work{unit: u}
			of[u.token] = w
		}
		w.begin, w.end = min(w.begin, u.begin), max(w.end, u.end)
		w.units++
	}
	for _, w := range of {
		all = append(all, *w)
	}
	slices.SortFunc(all, func(a, b work) int { return cmp.Compare(a.token, b.token) })
	return all
}

// wrong says what must not be: two servers with one token, or work of one term before that
// of an earlier one was over.
func wrong(units []unit) (found []string) {
	by := map[tenure.Token]raft.ServerID{}
	for _, u := range units {
		if other, ok := by[u.token]; ok && other != u.by {
			found = append(found, fmt.Sprintf("token %d is that of %s, and of %s", u.token, other, u.by))
		}
		by[u.token] = u.by
	}
	var before work
	for _, w := range terms(units) {
		if before.units > 0 && w.begin <= before.end {
			found = append(found, fmt.Sprintf("%s works with token %d %v before %s does not any more, with token %d",
				w.by, w.token, before.end-w.begin, before.by, before.token))
		}
		if w.end > before.end {
			before = w
		}
	}
	return found
}

func TestWrong(t *testing.T) {
	for _, c := range []struct {
		units []unit
		found int
	}{
		{nil, 0},
		{[]unit{{1, "a", 1, 2}, {1, "a", 2, 3}, {2, "b", 4, 5}}, 0},
		{[]unit{{1, "a", 1, 2}, {2, "b", 4, 5}, {1, "a", 3, 4}}, 1},
		{[]unit{{1, "a", 1, 2}, {2, "b", 3, 4}, {1, "a", 5, 6}}, 1},
		{[]unit{{1, "a", 1, 9}, {2, "b", 3, 4}, {3, "c", 5, 6}}, 2},
		{[]unit{{1, "a", 1, 2}, {1, "b", 3, 4}}, 1},
	} {
		if found := wrong(c.units); len(found) != c.found {
			t.Errorf("%v: found %q, want %d", c.units, found, c.found)
		}
	}
}
