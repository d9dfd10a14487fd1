package main

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenure-go/tenure"
)

// printJSON prints one value on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// plain makes a text safe to print on a line of its own: one that is no text, has
// control or other invisible characters, or none at all, is quoted. So is one that
// looks as if it were.
func plain(text string) string {
	invisible := func(r rune) bool { return !unicode.IsPrint(r) }
	if text == "" || text[0] == '"' || !utf8.ValidString(text) || strings.ContainsFunc(text, invisible) {
		return strconv.Quote(text)
	}
	return text
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
	reasonJSON struct {
		By  string `json:"by,omitempty"`
		Why string `json:"why,omitempty"`
	}
	vacancyJSON struct {
		Deposed  string       `json:"deposed"`
		Endpoint string       `json:"endpoint"`
		Token    tenure.Token `json:"token"`
		TTL      string       `json:"ttl"`
		reasonJSON
	}
	statusJSON struct {
		Election   string          `json:"election"`
		Leader     *leaderJSON     `json:"leader"` // null: nobody leads
		Vacancy    *vacancyJSON    `json:"vacancy,omitempty"`
		Paused     *reasonJSON     `json:"paused,omitempty"`
		Candidates []candidateJSON `json:"candidates"`
	}
	eventJSON struct {
		Event    string       `json:"event"`
		Election string       `json:"election"`
		Leader   string       `json:"leader,omitempty"`
		Endpoint string       `json:"endpoint,omitempty"`
		Token    tenure.Token `json:"token,omitempty"`
		Vacancy  *vacancyJSON `json:"vacancy,omitempty"`
		From     tenure.Token `json:"from,omitempty"`
		To       tenure.Token `json:"to,omitempty"`
	}
	orderJSON struct {
		Event    string `json:"event"`
		Election string `json:"election,omitempty"`
		Member   string `json:"member,omitempty"`
		reasonJSON
	}
)

func newLeaderJSON(election string, l tenure.Leader) *leaderJSON {
	return &leaderJSON{election, l.Member, l.Endpoint, l.Token, l.TTL.String()}
}

func newReasonJSON(r tenure.Reason) reasonJSON { return reasonJSON{r.By, r.Why} }

func newVacancyJSON(v tenure.Vacancy) *vacancyJSON {
	return &vacancyJSON{v.Victim.Member, v.Victim.Endpoint, v.Victim.Token, v.Victim.TTL.String(), newReasonJSON(v.Reason)}
}

func newStatusJSON(s tenure.Status) statusJSON {
	out := statusJSON{Election: s.Election, Candidates: []candidateJSON{}}
	if s.Leader != nil {
		out.Leader = newLeaderJSON(s.Election, *s.Leader)
	}
	if s.Vacancy != nil {
		out.Vacancy = newVacancyJSON(*s.Vacancy)
	}
	if s.Paused != nil {
		paused := newReasonJSON(*s.Paused)
		out.Paused = &paused
	}
	for _, c := range s.Candidates {
		out.Candidates = append(out.Candidates, candidateJSON{c.Member, c.Endpoint, c.Priority, stateOf(s, c)})
	}
	return out
}

func newEventJSON(election string, ev tenure.Event) eventJSON {
	out := eventJSON{
		Event: ev.Kind.String(), Election: election,
		Leader: ev.Leader.Member, Endpoint: ev.Leader.Endpoint, Token: ev.Leader.Token,
		From: ev.From, To: ev.To,
	}
	if ev.Vacancy != nil {
		out.Vacancy = newVacancyJSON(*ev.Vacancy)
	}
	return out
}
