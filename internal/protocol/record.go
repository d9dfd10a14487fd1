package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// ErrCorrupt: a value in the store cannot be read. It never counts as absent.
var ErrCorrupt = errors.New("tenure: corrupt record")

// format is the version of every value. A reader refuses what it does not know,
// so that a newer program's meaning is never guessed.
const format = 1

// Seat is the value of a seat and of its mirror: who leads, or, in a vacancy, who
// was deposed.
type Seat struct {
	Format   int           `json:"v"`
	Session  string        `json:"session"`
	Member   string        `json:"member"`
	Endpoint string        `json:"endpoint,omitempty"`
	TTL      time.Duration `json:"ttl"` // nanoseconds
	// Transfer: the leader was named by somebody, and has not come by its place
	// in line.
	Transfer bool     `json:"transfer,omitempty"`
	Vacancy  *Vacancy `json:"vacancy,omitempty"`
}

// NewSeat returns the seat of a leader in the present format.
func NewSeat(session, member, endpoint string, ttl time.Duration) Seat {
	return Seat{Format: format, Session: session, Member: member, Endpoint: endpoint, TTL: ttl}
}

// Vacancy stands in a seat whose leader was deposed.
type Vacancy struct {
	Token Token `json:"token"` // of the term that it ended; of what lay in the seat, if that was none
	Order
}

// Order is who wanted something, and why.
type Order struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// String is what the order adds to a message.
func (o Order) String() string {
	var b strings.Builder
	if o.By != "" {
		fmt.Fprintf(&b, " by %s", o.By)
	}
	if o.Why != "" {
		fmt.Fprintf(&b, ": %s", o.Why)
	}
	return b.String()
}

// Control is the value of the keys under ControlPrefix.
type Control struct {
	Format int `json:"v"`
	Order
	// Of a transfer: from the term of this token, to this member.
	Token Token  `json:"token,omitempty"`
	To    string `json:"to,omitempty"`
}

// NewControl returns an order in the present format.
func NewControl(o Order) Control { return Control{Format: format, Order: o} }

// Announcement is what a leader wants known.
type Announcement struct {
	Format int    `json:"v"`
	Member string `json:"member"`
	Token  Token  `json:"token"`
	Data   []byte `json:"data"`
}

// NewAnnouncement returns an announcement in the present format.
func NewAnnouncement(member string, token Token, data []byte) Announcement {
	return Announcement{Format: format, Member: member, Token: token, Data: data}
}

// CandidateState is what a candidate's key says of it.
type CandidateState string

// The states of a candidate's key.
const (
	Waiting    CandidateState = "waiting"    // in line
	Aside      CandidateState = "aside"      // standing back for a while: takes no seat unless it is named
	Ineligible CandidateState = "ineligible" // takes none: it is unwell, or must not by its policy
	Draining   CandidateState = "draining"   // takes none: an operator wants it so
	Offered    CandidateState = "offered"    // seated by the holder before
	Leading    CandidateState = "leading"    // seated by itself
	Withdrawn  CandidateState = "withdrawn"  // a mark
)

// Candidate is the value of a candidate's key.
type Candidate struct {
	Seat
	Priority int            `json:"priority,omitempty"`
	State    CandidateState `json:"state"`
}

// Member is the value of a member's key: who owns the id.
type Member struct {
	Format   int           `json:"v"`
	ID       string        `json:"id"`
	Session  string        `json:"session"`
	Instance string        `json:"instance"` // made at every start
	Endpoint string        `json:"endpoint,omitempty"`
	TTL      time.Duration `json:"ttl"` // nanoseconds
}

// Encode returns the value of a record. Strings, numbers and durations always
// encode, so there is no error to return.
func Encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("tenure: record does not encode: " + err.Error())
	}
	return b
}

// DecodeSeat reads a seat or its mirror.
func DecodeSeat(b []byte) (Seat, error) { return decode(b, (*Seat).check) }

// DecodeCandidate reads a candidate's key.
func DecodeCandidate(b []byte) (Candidate, error) {
	return decode(b, func(c *Candidate) error { return c.check() })
}

// DecodeControl reads a key under ControlPrefix.
func DecodeControl(b []byte) (Control, error) {
	return decode(b, func(c *Control) error { return checkFormat(c.Format) })
}

// DecodeAnnouncement reads what a leader has announced.
func DecodeAnnouncement(b []byte) (Announcement, error) {
	return decode(b, func(a *Announcement) error { return checkFormat(a.Format) })
}

// DecodeMember reads a member's key.
func DecodeMember(b []byte) (Member, error) {
	return decode(b, func(m *Member) error { return checkFormat(m.Format) })
}

// NewMember returns the record of a member in the present format.
func NewMember(id, session, instance, endpoint string, ttl time.Duration) Member {
	return Member{Format: format, ID: id, Session: session, Instance: instance, Endpoint: endpoint, TTL: ttl}
}

// decode reads a record. Of one that cannot be read it returns nothing: half of it would
// be taken for what it says.
func decode[T any](b []byte, check func(*T) error) (T, error) {
	var record, nothing T
	err := json.Unmarshal(b, &record)
	if err == nil {
		err = check(&record)
	}
	if err != nil {
		return nothing, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return record, nil
}

func checkFormat(version int) error {
	if version != format {
		return fmt.Errorf("format %d, and this program reads %d", version, format)
	}
	return nil
}

// check refuses a record that names what cannot be: others make keys of these names, and a
// transaction with a key that cannot be fails for ever.
func (s *Seat) check() error {
	switch {
	case s.Format != format:
		return checkFormat(s.Format)
	case s.Session != "" && !sessionID.MatchString(s.Session): // none: of a vacancy in place of what nobody could read
		return fmt.Errorf("%.40q is no session", s.Session)
	case len(s.Member) > maxMember || strings.IndexByte(s.Member, 0) >= 0:
		return fmt.Errorf("%.40q is no member", s.Member)
	}
	return nil
}

// maxMember is how many bytes a member's id has at most.
const maxMember = 1 << 10

var sessionID = regexp.MustCompile(`^[0-9a-f]{16}$`)
