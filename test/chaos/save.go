//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"slices"
)

// ofEtcd is what a line of the history says that etcd's own tells of the fleet.
const ofEtcd = "is there"

// save writes all events to a file, one a line: those of the elections, then what the
// fleet has said and was told, and then what etcd says of it.
func (a *account) save(file string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	to := bufio.NewWriter(f)
	out := json.NewEncoder(to)
	put := func(member string, r report) {
		err = errors.Join(err, out.Encode(struct {
			Member string `json:"member"`
			report
		}{member, r}))
	}
	for _, e := range slices.Concat(a.events, a.etcd) {
		r := report{At: e.At.UnixNano(), What: e.Kind.String(), Election: e.Election, Token: e.Token, Revision: e.Revision, Text: e.Text}
		put(e.Member, r.because(e.Err))
	}
	for v, said := range a.words {
		for i, w := range said {
			r := report{At: w.at, What: attempted, Life: v.life, Key: v.key, N: i + 1, Value: w.value}
			put(v.node, r)
			if w.acknowledged > 0 {
				r.At, r.What = w.acknowledged, acknowledged
				put(v.node, r)
			}
		}
	}
	for member, all := range a.watches {
		for _, w := range all {
			for _, n := range w.notices {
				put(member, report{
					At: n.at, What: w.of, Life: w.life, Kind: n.kind, Node: n.of.node, Key: n.of.key, Value: n.value, Old: n.old,
					Role: n.role, OldRole: n.oldRole, Revision: n.rev, Since: n.since,
				})
			}
			if w.ended {
				put(member, report{What: watchEnded, Life: w.life, Kind: w.of, Err: w.cause})
			}
		}
	}
	for _, v := range slices.Concat(a.nodes.all, a.state.all) {
		put("", report{What: ofEtcd, Node: v.of.node, Key: v.of.key, Value: v.value, Revision: v.rev})
	}
	return errors.Join(err, to.Flush(), f.Close())
}
