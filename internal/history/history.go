// Package history is the record of an election's last terms, as their holders have
// written them down. It holds no I/O and no clock.
package history

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure/internal/protocol"
)

// Limits of a record. It is written as a whole with every term, so it is kept small.
const (
	MaxTerms = 100
	MaxText  = 256       // bytes of an endpoint or a cause
	MaxSize  = 128 << 10 // bytes of a value
)

const format = 1

// Term is one term. Each is written by its holder alone.
type Term struct {
	Token    protocol.Token `json:"token"`
	Member   string         `json:"member"`
	Endpoint string         `json:"endpoint,omitempty"`
	// By the wall clock of the holder. To is zero as long as it goes on.
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
	// Cause of its end. Empty: the holder has not said that it has ended.
	Cause string `json:"cause,omitempty"`
}

// NewTerm returns a term that goes on.
func NewTerm(token protocol.Token, member, endpoint string, from time.Time) Term {
	return Term{Token: token, Member: member, Endpoint: shortened(endpoint), From: moment(from)}
}

// End returns the term as it has ended.
func (t Term) End(to time.Time, cause string) Term {
	t.To, t.Cause = moment(to), cmp.Or(shortened(cause), "no reason given")
	return t
}

// moment is as precise as people read it, and in the zone that all of them know.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// shortened is a text of others' within the limit, and in UTF-8.
func shortened(text string) string {
	const more = "..."
	if len(text) > MaxText {
		end := MaxText - len(more)
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + more
	}
	return strings.ToValidUTF8(text, "?") // no longer than it was
}

// Record is the value of an election's history: its last terms, by rising tokens.
type Record struct {
	Format int    `json:"v"`
	Terms  []Term `json:"terms"`
}

// Decode reads a record. What was not written by this package is ErrCorrupt.
func Decode(b []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("%w: history: %w", protocol.ErrCorrupt, err)
	}
	if r.Format != format {
		return Record{}, fmt.Errorf("%w: history of format %d, and this program reads %d", protocol.ErrCorrupt, r.Format, format)
	}
	var before protocol.Token
	for _, t := range r.Terms {
		if t.Token <= before {
			return Record{}, fmt.Errorf("%w: history has token %d after %d", protocol.ErrCorrupt, t.Token, before)
		}
		before = t.Token
	}
	return r, nil
}

// Put adds a term, or replaces what was known of it, and forgets the oldest beyond
// MaxTerms.
func (r *Record) Put(t Term) {
	i, known := slices.BinarySearchFunc(r.Terms, t.Token, func(t Term, token protocol.Token) int { return cmp.Compare(t.Token, token) })
	if known {
		r.Terms[i] = t
		return
	}
	r.Terms = slices.Insert(r.Terms, i, t)
	r.Terms = r.Terms[max(len(r.Terms)-MaxTerms, 0):]
}

// Encode returns the value of the record, in which the oldest terms are left out that do
// not fit into limit bytes. One stays in any case.
func (r *Record) Encode(limit int) ([]byte, error) {
	kept := Record{Format: format, Terms: r.Terms}
	for {
		b, err := json.Marshal(kept)
		if err != nil { // a year that no calendar has
			return nil, fmt.Errorf("history: %w", err)
		}
		if len(b) <= limit || len(kept.Terms) <= 1 {
			return b, nil
		}
		kept.Terms = kept.Terms[1:]
	}
}
