package protocol

import (
	"fmt"
	"strings"

	"github.com/tenure-go/tenure/store"
)

// Prefixes of the keys; docs/design.md has the table.
const (
	LeadersPrefix    = "leaders/"
	CandidatesPrefix = "candidates/"
	MembersPrefix    = "members/"
	AnnouncePrefix   = "announce/"
	HistoryPrefix    = "history/"
	DataPrefix       = "data/"

	// What operators want; every session follows it.
	ControlPrefix  = "control/"
	PausePrefix    = ControlPrefix + "elections/"
	DrainPrefix    = ControlPrefix + "members/"
	TransferPrefix = ControlPrefix + "transfers/"
)

// SessionID returns the name of the session that holds a lease. All names have
// one width, so that no session's prefix is a prefix of another's.
func SessionID(id store.LeaseID) string { return fmt.Sprintf("%016x", uint64(id)) }

// SeatKey is the key of the seat of an election.
func SeatKey(election string) string { return LeadersPrefix + Escape(election) }

// CandidatesOf is the prefix of all candidates of an election.
func CandidatesOf(election string) string { return CandidatesPrefix + Escape(election) + "/" }

// CandidateKey is the key of one candidate.
func CandidateKey(election, session string) string { return CandidatesOf(election) + session }

// TermsOf is the prefix of the terms that a session holds.
func TermsOf(session string) string { return "sessions/" + session + "/terms/" }

// TermKey mirrors the seat of an election at its holder.
func TermKey(session, election string) string { return TermsOf(session) + Escape(election) }

// PauseKey is there while nobody may be elected.
func PauseKey(election string) string { return PausePrefix + Escape(election) }

// DrainKey is there while a member gives up its seats and takes none.
func DrainKey(member string) string { return DrainPrefix + Escape(member) }

// TransferKey asks the leader of an election to hand over to somebody. It hangs on
// the leader's lease.
func TransferKey(election string) string { return TransferPrefix + Escape(election) }

// AnnounceKey is what the leader of an election wants known.
func AnnounceKey(election string) string { return AnnouncePrefix + Escape(election) }

// HistoryKey is what the leaders of an election have written of their terms. The protocol
// has no part in it.
func HistoryKey(election string) string { return HistoryPrefix + Escape(election) }

// MemberKey says which session owns a member's id.
func MemberKey(id string) string { return MembersPrefix + Escape(id) }

var (
	escaper   = strings.NewReplacer("%", "%25", "/", "%2F")
	unescaper = strings.NewReplacer("%25", "%", "%2F", "/")
)

// Escape makes a name one segment of a key: no name's keys lie under another's.
func Escape(name string) string { return escaper.Replace(name) }

// Unescape undoes Escape.
func Unescape(segment string) string { return unescaper.Replace(segment) }
