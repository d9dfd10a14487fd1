package tenuretest_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
	"github.com/tenure-go/tenure/tenuretest"
)

// story is a leader that is cut off and does not stop in time.
func story() *tenuretest.History {
	note := at(1, tenuretest.Note, "a", 0)
	note.Election, note.Text = "", `session <1> & "more"`
	events := list(
		at(0, tenuretest.Wanted, "a", 0), at(0, tenuretest.Wanted, "b", 0), note,
		at(2, tenuretest.Observing, "eve", 0),
		in(2, tenuretest.SeatTaken, "a", 5, 5),
		at(2, tenuretest.Elected, "a", 5),
		at(3, tenuretest.WorkBegan, "a", 5),
		sees(4, "eve", "a", 5),
	)
	for ms := 100; ms < 14_000; ms += 100 {
		events = append(events, at(ms, tenuretest.Held, "a", 5))
	}
	return history(append(events,
		in(2000, tenuretest.Wrote, "a", 5, 6),
		fault(4000, tenuretest.FaultBegan, "a", "partition"),
		fault(6000, tenuretest.FaultBegan, "b", "slow store"),
		fault(9000, tenuretest.FaultEnded, "b", "slow store"),
		in(12_000, tenuretest.SeatFreed, "a", 5, 7),
		in(12_010, tenuretest.SeatTaken, "b", 8, 8),
		in(12_050, tenuretest.ObservedNone, "eve", 0, 7),
		sees(12_060, "eve", "b", 8),
		at(12_020, tenuretest.Elected, "b", 8),
		at(12_020, tenuretest.Held, "b", 8),
		at(12_021, tenuretest.WorkBegan, "b", 8),
		ended(14_000, "a", 5, tenure.ErrSessionExpired),
		at(14_001, tenuretest.WorkReturned, "a", 5),
		fault(15_000, tenuretest.FaultEnded, "a", "partition"),
		at(16_000, tenuretest.Held, "b", 8),
	))
}

func violated(t *testing.T, h *tenuretest.History) *tenuretest.Violation {
	t.Helper()
	var v *tenuretest.Violation
	if err := h.Check(tenuretest.Expect{}); !errors.As(err, &v) {
		t.Fatalf("got %v, want a violation", err)
	}
	return v
}

const storyText = `one holder: b (token 8) held x at +12.020s, while a (token 5) held it from +0.100s to +13.900s

terms:
  x, token 5: a, seat +0.002s, held +0.100s to +13.900s, worked +0.003s to +14.001s, ended +14.000s: tenure: session expired
  x, token 8: b, seat +12.010s, held +12.020s to +16.000s, worked +12.021s to the last

        +0.000s  a      wants x
        +0.000s  b      wants x
        +0.001s  a      session <1> & "more"
        +0.002s  eve    observes x
        +0.002s  store  the seat of x is a's, token 5
        +0.002s  a      is elected in x, token 5
        +0.003s  a      begins to work in x, token 5
        +0.004s  eve    sees a lead x, token 5
*       +0.100s  a      holds x, token 5
        +2.000s  a      wrote in x, token 5, at revision 6
        +4.000s  a      fault began: partition
        +6.000s  b      fault began: slow store
        +9.000s  b      fault ended: slow store
       +12.000s  store  the seat of x is no longer a's, at revision 7
       +12.010s  store  the seat of x is b's, token 8
       +12.020s  b      is elected in x, token 8
>      +12.020s  b      holds x, token 8
       +12.021s  b      begins to work in x, token 8
       +12.050s  eve    sees nobody lead x, at revision 7
       +12.060s  eve    sees b lead x, token 8
*      +13.900s  a      holds x, token 5
       +14.000s  a      ends in x, token 5: tenure: session expired
       +14.001s  a      has returned from x, token 5
       +15.000s  a      fault ended: partition
*      +16.000s  b      holds x, token 8
`

func TestAViolationIsExplained(t *testing.T) {
	t.Parallel()
	h := story()
	v := violated(t, h)
	if v.Error() != storyText {
		t.Errorf("got\n%s\nwant\n%s", v.Error(), storyText)
	}
	var again strings.Builder
	if err := h.WriteText(&again, v); err != nil || again.String() != storyText {
		t.Errorf("WriteText: %v\n%s", err, again.String())
	}
}

