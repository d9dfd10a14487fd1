package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure/internal/protocol"
)

func term(token protocol.Token) Term {
	return NewTerm(token, fmt.Sprintf("m%d", token), "", time.Unix(int64(token), 0))
}

func tokens(r Record) (all []protocol.Token) {
	for _, t := range r.Terms {
		all = append(all, t.Token)
	}
	return all
}

// value encodes a record that must be whole.
func value(t *testing.T, r Record) []byte {
	t.Helper()
	b, err := r.Encode(MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTermsAreKeptByTheirTokensAndOnce(t *testing.T) {
	t.Parallel()
	var r Record
	for _, token := range []protocol.Token{5, 2, 9, 5, 7, 2} {
		r.Put(term(token))
	}
	r.Put(term(7).End(time.Unix(8, 0), "why"))
	if got := tokens(r); !slices.Equal(got, []protocol.Token{2, 5, 7, 9}) {
		t.Errorf("tokens %v", got)
	}
	if r.Terms[2].Cause != "why" || r.Terms[1].Cause != "" {
		t.Errorf("terms %+v", r.Terms)
	}
}

func TestTheOldestTermsAreForgotten(t *testing.T) {
	t.Parallel()
	var r Record
	for token := range protocol.Token(3 * MaxTerms) {
		r.Put(term(token + 10))
	}
	r.Put(term(1)) // which is late
	if len(r.Terms) != MaxTerms || r.Terms[0].Token != 10+2*MaxTerms {
		t.Errorf("%d terms from token %d on", len(r.Terms), r.Terms[0].Token)
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 13, 0, 0, 123456789, time.FixedZone("", 3600))
	var r Record
	r.Put(NewTerm(1, "a", "10.0.0.1:80", now).End(now.Add(time.Minute), "tenure: resigned"))
	r.Put(NewTerm(2, "b", "", now))
	got, err := Decode(value(t, r))
	if err != nil || !slices.Equal(got.Terms, r.Terms) {
		t.Errorf("got %+v, %v, want %+v", got, err, r)
	}
	if from := got.Terms[0].From; from.Location() != time.UTC || from.Nanosecond() != 123e6 {
		t.Errorf("from %v", from)
	}
}

func TestWhatIsNoRecordIsCorrupt(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"nothing":            "",
		"no JSON":            "{",
		"no object":          "[]",
		"no format":          "{}",
		"a format to come":   `{"v":2,"terms":[]}`,
		"no token":           `{"v":1,"terms":[{"member":"a","from":"2026-12-01T12:00:00Z"}]}`,
		"tokens not in line": `{"v":1,"terms":[{"token":2},{"token":1}]}`,
		"a token twice":      `{"v":1,"terms":[{"token":2},{"token":2}]}`,
		"no time":            `{"v":1,"terms":[{"token":2,"from":"noon"}]}`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if r, err := Decode([]byte(text)); !errors.Is(err, protocol.ErrCorrupt) || r.Terms != nil {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestLongTextsAreShortened(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "short", strings.Repeat("x", MaxText), strings.Repeat("x", MaxText+1), strings.Repeat("世界", MaxText),
		"a\xffb", strings.Repeat("\xbf", 2*MaxText), strings.Repeat("x", 10<<20),
	} {
		got := shortened(text)
		if len(got) > MaxText || !utf8.ValidString(got) {
			t.Errorf("%.20q became %d bytes, %q", text, len(got), got)
		}
		if len(text) <= MaxText && utf8.ValidString(text) && got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := shortened(strings.Repeat("世", MaxText)); got != strings.Repeat("世", 84)+"..." {
		t.Errorf("got %q", got)
	}
}

// A hundred terms of the longest names, and of texts that grow sixfold as JSON.
func TestARecordIsNeverLargerThanItsLimit(t *testing.T) {
	t.Parallel()
	var r Record
	for token := range protocol.Token(MaxTerms) {
		now := time.Unix(int64(token), 0)
		r.Put(NewTerm(token+1, strings.Repeat("\x01", 1<<10), strings.Repeat("\x02", 9999), now).End(now, strings.Repeat("\x03", 9999)))
	}
	b := value(t, r)
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > MaxSize || len(got.Terms) < 10 || got.Terms[len(got.Terms)-1].Token != MaxTerms {
		t.Errorf("%d bytes with %d terms", len(b), len(got.Terms))
	}
	if len(r.Terms) != MaxTerms {
		t.Errorf("the record itself has lost terms: %d are left", len(r.Terms))
	}
	if b, err := r.Encode(10); err != nil || len(b) < 10 {
		t.Errorf("the last term is left out: %q, %v", b, err)
	}
}

func TestAnEndWithoutAReasonIsAnEnd(t *testing.T) {
	t.Parallel()
	if got := term(1).End(time.Unix(2, 0), ""); got.Cause == "" {
		t.Errorf("got %+v", got)
	}
}
