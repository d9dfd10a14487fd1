package protocol_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenure-go/tenure/internal/protocol"
	"github.com/tenure-go/tenure/store"
)

// roundTrip wants what a decoder takes to come back as it is, and what it refuses to be
// called corrupt.
func roundTrip[T any](t *testing.T, decode func([]byte) (T, error), value []byte) {
	t.Helper()
	got, err := decode(value)
	if err != nil {
		if !errors.Is(err, protocol.ErrCorrupt) {
			t.Errorf("%q: %v is not ErrCorrupt", value, err)
		}
		return
	}
	again, err := decode(protocol.Encode(got))
	if err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("%q was read as %+v, and what that is written as, as %+v, %v", value, got, again, err)
	}
}

func FuzzRecordsRead(f *testing.F) {
	for _, value := range records {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		roundTrip(t, protocol.DecodeSeat, value)
		roundTrip(t, protocol.DecodeCandidate, value)
		roundTrip(t, protocol.DecodeControl, value)
		roundTrip(t, protocol.DecodeAnnouncement, value)
		roundTrip(t, protocol.DecodeMember, value)
	})
}

// records are values of all kinds, and what is none of any.
var records = []string{
	`{"v":1,"session":"0000000000000001","member":"a","endpoint":"10.0.0.1:80","ttl":10000000000}`,
	`{"v":1,"session":"0000000000000002","member":"b","ttl":10000000000,"vacancy":{"token":7,"by":"o","why":"w"}}`,
	`{"v":1,"session":"0000000000000002","member":"b","ttl":10000000000,"priority":3,"state":"waiting"}`,
	`{"v":1,"session":"0000000000000001","member":"b","ttl":-1,"state":"aside","transfer":true}`,
	`{"v":1,"by":"operator@host","why":"a disk","token":3,"to":"b"}`,
	`{"v":1,"member":"a","token":9223372036854775807,"data":"AAEC"}`,
	`{"v":1,"id":"a","session":"0000000000000001","instance":"X","endpoint":"e","ttl":1}`,
	`{"v":2}`, `{"v":1,"V":1}`, `{"v":1e0}`, `{`, `null`, `[]`, `"\ud800"`, "\xff", "",
}

func FuzzRecordsWritten(f *testing.F) {
	f.Add(int64(1), "a", "10.0.0.1:80", "operator", "<why>\u2028", int64(7), int64(10*time.Second), 3, []byte("data"), true)
	f.Add(int64(-1), "\x01\"\\", "é", "", "", int64(-1), int64(-1), -1, []byte{}, false)
	f.Fuzz(func(t *testing.T, lease int64, member, endpoint, by, why string, token, ttl int64, priority int, data []byte, vacant bool) {
		session := protocol.SessionID(store.LeaseID(lease))
		for _, text := range []string{member, endpoint, by, why} {
			if !utf8.ValidString(text) || len(text) > 1<<10 || strings.Contains(text, "\x00") {
				t.Skip("no name or reason is such a text")
			}
		}
		order := protocol.Order{By: by, Why: why}
		seat := protocol.NewSeat(session, member, endpoint, time.Duration(ttl))
		if vacant {
			seat.Vacancy = &protocol.Vacancy{Token: protocol.Token(token), Order: order}
		}
		seat.Transfer = vacant
		control := protocol.NewControl(order)
		control.Token, control.To = protocol.Token(token), member
		written(t, protocol.DecodeSeat, seat)
		written(t, protocol.DecodeCandidate, protocol.Candidate{Seat: seat, Priority: priority, State: protocol.CandidateState(why)})
		written(t, protocol.DecodeControl, control)
		written(t, protocol.DecodeAnnouncement, protocol.NewAnnouncement(member, protocol.Token(token), data))
		written(t, protocol.DecodeMember, protocol.NewMember(member, session, by, endpoint, time.Duration(ttl)))
	})
}

func written[T any](t *testing.T, decode func([]byte) (T, error), record T) {
	t.Helper()
	got, err := decode(protocol.Encode(record))
	if err != nil || !reflect.DeepEqual(got, record) {
		t.Errorf("%+v was read as %+v, %v", record, got, err)
	}
}

func FuzzNamesInKeys(f *testing.F) {
	for _, names := range [][2]string{{"a", "b"}, {"a", "a/b"}, {"a/", "a%2F"}, {"%", "%25"}, {"%2F", "/"}, {"a", ""}, {"\xff", "%"}, {"%252F", "%25/"}} {
		f.Add(names[0], names[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if got := protocol.Unescape(protocol.Escape(a)); got != a {
			t.Errorf("%q came back as %q", a, got)
		}
		if strings.Contains(protocol.Escape(a), "/") {
			t.Errorf("%q: a slash in %q", a, protocol.Escape(a))
		}
		if once := protocol.Unescape(a); protocol.Unescape(protocol.Escape(once)) != once {
			t.Errorf("%q: what it is unescaped to does not come back", a)
		}
		if a == b {
			return
		}
		const session = "0000000000000001"
		keysOf := func(name string) []string {
			return []string{
				protocol.SeatKey(name), protocol.CandidateKey(name, session), protocol.TermKey(session, name), protocol.PauseKey(name),
				protocol.TransferKey(name), protocol.AnnounceKey(name), protocol.DrainKey(name), protocol.MemberKey(name),
			}
		}
		for i, key := range keysOf(a) {
			for j, other := range keysOf(b) {
				if key == other || i == j && strings.HasPrefix(key, other+"/") {
					t.Errorf("%q and %q: key %q and key %q", a, b, key, other)
				}
			}
			if strings.HasPrefix(key, protocol.CandidatesOf(b)) {
				t.Errorf("%q has key %q among the candidates of %q", a, key, b)
			}
		}
	})
}
