//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
)

// save writes all events to a file, one a line.
func (a *account) save(file string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	out := json.NewEncoder(f)
	for _, e := range slices.Concat(a.events, a.etcd) {
		r := report{At: e.At.UnixNano(), What: e.Kind.String(), Election: e.Election, Token: e.Token, Revision: e.Revision, Text: e.Text}
		err = errors.Join(err, out.Encode(struct {
			Member string `json:"member"`
			report
		}{e.Member, r.because(e.Err)}))
	}
	return errors.Join(err, f.Close())
}