// What is far away, or of another election, is left out, and what is left out is
// seen to be. A fault that goes on is not.
func TestATimelineIsOfWhatMatters(t *testing.T) {
	t.Parallel()
	events := list(fault(0, tenuretest.FaultBegan, "a", "partition"), at(1, tenuretest.Elected, "a", 5))
	for ms := range 100 {
		e := at(10+ms, tenuretest.Note, "b", 0)
		e.Text = "chatter"
		other := at(10+ms, tenuretest.Wanted, "b", 0)
		other.Election = "y"
		events = append(events, e, other)
	}
	h := history(append(events, ended(200, "a", 5, tenure.ErrResigned), ended(201, "a", 5, tenure.ErrResigned)))
	text := violated(t, h).Error()
	for _, want := range []string{
		"one end: the term of a (token 5) in x ended twice",
		"partition had begun at +0.000s: a\n",
		"   ...\n",
		"*       +0.200s  a  ends in x, token 5: tenure: resigned\n>       +0.201s  a",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n > 50 || strings.Contains(text, "wants y") {
		t.Errorf("%d lines:\n%s", n, text)
	}
	var all strings.Builder
	if err := h.WriteText(&all, nil); err != nil || strings.Count(all.String(), "\n") < 200 {
		t.Errorf("the whole history: %v\n%s", err, all.String())
	}
}

// Of many writes of one term the first and the last are worth reading.
func TestATimelineDoesNotRepeatItself(t *testing.T) {
	t.Parallel()
	events := list(in(0, tenuretest.SeatTaken, "a", 5, 5))
	for n := range 100 {
		rev := store.Revision(10 + n)
		events = append(events, in(10+n, tenuretest.Wrote, "a", 5, rev), in(10+n, tenuretest.Confirmed, "a", 5, rev))
	}
	h := history(append(events, in(500, tenuretest.SeatTaken, "b", 300, 300), in(501, tenuretest.Wrote, "a", 5, 301)))
	text := violated(t, h).Error()
	for want, times := range map[string]int{"  wrote in x": 2, "was told that it wrote": 2, "the seat of x is a's": 1} {
		if n := strings.Count(text, want); n != times {
			t.Errorf("%q %d times, want %d:\n%s", want, n, times, text)
		}
	}
}

func TestPictures(t *testing.T) {
	t.Parallel()
	h := story()
	v := violated(t, h)
	for name, write := range map[string]func(io.Writer, *tenuretest.Violation) error{"svg": h.WriteSVG, "html": h.WriteHTML} {
		for _, v := range []*tenuretest.Violation{nil, v} {
			var s strings.Builder
			if err := write(&s, v); err != nil {
				t.Fatal(err)
			}
			text := s.String()
			keep(t, name, v, text)
			for _, want := range []string{
				">a<", ">b<", ">seat of x<", ">eve sees<", ">x 5<", ">x 8<", ">a 5<", ">partition<", ">slow store<",
				"held +0.100s to +13.900s", `class="work"`, `class="write"`, ">+10s<",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: no %q", name, want)
				}
			}
			for _, want := range []string{`class="moment"`, ">one holder: b (token 8)"} {
				if strings.Contains(text, want) != (v != nil) {
					t.Errorf("%s: %q is there: %v", name, want, v == nil)
				}
			}
			if name == "html" {
				if !strings.Contains(text, "session &lt;1&gt; &amp;") {
					t.Error("no escaped table")
				}
				_, text, _ = strings.Cut(text, `auto">`)
				text, _, _ = strings.Cut(text, "</div>")
			}
			wellFormed(t, text)
		}
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	elements := map[string]int{}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := tok.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	if elements["svg"] != 1 || elements["rect"] < 8 {
		t.Errorf("elements: %v", elements)
	}
}

// keep leaves a picture to look at where TENURE_PICTURES says.
func keep(t *testing.T, kind string, v *tenuretest.Violation, text string) {
	t.Helper()
	dir := os.Getenv("TENURE_PICTURES")
	if dir == "" {
		return
	}
	name := "history." + kind
	if v != nil {
		name = "violation." + kind
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

func TestPicturesOfNothing(t *testing.T) {
	t.Parallel()
	h := tenuretest.NewHistory()
	for _, write := range []func(io.Writer, *tenuretest.Violation) error{h.WriteText, h.WriteSVG, h.WriteHTML} {
		var s strings.Builder
		if err := write(&s, nil); err != nil || !strings.Contains(s.String(), "nothing happened") {
			t.Errorf("%v: %q", err, s.String())
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestPicturesReportAFailingWriter(t *testing.T) {
	t.Parallel()
	h := story()
	for _, write := range []func(io.Writer, *tenuretest.Violation) error{h.WriteText, h.WriteSVG, h.WriteHTML} {
		if err := write(fullDisk{}, nil); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("got %v", err)
		}
	}
}
