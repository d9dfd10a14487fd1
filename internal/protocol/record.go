package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrCorrupt: a value in the store cannot be read. It never counts as absent.
var ErrCorrupt = errors.New("tenure: corrupt record")

// format is the version of every value. A reader refuses what it does not know,
// so that a newer program's meaning is never guessed.
const format = 1

// Seat is the value of a seat and of its mirror: who leads.
type Seat struct {
	Format   int           `json:"v"`
	Session  string        `json:"session"`
	Member   string        `json:"member"`
	Endpoint string        `json:"endpoint,omitempty"`
	TTL      time.Duration `json:"ttl"` // nanoseconds
}

// CandidateState is what a candidate's key says of it.
type CandidateState string

// The states of a candidate's key. Draining is written by members that give up
// their seats and take none.
const (
	Waiting   CandidateState = "waiting"
	Offered   CandidateState = "offered"
	Leading   CandidateState = "leading"
	Draining  CandidateState = "draining"
	Withdrawn CandidateState = "withdrawn"
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
func DecodeSeat(b []byte) (Seat, error) {
	var s Seat
	err := decode(b, &s, &s.Format)
	return s, err
}

// DecodeCandidate reads a candidate's key.
func DecodeCandidate(b []byte) (Candidate, error) {
	var c Candidate
	err := decode(b, &c, &c.Format)
	return c, err
}

// DecodeMember reads a member's key.
func DecodeMember(b []byte) (Member, error) {
	var m Member
	err := decode(b, &m, &m.Format)
	return m, err
}

// NewMember returns the record of a member in the present format.
func NewMember(id, session, instance, endpoint string, ttl time.Duration) Member {
	return Member{Format: format, ID: id, Session: session, Instance: instance, Endpoint: endpoint, TTL: ttl}
}

func decode(b []byte, record any, version *int) error {
	if err := json.Unmarshal(b, record); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if *version != format {
		return fmt.Errorf("%w: format %d, and this program reads %d", ErrCorrupt, *version, format)
	}
	return nil
}
