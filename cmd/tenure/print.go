package main

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/tenure-go/tenure"
)

// printJSON prints one value on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// plain makes a name safe to print on a line of its own: one with control or
// other invisible characters, or none at all, is quoted.
func plain(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// The JSON forms of what is printed.
type (
	leaderJSON struct {
		Election string       `json:"election"`
		Leader   string       `json:"leader"`
		Endpoint string       `json:"endpoint"`
		Token    tenure.Token `json:"token"`
		TTL      string       `json:"ttl"`
	}
	candidateJSON struct {
		Member   string `json:"member"`
		Endpoint string `json:"endpoint"`
		Priority int    `json:"priority"`
		State    string `json:"state"`
	}
	statusJSON struct {
		Election   string          `json:"election"`
		Leader     *leaderJSON     `json:"leader"` // null: nobody leads
		Candidates []candidateJSON `json:"candidates"`
	}
	eventJSON struct {
		Event    string       `json:"event"`
		Election string       `json:"election"`
		Leader   string       `json:"leader,omitempty"`
		Endpoint string       `json:"endpoint,omitempty"`
		Token    tenure.Token `json:"token,omitempty"`
		From     tenure.Token `json:"from,omitempty"`
		To       tenure.Token `json:"to,omitempty"`
	}
)

func newLeaderJSON(election string, l tenure.Leader) *leaderJSON {
	return &leaderJSON{election, l.Member, l.Endpoint, l.Token, l.TTL.String()}
}

func newStatusJSON(s tenure.Status) statusJSON {
	out := statusJSON{Election: s.Election, Candidates: []candidateJSON{}}
	if s.Leader != nil {
		out.Leader = newLeaderJSON(s.Election, *s.Leader)
	}
	for _, c := range s.Candidates {
		out.Candidates = append(out.Candidates, candidateJSON{c.Member, c.Endpoint, c.Priority, c.State})
	}
	return out
}

func newEventJSON(election string, ev tenure.Event) eventJSON {
	return eventJSON{
		Event: ev.Kind.String(), Election: election,
		Leader: ev.Leader.Member, Endpoint: ev.Leader.Endpoint, Token: ev.Leader.Token,
		From: ev.From, To: ev.To,
	}
}
